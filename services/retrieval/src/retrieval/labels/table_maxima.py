"""The most a day that tables of a label state: what stands in a column that is headed as the maximum dose."""

import re

from service_contracts.quantity import Quantity

from retrieval.labels.cells import AVOID, cell_amount
from retrieval.labels.maxima import comparable
from retrieval.labels.statements import DOSAGE, for_some
from retrieval.labels.tables import Table
from retrieval.labels.text import LabelText, Sentence

__all__ = ["for_some_rows", "table_maxima"]

_MAXIMUM = re.compile(r"maximum(?! (?:initial|starting|single))[\w ]*(?:dos(?:e|age)s?)|^maximum$", re.I)
_INITIAL = re.compile(r"initial|starting|single|per dose", re.I)


def table_maxima(label: LabelText) -> list[tuple[Quantity, Sentence]]:
    """Return the largest of each such column, with the part of the text in which it stands."""
    text = label.sections.get(DOSAGE, "")
    return [one for table in label.tables if (one := _largest(table, text)) is not None]


def _largest(table: Table, text: str) -> tuple[Quantity, Sentence] | None:
    head = _head(table)
    if head is None or for_some(table.about(text)):
        return None
    row, column = head
    header = table.rows[row].cells[column]
    found: list[tuple[float, Quantity, int]] = []
    for number in range(row + 1, len(table.rows)):
        cells = table.rows[number].cells
        if table.rows[number].is_one or column >= len(cells) or for_some(" ".join(cells[:column])):
            continue
        amount = cell_amount(cells[column], header, table.caption, None)
        if amount is None or amount == AVOID:
            return None
        found.append((comparable(amount)[1], amount, number))
    if not found:
        return None
    _, most, number = max(found, key=lambda one: (one[0], -one[2]))
    quote = table.quoted(text, number)
    return None if quote is None else (most, Sentence(quote, DOSAGE, ""))


def _head(table: Table) -> tuple[int, int] | None:
    """Return the row and the one column that are headed as the maximum."""
    for number, row in enumerate(table.rows[:3]):
        columns = [at for at, cell in enumerate(row.cells) if _MAXIMUM.search(cell) and not _INITIAL.search(cell)]
        if columns:
            return (number, columns[0]) if len(columns) == 1 and columns[0] > 0 else None
    return None


def for_some_rows(label: LabelText) -> list[tuple[int, int]]:
    """Return where rows stand that are for some patients only, by their words, their table's head or its caption."""
    text = label.sections.get(DOSAGE, "")
    return [
        row.place
        for table in label.tables
        for row in table.rows
        if row.place is not None and not row.is_one
        and for_some(f"{table.about(text)} {table.rows[0].words} {row.words}")
    ]  # fmt: skip
