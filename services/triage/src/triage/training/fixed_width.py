"""Reads a fixed-width file of NHAMCS by the SAS INPUT program that CDC publishes for its year.

Of SAS's INPUT statement only what these programs hold is understood (``ed22inp.txt`` for the file ``ed2022``):
``@column NAME w.``, ``w.d`` and ``$CHARw.``, in columns that may overlap. Anything else is refused, never guessed.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from triage.training.errors import SurveyError

__all__ = ["Column", "Layout", "is_fixed_width", "is_program", "program_for", "read_layout", "read_records"]

_DATA = re.compile(r"ed(\d{4}|\d{2})(?:\.txt)?", re.IGNORECASE)
_PROGRAM = re.compile(r"ed(\d{4}|\d{2})inp\.(?:txt|sas)", re.IGNORECASE)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_STATEMENT = re.compile(r"\bINPUT\b(.*?);", re.DOTALL | re.IGNORECASE)
_COLUMN = re.compile(r"\s*@\s*([1-9]\d*)\s+([A-Za-z_]\w*)\s+(\$(?:CHAR)?)?([1-9]\d*)\.(\d*)(?=\s|$)", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)")
_ENCODING = "latin-1"  # One character a byte, so that columns are bytes.


@dataclass(frozen=True)
class Column:
    """Where a variable lies in a record, counted from 0, and how SAS reads it."""

    start: int
    width: int
    text: bool
    decimals: int

    def read(self, line: str) -> str | float | None:
        """Return the value in ``line``, ``None`` where it is blank or SAS's missing value; raise ``ValueError``.

        SAS divides a number by the power of ten that its informat names, unless it is written with a point.
        """
        found = line[self.start : self.start + self.width].strip()
        if self.text:
            return found or None
        if found in ("", "."):
            return None
        if not _NUMBER.fullmatch(found):
            raise ValueError
        return float(found) if "." in found else float(found) / 10**self.decimals


@dataclass(frozen=True)
class Layout:
    """The columns that a program lays out, by the variable in capitals."""

    name: str
    columns: Mapping[str, Column]

    @property
    def length(self) -> int:
        """How many characters a record has."""
        return max(column.start + column.width for column in self.columns.values())


def is_fixed_width(file: Path) -> bool:
    """Say whether ``file`` is named as CDC names a fixed-width file: ``ed2019``, ``ED2019``, ``ed2016.txt``."""
    return bool(_DATA.fullmatch(file.name))


def is_program(file: Path) -> bool:
    """Say whether ``file`` is named as CDC names an INPUT program: ``ed19inp.txt``."""
    return bool(_PROGRAM.fullmatch(file.name))


def program_for(file: Path, programs: Sequence[Path]) -> Path:
    """Return the first program of the file's year, else the only one whose name has no year; raise ``SurveyError``."""
    year = _year(_DATA, file)
    for program in programs:
        if _year(_PROGRAM, program) == year:
            return program
    unnamed = [program for program in programs if not is_program(program)]
    if len(unnamed) == 1:
        return unnamed[0]
    raise SurveyError(
        f"{file.name} is a fixed-width file: CDC's SAS INPUT program of its year (ed{year}inp.txt) is not beside it"
        " and --input-program names none"
    )


def read_layout(program: Path) -> Layout:
    """Read the columns that an INPUT program lays out; raise ``SurveyError``."""
    statement = _STATEMENT.search(_COMMENT.sub(" ", program.read_text(_ENCODING)))
    if statement is None:
        raise SurveyError(f"{program.name} holds no SAS INPUT statement")
    columns: dict[str, Column] = {}
    body = statement[1].strip()
    place = 0
    while place < len(body):
        item = _COLUMN.match(body, place)
        if item is None:
            unknown = " ".join(body[place:].split())[:40]
            raise SurveyError(f"{program.name}: '{unknown}' is no column, name and informat as CDC writes them")
        start, name, text, width, decimals = item.groups()
        columns[name.upper()] = Column(int(start) - 1, int(width), bool(text), int(decimals or 0))
        place = item.end()
    if not columns:
        raise SurveyError(f"{program.name} lays out no columns")
    return Layout(program.name, columns)


def read_records(file: Path, layout: Layout, wanted: Collection[str]) -> Iterator[dict[str, str | float | None]]:
    """Yield the ``wanted`` variables of each record; raise ``SurveyError``, first for lines of another length."""
    _check_lengths(file, layout)
    for number, line in _lines(file):
        row: dict[str, str | float | None] = {}
        for name in wanted:
            column = layout.columns[name]
            try:
                row[name] = column.read(line)
            except ValueError:
                last = column.start + column.width
                raise SurveyError(
                    f"{file.name}, line {number}: {name} (columns {column.start + 1} to {last}) is not a number"
                ) from None
        yield row


def _check_lengths(file: Path, layout: Layout) -> None:
    length = layout.length
    total, wrong = 0, 0
    first: tuple[int, int] | None = None
    for number, line in _lines(file):
        total = number
        if len(line) < length or line[length:].strip():
            wrong += 1
            first = first or (number, len(line))
    if first:
        raise SurveyError(
            f"{file.name}: {wrong} of {total} lines have not the {length} characters that {layout.name} lays out"
            f" (first line {first[0]}, with {first[1]})"
        )
    if not total:
        raise SurveyError(f"{file.name} is empty")


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    with file.open(encoding=_ENCODING) as opened:
        for number, line in enumerate(opened, 1):
            yield number, line.rstrip("\n")


def _year(pattern: re.Pattern[str], file: Path) -> str | None:
    named = pattern.fullmatch(file.name)
    return named[1][-2:] if named else None
