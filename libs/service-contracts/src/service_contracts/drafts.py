"""What adapter-serving is asked and what it streams back."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from service_contracts.chart import Chart, ChartReference
from service_contracts.model import Contract

__all__ = [
    "SECTION_TITLES",
    "DraftEvent",
    "DraftFinished",
    "DraftRequest",
    "DraftSentence",
    "DraftStarted",
    "ModelIdentity",
    "SectionKey",
    "draft_event",
]


class SectionKey(StrEnum):
    """The sections of the institution's template for discharge instructions, in document order."""

    REASON = "reason-for-stay"
    MEDICATIONS = "medications"
    ACTIVITY = "activity"
    DIET = "diet"
    FOLLOW_UP = "follow-up"
    WARNING_SIGNS = "warning-signs"


SECTION_TITLES: dict[SectionKey, str] = {
    SectionKey.REASON: "Why you were in the hospital",
    SectionKey.MEDICATIONS: "Your medicines",
    SectionKey.ACTIVITY: "Activity",
    SectionKey.DIET: "Eating and drinking",
    SectionKey.FOLLOW_UP: "Follow-up visits",
    SectionKey.WARNING_SIGNS: "When to get help",
}


class ModelIdentity(Contract):
    """Which weights wrote the draft; digests are ``sha256:`` and 64 hex digits."""

    base: str
    base_digest: str
    adapter: str
    adapter_version: str
    adapter_digest: str
    template: str
    template_version: str


class DraftRequest(Contract):
    """Draft ``task`` for ``chart``; ``adapter`` None means the promoted adapter of the task.

    ``budget_ms`` is what is left of the deadline when the request is sent.
    """

    task: str
    chart: Chart
    adapter: str | None = None
    budget_ms: int = Field(gt=0)


class DraftStarted(Contract):
    """First event: who drafts."""

    event: Literal["started"] = "started"
    model: ModelIdentity


class DraftSentence(Contract):
    """One finished sentence of the draft.

    ``index`` is the position in the section, so that sentences that finish out of order can be placed.
    ``sources`` are the chart items the sentence was written from. ``generated`` is False for the template's
    fixed text, which is fed and not decoded.
    """

    event: Literal["sentence"] = "sentence"
    section: SectionKey
    index: int = Field(ge=0)
    text: str
    sources: tuple[ChartReference, ...] = ()
    generated: bool = True


class DraftFinished(Contract):
    """Last event: ``missing`` names the sections (or chart items) the deadline left unwritten."""

    event: Literal["finished"] = "finished"
    complete: bool
    missing: tuple[str, ...] = ()
    prompt_tokens: int = 0
    generated_tokens: int = 0
    elapsed_ms: float = 0.0


DraftEvent = Annotated[DraftStarted | DraftSentence | DraftFinished, Field(discriminator="event")]
_DRAFT_EVENT: TypeAdapter[DraftEvent] = TypeAdapter(DraftEvent)


def draft_event(data: object) -> DraftEvent:
    """Read one event from its JSON value; raise ``pydantic.ValidationError`` when it is not one."""
    return _DRAFT_EVENT.validate_python(data)
