"""Cards as CDS Hooks 2.0 has them: built so that nothing is null, nothing is empty and no summary is too long."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from service_contracts.evidence import Fact, Severity, Source
from service_contracts.reconciliation import ClaimKind

from facade.resources.vocabulary import OUR_SYSTEM, coding

__all__ = [
    "INDICATORS",
    "OVERRIDE_REASONS",
    "card",
    "evidence_detail",
    "fact_source",
    "own_source",
    "plain",
    "shortened",
]

Json = dict[str, Any]

_MAX_SUMMARY = 139
"""The standard asks for less than 140 characters."""
_ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"

INDICATORS: Mapping[Severity, str] = {
    Severity.HIGH: "critical",
    Severity.MODERATE: "warning",
    Severity.LOW: "info",
}

OVERRIDE_REASONS: tuple[dict[str, str], ...] = (
    coding(_ACT_CODE, "22", "The patient has the appropriate indication"),
    coding(_ACT_CODE, "2", "I have assessed the patient: the therapy is appropriate"),
    coding(_ACT_CODE, "9", "Monitoring has been arranged"),
    coding(_ACT_CODE, "7", "The other therapy is no longer active or planned"),
    coding(_ACT_CODE, "13", "The other therapy was stopped"),
    coding(_ACT_CODE, "10", "The patient has been told what to watch for"),
    coding(_ACT_CODE, "8", "Another action was taken"),
)
"""Why an alert is overridden: HL7's codes for managing a detected issue, so that a FHIR DetectedIssue can hold them."""

_TOPICS: Mapping[ClaimKind, str] = {
    ClaimKind.DOSE: "Dose",
    ClaimKind.INTERACTION: "Interaction",
    ClaimKind.RENAL: "Kidney function",
    ClaimKind.ALLERGY: "Allergy",
    ClaimKind.DUPLICATE: "Duplicate therapy",
    ClaimKind.ACTIVITY: "Activity",
    ClaimKind.FOLLOW_UP: "Follow-up",
    ClaimKind.FORMULARY: "Coverage",
    ClaimKind.CHART_FACT: "Chart",
}


def card(
    uuid: str,
    summary: str,
    indicator: str,
    source: Json,
    *,
    detail: str = "",
    suggestions: Sequence[Json] = (),
    override_reasons: Sequence[Mapping[str, str]] = (),
    links: Sequence[Json] = (),
) -> Json:
    """Return a card; what is empty is left out. ``detail`` is GitHub Flavored Markdown."""
    return {
        "uuid": uuid,
        "summary": shortened(summary),
        **({"detail": detail} if detail else {}),
        "indicator": indicator,
        "source": source,
        # Two suggestions of one card are two ways out of one finding: at most one of them can be taken.
        **({"suggestions": list(suggestions), "selectionBehavior": "at-most-one"} if suggestions else {}),
        **({"overrideReasons": [dict(reason) for reason in override_reasons]} if override_reasons else {}),
        **({"links": list(links)} if links else {}),
    }


def shortened(text: str, limit: int = _MAX_SUMMARY) -> str:
    """Return ``text`` in one line of at most ``limit`` characters, cut between words."""
    line = " ".join(text.split())
    if len(line) <= limit:
        return line
    cut = line[: limit - 1]
    space = cut.rfind(" ")
    return f"{cut[:space] if space > limit // 2 else cut}…"


def topic(kind: ClaimKind | None) -> dict[str, str]:
    """Return the coding of what a card is about; without a kind it is about what was not checked."""
    if kind is None:
        return coding(f"{OUR_SYSTEM}/card-topic", "not-checked", "Not checked")
    return coding(f"{OUR_SYSTEM}/claim-kind", str(kind), _TOPICS[kind])


def fact_source(fact: Fact, kind: ClaimKind) -> Json:
    """Return the source of a card that rests on a fact: the publication it was read in."""
    url = _absolute(fact.source.identifier)
    label = f"{fact.source.title}, {fact.source.publisher}"
    return {"label": shortened(label, 200), **({"url": url} if url else {}), "topic": topic(kind)}


def own_source(kind: ClaimKind | None, label: str = "Preceptor") -> Json:
    """Return the source of a card that rests on the chart alone, or on nothing but ourselves."""
    return {"label": label, "topic": topic(kind)}


def evidence_detail(finding: str, fact: Fact | None, more: Sequence[str] = ()) -> str:
    """Return the finding, the sentence of the source, and where that stands."""
    parts = [plain(finding)]
    if fact is not None:
        sentence = plain(fact.statement)
        parts.append(f"> {sentence}" if fact.verbatim else f"{sentence} *(our words)*")
        parts.append(_cited(fact.source))
    return "\n\n".join([*parts, *more])


def _cited(source: Source) -> str:
    words = [source.title, source.publisher, f"version {source.version}", source.section]
    if source.effective_from or source.published:
        words.append(str(source.effective_from or source.published))
    return f"— {plain(', '.join(word for word in words if word))}"


def plain(text: str) -> str:
    """Return ``text`` in one line so that Markdown and HTML in it stay what they are: characters."""
    line = " ".join(text.split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\`*_{}\[\]|~!])", r"\\\1", line)
    # What a line begins with can make it a heading, a list or a number.
    return re.sub(r"^([#+-]|\d+(?=[.)]))", lambda found: _escaped_start(found[0]), line)


def _escaped_start(start: str) -> str:
    return f"\\{start}" if len(start) == 1 and not start.isdigit() else f"{start}\u200b"


def _absolute(identifier: str) -> str | None:
    parts = urlsplit(identifier)
    return identifier if parts.scheme == "https" and parts.hostname and not re.search(r"\s", identifier) else None
