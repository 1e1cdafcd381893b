"""The forms of the page: a decision on one flag, and the text that is signed."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from service_contracts.drafts import SectionKey
from service_contracts.reconciliation import Section

from facade.decisions import Decision, DecisionAction, InvalidDecision

__all__ = ["MAX_FORM_BYTES", "InvalidForm", "changed_keys", "decision_of", "sections_of"]

MAX_FORM_BYTES = 262_144
_MAX_WORDS = 4_000


class InvalidForm(ValueError):
    """The text cannot be signed as it is."""


class _DecisionForm(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    flag: str = Field(max_length=200)
    action: DecisionAction
    reason: str | None = Field(default=None, max_length=_MAX_WORDS)
    replacement: str | None = Field(default=None, max_length=_MAX_WORDS)


def decision_of(form: Mapping[str, str], *, who: str, at: datetime) -> Decision:
    """Return the decision a form makes; raise ``InvalidDecision``.

    The new words of an edit become one line: a section's lines are its sentences.
    """
    try:
        read = _DecisionForm.model_validate(dict(form))
    except ValidationError:
        raise InvalidDecision("the form is not complete, or too long") from None
    if read.action is DecisionAction.EDIT and read.replacement is None:
        raise InvalidDecision("an edit needs the new words")
    return Decision(
        flag_id=read.flag,
        action=read.action,
        who=who,
        at=at,
        reason=(read.reason or "").strip() or None if read.action is DecisionAction.OVERRIDE else None,
        replacement=" ".join((read.replacement or "").split()) if read.action is DecisionAction.EDIT else None,
    )


def sections_of(form: Mapping[str, str], corrected: Sequence[Section]) -> tuple[Section, ...] | None:
    """Return the sections as the clinician typed them, or None where nothing differs from ``corrected``.

    Raises ``InvalidForm`` when a section of the document is not in the form or no text is left.
    """
    typed: list[Section] = []
    for section in corrected:
        name = f"section:{section.key}"
        if name not in form:
            raise InvalidForm("a section is missing")
        typed.append(section.model_copy(update={"text": _tidy(form[name])}))
    if not any(section.text for section in typed):
        raise InvalidForm("no text is left")
    original = [_tidy(section.text) for section in corrected]
    return None if [section.text for section in typed] == original else tuple(typed)


def _tidy(text: str) -> str:
    """Unify line ends and drop blank lines and trailing spaces, which browsers add and nobody means."""
    return "\n".join(line.rstrip() for line in text.replace("\r\n", "\n").split("\n") if line.strip())


def changed_keys(before: Sequence[Section], after: Sequence[Section]) -> frozenset[SectionKey]:
    """Return the sections whose text differs."""
    texts = {section.key: _tidy(section.text) for section in before}
    return frozenset(section.key for section in after if texts.get(section.key) != _tidy(section.text))
