"""What the pages show, taken from FHIR resources; nothing here reads or writes."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

__all__ = ["Document", "Issue", "Person", "StayView", "document", "issue", "person", "stay_view"]

Resource = dict[str, Any]


@dataclass(frozen=True)
class Person:
    """A patient or a practitioner."""

    id: str
    name: str
    note: str = ""


@dataclass(frozen=True)
class Issue:
    """A DetectedIssue; ``decision`` is what was done about it."""

    kind: str
    severity: str
    status: str
    detail: str
    decision: str


@dataclass(frozen=True)
class Document:
    """A Composition with what belongs to it; ``signer`` is set once someone signed."""

    id: str
    title: str
    status: str
    date: str
    by_software: bool
    signer: str
    signed_at: str
    reference_status: str
    issues: tuple[Issue, ...]


@dataclass(frozen=True)
class StayView:
    """One stay as a row of the list and as the head of its page."""

    encounter: str
    patient: Person
    reason: str
    service: str
    bed: str
    attending: str
    is_open: bool
    status: str
    admitted: str
    discharged: str
    demonstration: bool


def person(resource: Resource) -> Person:
    """Return a person with the name as people read it."""
    name = (resource.get("name") or [{}])[0]
    parts = [*name.get("prefix", []), *name.get("given", []), name.get("family", "")]
    text = name.get("text") or " ".join(part for part in parts if part) or resource["id"]
    note = ""
    if resource["resourceType"] == "Patient":
        note = ", ".join(str(resource[name]) for name in ("gender", "birthDate") if name in resource)
    return Person(resource["id"], text, note)


def stay_view(encounter: Resource, patients: Mapping[str, Resource]) -> StayView:
    """Return one stay; ``patients`` are by reference."""
    period = encounter.get("period", {})
    reference = encounter.get("subject", {}).get("reference", "")
    patient = patients.get(reference)
    beds = [place["location"].get("display", "") for place in encounter.get("location", [])]
    tags = encounter.get("meta", {}).get("tag", [])
    return StayView(
        encounter=encounter["id"],
        patient=person(patient) if patient else Person(reference.partition("/")[2], "Unknown patient"),
        reason=next((text for text in map(_words, encounter.get("reasonCode", [])) if text), "Not recorded"),
        service=_words(encounter.get("serviceType", {})),
        bed=beds[0] if beds else "",
        attending=_participant(encounter, "ATND"),
        is_open=encounter["status"] == "in-progress",
        status=encounter["status"],
        admitted=_moment(period.get("start")),
        discharged=_moment(period.get("end")),
        demonstration=any(tag.get("code") == "demonstration" for tag in tags),
    )


def issue(resource: Resource) -> Issue:
    """Return a DetectedIssue as a reader sees it."""
    decisions = [_words(mitigation.get("action", {})) for mitigation in resource.get("mitigation", [])]
    return Issue(
        kind=_words(resource.get("code", {})) or "Issue",
        severity=resource.get("severity", ""),
        status=resource["status"],
        detail=resource.get("detail", ""),
        decision="; ".join(decision for decision in decisions if decision),
    )


def document(
    composition: Resource,
    issues: Mapping[str, Resource],
    references: Iterable[Resource],
    practitioners: Mapping[str, Resource],
) -> Document:
    """Return a document; ``issues`` and ``practitioners`` are by reference, ``references`` DocumentReferences."""
    named = [entry.get("reference", "") for section in _sections(composition) for entry in section.get("entry", [])]
    own = f"Composition/{composition['id']}"
    of_this = [r for r in references if own in [x.get("reference") for x in r.get("context", {}).get("related", [])]]
    signatures = [a for a in composition.get("attester", []) if a.get("mode") in ("legal", "professional")]
    attester: Resource = signatures[0] if signatures else {}
    labels = composition.get("meta", {}).get("security", [])
    return Document(
        id=composition["id"],
        title=composition["title"],
        status=composition["status"],
        date=_moment(composition.get("date")),
        by_software=any(label.get("code") == "AIAST" for label in labels),
        signer=_party(attester.get("party", {}), practitioners),
        signed_at=_moment(attester.get("time")),
        reference_status=", ".join(str(r.get("docStatus", r["status"])) for r in of_this),
        issues=tuple(issue(issues[name]) for name in dict.fromkeys(named) if name in issues),
    )


def _sections(node: Resource) -> Iterator[Resource]:
    for section in node.get("section", []):
        yield section
        yield from _sections(section)


def _party(reference: Mapping[str, Any], practitioners: Mapping[str, Resource]) -> str:
    target = str(reference.get("reference", ""))
    known = practitioners.get("/".join(target.split("/")[-2:]))
    return person(known).name if known else str(reference.get("display") or target)


def _participant(encounter: Resource, code: str) -> str:
    for participant in encounter.get("participant", []):
        codes = {c.get("code") for kind in participant.get("type", []) for c in kind.get("coding", [])}
        if code in codes:
            return str(participant.get("individual", {}).get("display", ""))
    return ""


def _words(concept: Mapping[str, Any]) -> str:
    displays = [coding.get("display") or coding.get("code") or "" for coding in concept.get("coding", [])]
    return str(concept.get("text") or next((display for display in displays if display), ""))


def _moment(value: str | None) -> str:
    """Return ``2026-11-18T11:53:00Z`` as ``18 Nov 2026, 11:53``."""
    if not value:
        return ""
    try:
        day = date.fromisoformat(value[:10])
    except ValueError:
        return value
    clock = f", {value[11:16]}" if len(value) >= 16 else ""
    return f"{day.day} {day:%b %Y}{clock}"
