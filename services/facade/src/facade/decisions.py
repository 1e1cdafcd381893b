"""What a clinician decides on a draft, and the text that follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from service_contracts.drafts import SectionKey
from service_contracts.reconciliation import Flag, ReconciledDocument, Section

__all__ = ["Decision", "DecisionAction", "InvalidDecision", "corrected_sections", "latest_decisions", "undecided_flags"]


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


def corrected_sections(document: ReconciledDocument, decisions: Sequence[Decision]) -> tuple[Section, ...]:
    """Return the document's sections with every decision applied.

    Spans are replaced from the end of a section to its start, so that earlier offsets stay true. A flag about an
    omission has no span: its correction or the clinician's words become a new last line of the section that the
    flag's kind belongs to, which is the medicines for all kinds but activity and follow-up.
    """
    decided = latest_decisions(decisions)
    replacements: dict[SectionKey, list[tuple[int, int, str]]] = {}
    additions: dict[SectionKey, list[str]] = {}
    for flag in document.flags:
        decision = decided.get(flag.id)
        if decision is None or decision.action is DecisionAction.OVERRIDE:
            continue
        words = flag.correction if decision.action is DecisionAction.ACCEPT else decision.replacement
        assert words is not None, "checked when the decision was made"
        if flag.span is None:
            additions.setdefault(_section_of(flag), []).append(words)
        else:
            replacements.setdefault(flag.span.section, []).append((flag.span.start, flag.span.end, words))
    return tuple(
        section.model_copy(
            update={"text": _apply(section.text, replacements.get(section.key, []), additions.get(section.key, []))}
        )
        for section in document.sections
    )


def _section_of(flag: Flag) -> SectionKey:
    return {"activity": SectionKey.ACTIVITY, "follow-up": SectionKey.FOLLOW_UP}.get(flag.kind, SectionKey.MEDICATIONS)


def _apply(text: str, replacements: list[tuple[int, int, str]], additions: list[str]) -> str:
    taken = len(text) + 1
    for start, end, words in sorted(replacements, key=lambda item: item[0], reverse=True):
        # Two flags on overlapping words: the one that starts later was applied, and what it replaced is gone.
        if end > taken:
            continue
        text = text[:start] + words + text[end:]
        taken = start
    return "\n".join([text, *additions] if text else additions)
