"""Claims, verdicts, flags and the reconciled document."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from service_contracts.chart import Chart, ChartReference
from service_contracts.drafts import ModelIdentity, SectionKey
from service_contracts.evidence import Fact, Severity
from service_contracts.model import Contract

__all__ = [
    "CheckedSentence",
    "Claim",
    "ClaimKind",
    "Flag",
    "NotCheckedReason",
    "ReconcileEvent",
    "ReconcileRequest",
    "ReconciledDocument",
    "ReconciliationFailed",
    "ReconciliationFinished",
    "Section",
    "Span",
    "StageTiming",
    "Verdict",
    "reconcile_event",
]


class ClaimKind(StrEnum):
    """What a claim asserts something about."""

    DOSE = "dose"
    INTERACTION = "interaction"
    RENAL = "renal"
    ALLERGY = "allergy"
    DUPLICATE = "duplicate"
    ACTIVITY = "activity"
    FOLLOW_UP = "follow-up"
    FORMULARY = "formulary"
    CHART_FACT = "chart-fact"


class Verdict(StrEnum):
    """The outcome of comparing one claim with the evidence."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    NO_EVIDENCE = "no-evidence"
    NOT_CHECKED = "not-checked"


class NotCheckedReason(StrEnum):
    """Why a claim has no verdict on its content."""

    DEADLINE = "deadline"
    SERVICE_DOWN = "service-down"
    UNRESOLVED = "unresolved"
    INCOMPLETE = "incomplete"


class Span(Contract):
    """Characters ``start`` to ``end`` (exclusive) of a section's text, and the words found there."""

    section: SectionKey
    start: int
    end: int
    quote: str


class Claim(Contract):
    """One checkable assertion of the draft.

    ``assertion`` says in words what is claimed ("atorvastatin 80 mg once a day"). ``span`` is None only for an
    omission: something the chart holds and the draft does not say. ``reason`` is set when ``verdict`` is
    not-checked. ``fact_ids`` are the facts the verdict rests on; ``chart`` the chart items it was compared with.
    """

    id: str
    kind: ClaimKind
    assertion: str
    span: Span | None
    verdict: Verdict
    reason: NotCheckedReason | None = None
    fact_ids: tuple[str, ...] = ()
    chart: tuple[ChartReference, ...] = ()


class Flag(Contract):
    """A disagreement a clinician must decide on.

    ``says`` is what the draft says; ``finding`` is one sentence on why that is a problem; ``fact_id`` names the
    fact whose statement and source are shown beside it (None when the chart itself is the evidence).
    ``correction`` replaces ``span.quote`` when accepted; None means there is no safe automatic correction.
    """

    id: str
    claim_id: str
    kind: ClaimKind
    severity: Severity
    span: Span | None
    says: str
    finding: str
    fact_id: str | None = None
    chart: tuple[ChartReference, ...] = ()
    correction: str | None = None


class Section(Contract):
    """A section of the document; ``text`` is its sentences, one per line."""

    key: SectionKey
    title: str
    text: str


class StageTiming(Contract):
    """How long one stage took; ``stage`` is draft, evidence, check, total or first-checked-sentence.

    The first checked sentence is one the model wrote: fixed text of the template does not count.
    """

    stage: str
    elapsed_ms: float


class ReconciledDocument(Contract):
    """The draft with every claim judged."""

    task: str
    model: ModelIdentity
    sections: tuple[Section, ...]
    claims: tuple[Claim, ...]
    flags: tuple[Flag, ...]
    facts: tuple[Fact, ...]
    missing: tuple[str, ...] = ()
    evidence_version: str | None = None
    timings: tuple[StageTiming, ...] = ()


class ReconcileRequest(Contract):
    """Draft, check and flag ``task`` for ``chart`` within ``budget_ms``."""

    task: str
    chart: Chart
    adapter: str | None = None
    budget_ms: int = Field(gt=0)


class CheckedSentence(Contract):
    """One sentence as soon as it is checked, for a page that fills while the draft is written."""

    event: Literal["sentence"] = "sentence"
    section: SectionKey
    index: int
    text: str
    claims: tuple[Claim, ...] = ()


class ReconciliationFinished(Contract):
    """Last event of a stream that worked."""

    event: Literal["finished"] = "finished"
    document: ReconciledDocument


class ReconciliationFailed(Contract):
    """Last event of a stream that has no document; ``code`` is one of drafting-unavailable, adapter-unknown,
    adapter-refused, draft-incomplete, overloaded."""

    event: Literal["failed"] = "failed"
    code: str
    message: str


ReconcileEvent = Annotated[
    CheckedSentence | ReconciliationFinished | ReconciliationFailed, Field(discriminator="event")
]
_RECONCILE_EVENT: TypeAdapter[ReconcileEvent] = TypeAdapter(ReconcileEvent)


def reconcile_event(data: object) -> ReconcileEvent:
    """Read one event from its JSON value; raise ``pydantic.ValidationError`` when it is not one."""
    return _RECONCILE_EVENT.validate_python(data)
