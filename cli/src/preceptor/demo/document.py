"""The document as the EHR holds it, read for people: sections with their sentences, and flags put in place."""

import re
import xml.etree.ElementTree as ElementTree  # only reads what the suite itself has written
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["ShownDocument", "ShownFlag", "ShownSection", "read_document"]

Resource = Mapping[str, Any]

_KIND_SYSTEM = "https://preceptor.health/fhir/CodeSystem/claim-kind"
_PLACES = {"activity": ("activity",), "follow-up": ("follow", "visit")}
_SMALL_WORDS = frozenset({"take", "nothing", "about", "together", "with", "that", "this", "your", "from", "after"})
_CHECKS = "Checks"


@dataclass(frozen=True)
class ShownFlag:
    """What the draft says, why that is a problem, and the quoted source."""

    kind: str
    severity: str
    says: str
    finding: str
    source: str | None
    decision: str | None = None


@dataclass(frozen=True)
class ShownSection:
    """A title and its sentences, each with the flags about it; ``flags`` are about something left out."""

    title: str
    lines: tuple[tuple[str, tuple[ShownFlag, ...]], ...]
    flags: tuple[ShownFlag, ...] = ()


@dataclass(frozen=True)
class ShownDocument:
    """The document and what its checks have to say besides the flags."""

    title: str
    status: str
    sections: tuple[ShownSection, ...]
    notes: tuple[str, ...]
    flags: tuple[ShownFlag, ...]


def read_document(composition: Resource, issues: Iterable[Resource]) -> ShownDocument:
    """Put the Composition and its DetectedIssues together."""
    flags = [_flag(issue) for issue in issues]
    sections = [one for one in composition["section"] if one.get("title") != _CHECKS]
    checks = [one for one in composition["section"] if one.get("title") == _CHECKS]
    lines = {one["title"]: _paragraphs(one["text"]["div"]) for one in sections}
    placed: dict[tuple[str, int], list[ShownFlag]] = {}
    for flag in flags:
        placed.setdefault(_place(flag, lines), []).append(flag)
    return ShownDocument(
        composition["title"],
        composition["status"],
        tuple(
            ShownSection(
                title,
                tuple((line, tuple(placed.get((title, number), ()))) for number, line in enumerate(own)),
                tuple(placed.get((title, -1), ())),
            )
            for title, own in lines.items()
        ),
        tuple(line for one in checks for line in _paragraphs(one["text"]["div"]) if not _is_flag(line, flags)),
        tuple(flags),
    )


def _flag(issue: Resource) -> ShownFlag:
    says, finding, *source = _paragraphs(issue["text"]["div"])
    kind = next(one["code"] for one in issue["code"]["coding"] if one["system"] == _KIND_SYSTEM)
    decisions = [one["action"]["text"] for one in issue.get("mitigation", [])]
    return ShownFlag(
        kind, issue["severity"], says, finding, source[0] if source else None, decisions[-1] if decisions else None
    )


def _place(flag: ShownFlag, sections: Mapping[str, Sequence[str]]) -> tuple[str, int]:
    """Return the section and line the flag is about: of the right section, the line that shares most words with it."""
    wanted = _PLACES.get(flag.kind, ("medic",))
    titles = [title for title in sections if any(word in title.lower() for word in wanted)] or list(sections)
    words = _words(flag.says)
    best = (0, titles[0], -1)
    for title in titles:
        for number, line in enumerate(sections[title]):
            shared = len(words & _words(line))
            if shared > best[0]:
                best = (shared, title, number)
    return best[1], best[2]


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z]{4,}", text.lower())) - _SMALL_WORDS


def _is_flag(line: str, flags: Sequence[ShownFlag]) -> bool:
    return any(flag.finding in line for flag in flags)


def _paragraphs(div: str) -> list[str]:
    root = ElementTree.fromstring(div)  # noqa: S314
    return ["".join(one.itertext()).strip() for one in root if "".join(one.itertext()).strip()]
