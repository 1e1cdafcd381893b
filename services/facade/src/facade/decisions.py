"""What a clinician decides on a draft, and the text that follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from service_contracts.drafts import SECTION_TITLES, SectionKey
from service_contracts.reconciliation import Flag, ReconciledDocument, Section

__all__ = [
    "Decision",
    "DecisionAction",
    "InvalidDecision",
    "Replacement",
    "corrected_sections",
    "latest_decisions",
    "replacements",
    "section_of",
    "undecided_flags",
]


class DecisionAction(StrEnum):
    """What was decided on one flag."""

    ACCEPT = "accept"
    EDIT = "edit"
    OVERRIDE = "override"


class InvalidDecision(ValueError):
    """The decision names no flag of the document, or lacks what its action needs."""


@dataclass(frozen=True)
class Decision:
    """One decision on one flag; a later one on the same flag replaces it.

    ``who`` is the practitioner's FHIR reference. ``accept`` takes the flag's correction, ``edit`` puts
    ``replacement`` in place of the flagged words, ``override`` keeps them and needs a ``reason``.
    """

    flag_id: str
    action: DecisionAction
    who: str
    at: datetime
    reason: str | None = None
    replacement: str | None = None

    def check(self, document: ReconciledDocument) -> Flag:
        """Return the flag that is decided; raise ``InvalidDecision``."""
        flag = next((flag for flag in document.flags if flag.id == self.flag_id), None)
        if flag is None:
            raise InvalidDecision("no such flag")
        if self.action is DecisionAction.ACCEPT and flag.correction is None:
            raise InvalidDecision("this flag has no correction to accept")
        if self.action is DecisionAction.EDIT and self.replacement is None:
            raise InvalidDecision("an edit needs the new words")
        if self.action is DecisionAction.OVERRIDE and not (self.reason or "").strip():
            raise InvalidDecision("an override needs a reason")
        return flag


def latest_decisions(decisions: Sequence[Decision]) -> dict[str, Decision]:
    """Return the decision in force for each flag id; ``decisions`` are in the order they were made."""
    return {decision.flag_id: decision for decision in decisions}


def undecided_flags(document: ReconciledDocument, decisions: Sequence[Decision]) -> tuple[Flag, ...]:
    """Return the flags nobody has decided on."""
    decided = latest_decisions(decisions)
    return tuple(flag for flag in document.flags if flag.id not in decided)


@dataclass(frozen=True)
class Replacement:
    """New words for ``start`` to ``end`` of a section's text (of the draft), or a new last line where both are None.

    ``applied`` is False where another decision has already replaced words of the same place.
    """

    flag_id: str
    section: SectionKey
    words: str
    start: int | None = None
    end: int | None = None
    applied: bool = True


def replacements(document: ReconciledDocument, decisions: Sequence[Decision]) -> tuple[Replacement, ...]:
    """Return what the decisions change, additions first and then from the end of each section to its start.

    Two flags on overlapping words cannot both replace them: the one that starts later is applied (of two that
    start together the first), and the other is returned as not applied, so that a reader can be told.
    """
    decided = latest_decisions(decisions)
    additions: list[Replacement] = []
    placed: list[Replacement] = []
    for flag in document.flags:
        decision = decided.get(flag.id)
        if decision is None or decision.action is DecisionAction.OVERRIDE:
            continue
        words = flag.correction if decision.action is DecisionAction.ACCEPT else decision.replacement
        assert words is not None, "checked when the decision was made"
        if flag.span is None:
            additions.append(Replacement(flag.id, section_of(flag), words))
        else:
            placed.append(Replacement(flag.id, flag.span.section, words, flag.span.start, flag.span.end))
    taken: dict[SectionKey, int] = {}
    judged: list[Replacement] = []
    for item in sorted(placed, key=lambda item: item.start or 0, reverse=True):
        assert item.start is not None and item.end is not None
        applied = item.end <= taken.get(item.section, item.end)
        if applied:
            taken[item.section] = item.start
        judged.append(replace(item, applied=applied))
    return (*additions, *judged)


def corrected_sections(document: ReconciledDocument, decisions: Sequence[Decision]) -> tuple[Section, ...]:
    """Return the document's sections with every decision applied.

    Spans are replaced from the end of a section to its start, so that earlier offsets stay true. A flag about an
    omission has no span: its correction or the clinician's words become a new last line of the section that the
    flag's kind belongs to.
    """
    changes = [item for item in replacements(document, decisions) if item.applied]
    texts = {section.key: section.text for section in document.sections}
    titles = {section.key: section.title for section in document.sections}
    for item in changes:
        if item.start is not None and item.end is not None:
            text = texts[item.section]
            texts[item.section] = text[: item.start] + item.words + text[item.end :]
    for item in changes:
        if item.start is None:
            before = texts.get(item.section, "")
            texts[item.section] = f"{before}\n{item.words}" if before else item.words
    return tuple(
        Section(key=key, title=titles.get(key, SECTION_TITLES[key]), text=texts[key])
        for key in SectionKey
        if key in texts
    )


def section_of(flag: Flag) -> SectionKey:
    """Return the section a flag is shown in: where its words stand, for an omission the section of its kind."""
    if flag.span is not None:
        return flag.span.section
    return {"activity": SectionKey.ACTIVITY, "follow-up": SectionKey.FOLLOW_UP}.get(flag.kind, SectionKey.MEDICATIONS)
