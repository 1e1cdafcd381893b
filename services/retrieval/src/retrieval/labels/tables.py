"""The tables of a label: their cells as a grid, and where their rows stand in the text that is kept of the section.

openFDA gives a table twice, as markup and run together in the section's text; in an SPL document it is inside the
section. Both are read from elements by local names. What is quoted is always a span of the section's text. Pure.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from lxml import etree

__all__ = ["Row", "Table", "element_table", "html_tables", "placed"]

_MOST_CELLS, _MOST_SPAN = 4000, 40
_QUOTED_CHARS, _BEFORE_CHARS = 900, 160
_BROKEN = frozenset({"paragraph", "item", "list", "br", "p", "div", "li", "ul", "caption"})
_UNREAD = frozenset({"footnote", "col", "colgroup"})


@dataclass(frozen=True)
class Row:
    """A row as it reads across, with what cells of several columns or rows say repeated, and its own words in order.

    ``place`` is where the words stand in the text of the section, None where they do not stand there as they read.
    """

    cells: tuple[str, ...]
    words: str
    place: tuple[int, int] | None = None

    @property
    def is_one(self) -> bool:
        """Whether it says one thing over its whole width: a title or a note."""
        return len(set(self.cells)) < 2


@dataclass(frozen=True)
class Table:
    """A table of a section."""

    section: str
    caption: str
    rows: tuple[Row, ...]

    def quoted(self, text: str, row: int) -> str | None:
        """Return the text from the table's head to a row, of a long one the row; None where it stands nowhere."""
        place = self.rows[row].place
        if place is None:
            return None
        head = next(one.place for one in self.rows if one.place is not None)
        return text[head[0] if place[1] - head[0] <= _QUOTED_CHARS else place[0] : place[1]]

    def about(self, text: str) -> str:
        """Return what the table is about: its caption or its title row, or the end of what stands before it."""
        head = next((one.place for one in self.rows if one.place is not None), None)
        title = " ".join((self.caption, *(row.words for row in self.rows[:1] if row.is_one))).strip()
        if title or head is None:
            return title
        return text[max(0, head[0] - _BEFORE_CHARS) : head[0]].rsplit(". ", 1)[-1]


def html_tables(section: str, markup: str) -> Iterator[Table]:
    """Yield the tables in openFDA's markup of them; of what is no table nothing."""
    if "<table" not in markup:
        return
    root = etree.HTML(markup, etree.HTMLParser(no_network=True, remove_comments=True, remove_pis=True))
    for element in root.iter("table") if root is not None else ():
        yield element_table(section, element)


def element_table(section: str, table: Any) -> Table:
    """Return the table that an element is, of HTML or of SPL."""
    captions, rows = [], []
    for element in table.iter():
        name = _local(element)
        if name == "caption":
            captions.append(_text(element))
        elif name == "tr":
            rows.append([cell for cell in element if _local(cell) in ("td", "th")])
    return Table(section, " ".join(captions), tuple(_grid(rows)))


def _grid(rows: list[list[Any]]) -> Iterator[Row]:
    # What cells of rows above still say in this one, by column: the text and for how many rows more.
    hanging: dict[int, tuple[str, int]] = {}
    count = 0
    for elements in rows:
        cells: list[str] = []
        words = []
        waiting = list(elements)
        while waiting or len(cells) in hanging:
            if len(cells) in hanging:
                text, more = hanging.pop(len(cells))
                if more > 1:
                    hanging[len(cells)] = (text, more - 1)
                cells.append(text)
                continue
            element = waiting.pop(0)
            text = _text(element)
            words.append(text)
            for _ in range(_span(element, "colspan")):
                if (deep := _span(element, "rowspan")) > 1:
                    hanging[len(cells)] = (text, deep - 1)
                cells.append(text)
        count += len(cells)
        if count > _MOST_CELLS:
            return
        yield Row(tuple(cells), " ".join(words))


def _span(element: Any, name: str) -> int:
    value = str(element.get(name, "1")).strip()
    return min(max(int(value), 1), _MOST_SPAN) if value.isascii() and value.isdigit() else 1


def _local(element: Any) -> str:
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def _text(element: Any) -> str:
    parts: list[str] = []
    _collect(element, parts)
    return " ".join("".join(parts).split())


def _collect(element: Any, parts: list[str]) -> None:
    parts.append(element.text or "")
    for child in element:
        name = _local(child)
        if name in _BROKEN:
            parts.append(" ")
        if name and name not in _UNREAD:
            _collect(child, parts)
        if name in _BROKEN:
            parts.append(" ")
        parts.append(child.tail or "")


def placed(tables: Iterable[Table], text: str) -> tuple[Table, ...]:
    """Return tables with the places of their rows in the section's text.

    Spaces are left out of the comparison: markup and text differ in them.
    """
    letters = [place for place, letter in enumerate(text) if not letter.isspace()]
    packed = "".join(text.split())
    return tuple(replace(table, rows=tuple(_placed(table, packed, letters))) for table in tables)


def _placed(table: Table, packed: str, letters: list[int]) -> Iterator[Row]:
    start = max(packed.find("".join((table.caption + table.rows[0].words).split())), 0) if table.rows else 0
    for row in table.rows:
        words = "".join(row.words.split())
        at = packed.find(words, start) if words else -1
        if at < 0:
            yield row
            continue
        start = at + len(words)
        yield replace(row, place=(letters[at], letters[start - 1] + 1))
