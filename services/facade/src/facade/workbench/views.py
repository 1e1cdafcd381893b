"""The pieces of which the page is made, each with what its template shows and no more."""

from dataclasses import dataclass

from service_contracts.evidence import Severity

from facade.decisions import Decision, DecisionAction
from facade.workbench.annotate import Piece

__all__ = ["FlagView", "Review", "SectionView", "SourceView", "Unchecked"]


@dataclass(frozen=True)
class SourceView:
    """Where a statement was read; ``link`` is None where the identifier is no web address."""

    title: str
    publisher: str
    version: str
    section: str
    identifier: str
    link: str | None
    superseded: str | None


@dataclass(frozen=True)
class FlagView:
    """One flag as it is shown. ``changed_elsewhere`` says that its decision could not be applied to the text."""

    number: int
    id: str
    severity: Severity
    kind: str
    quote: str | None
    says: str
    finding: str
    statement: str | None
    verbatim: bool
    source: SourceView | None
    chart: tuple[str, ...]
    correction: str | None
    decision: Decision | None
    changed_elsewhere: bool

    @property
    def omission(self) -> bool:
        """Whether the flag is about something the draft does not say."""
        return self.quote is None


@dataclass(frozen=True)
class Unchecked:
    """A claim without a verdict on its content, and why."""

    kind: str
    assertion: str
    why: str


@dataclass(frozen=True)
class SectionView:
    """A section: its lines, the flags on its words, those about omissions, and what was not checked."""

    key: str
    title: str
    lines: tuple[tuple[Piece, ...], ...]
    additions: tuple[str, ...]
    flags: tuple[FlagView, ...]
    omissions: tuple[FlagView, ...]
    unchecked: tuple[Unchecked, ...]
    without_evidence: tuple[str, ...]


@dataclass(frozen=True)
class Review:
    """The whole page; ``revision`` changes with every decision."""

    revision: str
    sections: tuple[SectionView, ...]
    flags: tuple[FlagView, ...]
    claims: int
    supported: int
    unchecked: int
    without_evidence: int
    missing: tuple[str, ...]

    @property
    def undecided(self) -> tuple[FlagView, ...]:
        """The flags nobody has decided on."""
        return tuple(flag for flag in self.flags if flag.decision is None)

    @property
    def decided(self) -> int:
        """How many flags are decided."""
        return len(self.flags) - len(self.undecided)

    def count(self, action: str) -> int:
        """Return how many flags were decided in this way."""
        wanted = DecisionAction(action)
        return sum(flag.decision is not None and flag.decision.action is wanted for flag in self.flags)
