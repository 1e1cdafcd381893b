"""What tables of a label say of doses by kidney function: a range in each row, or in each column."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service_contracts.quantity import Quantity

from retrieval.labels.cells import AVOID, cell_amount, every
from retrieval.labels.kidney_ranges import Measure, Range, bare_range, measure_of, ranges
from retrieval.labels.maxima import comparable, spoken
from retrieval.labels.statements import DOSAGE, for_some_else
from retrieval.labels.tables import Table
from retrieval.labels.text import LabelText, Sentence

__all__ = ["FULL", "KidneyDose", "kidney_doses"]

_HEAD_ROWS = 4
# Columns that tell no dose, and those of first doses: what comes after may be more.
_NO_DOSE = re.compile(
    r"half-life|duration|\bdays (?:to|of)\b|\(days\)|food|timing|supplement|weight|volume|indication|infection|group"
    r"|concomitant|renal"
    r"|serum|infusion time|number of",
    re.I,
)
_FIRST = re.compile(r"initial|starting|loading|induction", re.I)
_FREQUENCY = re.compile(r"frequency|interval|dose regimen|^regimen|how often", re.I)
_CHILDREN = re.compile(r"pediatric|paediatric|child|infant|neonat|adolescent", re.I)
_MORE = re.compile(r"table (?:above )?may be (?:increased|exceeded)|may be increased by \d+ ?%", re.I)
_AFTER_CHARS = 1200
FULL = 60.0
"""A range from here on is no impairment of which a label limits doses."""


@dataclass(frozen=True)
class KidneyDose:
    """The most a day below a kidney function; ``most`` None: not to be used."""

    measure: Measure
    below: float
    most: Quantity | None


@dataclass(frozen=True)
class _Told:
    """What one cell or row tells of a range: an amount, ``avoid``, or None for what cannot be read."""

    of: Range
    says: Quantity | str | None
    row: int


def kidney_doses(label: LabelText) -> Iterator[tuple[KidneyDose, Sentence]]:
    """Yield the most a day for each range of all tables together, with the part of the text in which it stands.

    Of several uses the largest. A range is left out where anything that is told of it cannot be read: that might be
    more.
    """
    text = label.sections.get(DOSAGE, "")
    told: dict[tuple[Measure, float], list[tuple[_Told, Table]]] = {}
    for table in label.tables:
        for one in _rows(table, text):
            told.setdefault((one.of.measure, one.of.below), []).append((one, table))
    for (measure, below), of in told.items():
        says = [one.says for one, _ in of]
        if None in says:
            continue
        amounts = [(one, table) for one, table in of if isinstance(one.says, Quantity)]
        chosen, table = max(amounts, key=lambda one: _size(one[0].says), default=of[0])
        quote = table.quoted(text, chosen.row)
        if quote is not None:
            most = chosen.says if isinstance(chosen.says, Quantity) else None
            yield KidneyDose(measure, below, most), Sentence(quote, DOSAGE, "")


def _size(says: Quantity | str | None) -> float:
    return comparable(says)[1] if isinstance(says, Quantity) else 0.0


def _rows(table: Table, text: str) -> Iterator[_Told]:
    whole = " ".join((table.caption, *(row.words for row in table.rows)))
    if measure_of(whole) is None or not _for_adults(table, text) or _may_be_more(table, text):
        return
    found = list(_by_column(table)) or list(_by_row(table))
    yield from (one for one in found if one.of.least is None or one.of.least < FULL)


def _for_adults(table: Table, text: str) -> bool:
    """Whether a table is neither one for children nor one of first doses."""
    about = table.about(text)
    if _FIRST.search(about):
        return False
    return not _CHILDREN.search(about) or re.search(r"\badults?\b", about, re.I) is not None


def _may_be_more(table: Table, text: str) -> bool:
    """Whether the text says after a table that more than it tells may be had."""
    end = max((row.place[1] for row in table.rows if row.place is not None), default=0)
    return _MORE.search(text, end, end + _AFTER_CHARS) is not None


def _by_row(table: Table) -> Iterator[_Told]:
    """Yield what rows tell that each begin with a range, or name one in another column."""
    for column in range(max((len(row.cells) for row in table.rows), default=0)):
        found = list(_column_ranges(table, column))
        if len(found) > 1 or (found and measure_of(table.rows[found[0][0]].cells[column])):
            heads = _headers(table, found[0][0])
            for number, of, rest in found:
                yield _Told(of, _row_says(table, number, column, heads, rest), number)
            return


def _column_ranges(table: Table, column: int) -> Iterator[tuple[int, Range, str]]:
    """Yield the rows whose cell in a column is a range, with it and what else the cell says."""
    header, begun = "", False
    for number, row in enumerate(table.rows):
        cell = row.cells[column] if column < len(row.cells) else ""
        named = _range_of(cell, measure_of(header))
        if named is not None and not row.is_one:
            begun = True
            yield (number, *named)
        elif not begun and number < _HEAD_ROWS and cell not in header:
            header = f"{header} {cell}".strip()


def _range_of(cell: str, measure: Measure | None) -> tuple[Range, str] | None:
    """Return the range of a cell, and what else the cell says."""
    named = list(ranges(cell))
    if len(named) == 1:
        return named[0], cell[: named[0].start] + cell[named[0].end :]
    if named or measure is None:
        return None
    parts = [*re.findall(r"\(([^()]*)\)", cell), cell]
    return next((found for part in parts if (found := bare_range(part, measure)) is not None), None)


def _headers(table: Table, first: int) -> list[str]:
    """Return what stands above each column, from the rows before the first range."""
    width = max(len(row.cells) for row in table.rows)
    return [
        " ".join(dict.fromkeys(row.cells[at] for row in table.rows[:first] if at < len(row.cells) and not row.is_one))
        for at in range(width)
    ]  # fmt: skip


def _row_says(table: Table, number: int, of: int, heads: Sequence[str], rest: str) -> Quantity | str | None:
    cells = table.rows[number].cells
    if for_some_else(rest) or any(for_some_else(cell) for cell in cells[:of]):
        return None
    often = [every(cell) for at, cell in enumerate(cells) if at != of and _FREQUENCY.search(heads[at])]
    doses = [
        (cell, heads[at])
        for at, cell in enumerate(cells)
        if at > of and (cell or heads[at]) and not _NO_DOSE.search(heads[at])
        and not (_FREQUENCY.search(heads[at]) and len(often) == 1 and not any(spoken(cell)))
    ]  # fmt: skip
    doses = [one for one in doses if re.search(r"maximum", one[1], re.I)] or doses
    if not doses or any(_FIRST.search(head) for _, head in doses):
        return None
    once = often[0] if len(often) == 1 else None
    return _most([cell_amount(cell, head, table.caption, once) for cell, head in doses])


def _most(says: Sequence[Quantity | str | None]) -> Quantity | str | None:
    """Return the largest of what cells say; None where one cannot be read."""
    if not says or None in says:
        return None
    return max((one for one in says if isinstance(one, Quantity)), key=_size, default=AVOID)


def _by_column(table: Table) -> Iterator[_Told]:
    """Yield what the cells tell below each range of a row of ranges."""
    for number, row in enumerate(table.rows[:_HEAD_ROWS]):
        measure = measure_of(row.cells[0]) if row.cells else None
        columns = {at: named[0] for at, cell in enumerate(row.cells) if (named := _range_of(cell, measure)) is not None}
        if len(columns) < 2:
            continue
        for at, of in columns.items():
            for below in range(number + 1, len(table.rows)):
                yield from _cell_says(table, below, at, of, number)
        return


def _cell_says(table: Table, number: int, at: int, of: Range, head: int) -> Iterator[_Told]:
    cells = table.rows[number].cells
    if table.rows[number].is_one or at >= len(cells):
        return
    header = " ".join(dict.fromkeys(row.cells[at] for row in table.rows[:head] if at < len(row.cells)))
    label = cells[0] if at > 0 else ""
    apart = for_some_else(label) or _FIRST.search(header)
    yield _Told(of, None if apart else cell_amount(cells[at], f"{header} {label}", table.caption, None), number)
