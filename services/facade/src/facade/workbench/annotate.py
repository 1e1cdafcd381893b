"""Cuts a section's text where flags, unchecked claims and replacements begin and end, for showing them in place."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from service_contracts.evidence import Severity
from service_contracts.reconciliation import Claim, Section

from facade.decisions import Replacement

__all__ = ["Marked", "Piece", "annotate"]

_RANK = {Severity.HIGH: 3, Severity.MODERATE: 2, Severity.LOW: 1}


@dataclass(frozen=True)
class Marked:
    """A flag's place: its ``number`` on the page, and whether it is decided."""

    number: int
    severity: Severity
    start: int
    end: int
    decided: bool


@dataclass(frozen=True)
class Piece:
    """Neighbouring characters that are shown alike.

    ``severity`` is the highest of the undecided flags here, None where all are decided; ``numbers`` are the flags
    here, ``ends`` those whose words end with this piece. ``removed`` says that a decision took the words out and
    ``added`` what it put in after them. ``unchecked`` says that a claim made here was not checked.
    """

    text: str
    numbers: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()
    severity: Severity | None = None
    removed: bool = False
    added: str | None = None
    unchecked: bool = False


def annotate(
    section: Section, flags: Sequence[Marked], changes: Sequence[Replacement], unchecked: Sequence[Claim]
) -> tuple[tuple[Piece, ...], ...]:
    """Return the section's lines, each as its pieces; what is put together again is the section's text.

    A place outside the text (which a sound document does not have) is cut to it: the text is never lost.
    """
    text = section.text
    placed = [item for item in changes if item.applied and item.start is not None and item.end is not None]
    quiet = [(claim.span.start, claim.span.end) for claim in unchecked if claim.span is not None]
    cuts = {0, len(text)}
    for start, end in [
        *((flag.start, flag.end) for flag in flags),
        *((item.start or 0, item.end or 0) for item in placed),
        *quiet,
    ]:
        cuts |= {min(max(start, 0), len(text)), min(max(end, 0), len(text))}
    cuts |= {position for index, char in enumerate(text) if char == "\n" for position in (index, index + 1)}
    ordered = sorted(cuts)
    lines: list[list[Piece]] = [[]]
    for start, end in pairwise(ordered):
        if text[start:end] == "\n":
            lines.append([])
            continue
        here = [flag for flag in flags if flag.start <= start and end <= flag.end]
        undecided = [flag.severity for flag in here if not flag.decided]
        change = next((item for item in placed if (item.start or 0) <= start and end <= (item.end or 0)), None)
        lines[-1].append(
            Piece(
                text=text[start:end],
                numbers=tuple(flag.number for flag in here),
                ends=tuple(flag.number for flag in here if flag.end == end),
                severity=max(undecided, key=lambda severity: _RANK[severity]) if undecided else None,
                removed=change is not None,
                added=change.words if change is not None and change.end == end else None,
                unchecked=any(a <= start and end <= b for a, b in quiet),
            )
        )
    return tuple(tuple(line) for line in lines)
