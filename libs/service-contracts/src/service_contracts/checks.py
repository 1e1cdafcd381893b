"""Checking a text that somebody has written, without drafting anything."""

from pydantic import Field

from service_contracts.chart import Chart
from service_contracts.drafts import SectionKey
from service_contracts.evidence import Fact
from service_contracts.model import Contract
from service_contracts.reconciliation import Claim, Flag, Span, StageTiming

__all__ = ["CheckRequest", "CheckedText", "GivenSection"]


class GivenSection(Contract):
    """The text of one section as it was written."""

    key: SectionKey
    text: str = Field(max_length=100_000)


class CheckRequest(Contract):
    """Check ``sections`` against ``chart`` and evidence within ``budget_ms``.

    ``whole`` says that these are all sections of the document: only then what the chart holds and the text does not
    say is an omission.
    """

    chart: Chart
    sections: tuple[GivenSection, ...] = Field(min_length=1, max_length=12)
    whole: bool = False
    budget_ms: int = Field(gt=0)


class CheckedText(Contract):
    """Every claim of the text with its verdict; spans are places in the sections as they were given.

    ``unread`` are the sentences in which no claim was recognised: nothing in them was checked.
    """

    claims: tuple[Claim, ...]
    flags: tuple[Flag, ...]
    facts: tuple[Fact, ...]
    unread: tuple[Span, ...] = ()
    evidence_version: str | None = None
    timings: tuple[StageTiming, ...] = ()
