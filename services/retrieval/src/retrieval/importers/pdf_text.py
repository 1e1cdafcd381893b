"""The text of a PDF by its headings and pages, read by a process of its own that is ended when it takes too much.

A heading is a short line in larger or bolder letters than most, or in capitals. Lines that stand on most pages at the
top or the bottom are no text. Where a page holds pictures and no text, that is said: it would have to be recognised.
"""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from retrieval.importers.records import RecordRefused

__all__ = ["PdfText", "read_pdf"]

_TIME_S = 120
_MAX_OUTPUT_BYTES = 64 * 1024 * 1024
_MOST_HEADING_CHARS = 120
_LARGER = 1.12
_EDGE_LINES = 3
_JUNK_TITLE = re.compile(r"\.(?:docx?|pdf|rtf|indd|pptx?)$|^microsoft word|^untitled|^document\d*$", re.I)
_CAPITALS = re.compile(r"[^a-z]*[A-Z][^a-z]*[A-Z]{3}[^a-z]*")
# A line of a table of contents.
_LEADERS = re.compile(r"(?:\.\s?){6,}\s*[\divx]*$")
_LIGATURES = str.maketrans({"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"})
_NUMBER = re.compile(r"(?:page\s*)?\d{1,4}", re.I)
_COUNTED = re.compile(r"\bpage\s*\d+(?:\s*(?:of|/)\s*\d+)?|\b\d+\s*(?:of|/)\s*\d+\b", re.I)
_ENDS = re.compile(r"[.!?:][\"”’)\]]*$")


@dataclass(frozen=True)
class PdfText:
    """Title and sections, each with its heading and pages; and the pages that are pictures."""

    title: str | None
    sections: list[tuple[str, str]]
    pictures: list[int]


@dataclass(frozen=True)
class _Line:
    page: int
    text: str
    size: float
    bold: bool


def read_pdf(data: bytes) -> PdfText:
    """Return the text of a PDF; raise ``RecordRefused`` for what is locked, damaged, too much or without any text."""
    read = _read_apart(data)
    lines = [
        _Line(page, line[0].translate(_LIGATURES), *line[1:])
        for page, found in enumerate(read["pages"], start=1)
        for line in found
        if not _LEADERS.search(line[0])
    ]
    pictures = [page for page in read["pictures"] if not read["pages"][page - 1]]
    if not lines:
        raise RecordRefused("no text: it needs OCR" if pictures else "no text in it")
    title = " ".join(str(read["title"] or "").split())
    kept = _without_edges(lines, len(read["pages"]))
    return PdfText(title if title and not _JUNK_TITLE.search(title) else None, list(_sections(kept)), pictures)


def _read_apart(data: bytes) -> dict[str, Any]:
    command = [sys.executable, "-m", "retrieval.importers.pdf_process"]
    try:
        ended = subprocess.run(  # noqa: S603  our own module
            command, input=data, capture_output=True, timeout=_TIME_S, check=False, env=_environment()
        )
    except subprocess.TimeoutExpired:
        raise RecordRefused(f"takes longer than {_TIME_S} seconds to read") from None
    if ended.returncode != 0 or len(ended.stdout) > _MAX_OUTPUT_BYTES:
        raise RecordRefused("damaged, or needs too much memory to read")
    read: dict[str, Any] = json.loads(ended.stdout)
    if "refused" in read:
        raise RecordRefused(read["refused"])
    return read


def _environment() -> dict[str, str]:
    """Return what Python needs to start, and nothing that tells where the secret store is."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1"}


def _without_edges(lines: list[_Line], pages: int) -> list[_Line]:
    """Leave out what stands at the top or bottom of most pages, the page's number aside: headers and footers.

    Of two pages only what is printed smaller, or counts pages, can be told to be no text.
    """
    by_page: dict[int, list[_Line]] = {}
    for line in lines:
        by_page.setdefault(line.page, []).append(line)
    edges: dict[int, _Line] = {}
    for found in by_page.values():
        reach = max(1, min(_EDGE_LINES, len(found) // 4))
        edges |= {id(line): line for line in (*found[:reach], *found[-reach:])}
    seen = Counter(text for found in by_page.values() for text in {_shape(one) for one in found if id(one) in edges})
    body = _body_size(lines)
    empty = set()
    for key, line in edges.items():
        small = line.size < 0.95 * body or _COUNTED.search(line.text) is not None
        enough = 2 if pages == 2 and small else max(3, 0.6 * pages)
        if seen[_shape(line)] >= enough or _NUMBER.fullmatch(line.text):
            empty.add(key)
    return [line for line in lines if id(line) not in empty]


def _shape(line: _Line) -> str:
    """Return a line as it is on every page: two doses are two lines, "page 1 of 4" and "page 2 of 4" are one."""
    return _COUNTED.sub("#", line.text.lower())


def _body_size(lines: list[_Line]) -> float:
    sizes: Counter[float] = Counter()
    for line in lines:
        sizes[round(line.size, 1)] += len(line.text)
    return sizes.most_common(1)[0][0] if sizes else 0.0


def _sections(lines: list[_Line]) -> Iterator[tuple[str, str]]:
    """Yield heading and pages, and text; cut where a page ends with a sentence, so that pages are told narrowly."""
    body = _body_size(lines)
    bold_chars = sum(len(line.text) for line in lines if line.bold)
    bold_tells = bold_chars < 0.4 * sum(len(line.text) for line in lines)
    heading, held = "", list[_Line]()
    heading_line: _Line | None = None
    for line in lines:
        is_heading = _is_heading(line, body, bold_tells)
        turned = bool(held) and held[-1].page != line.page and _ENDS.search(held[-1].text) is not None
        if held and (is_heading or turned):
            yield _named(heading, held), _joined(held)
            held = []
        if not is_heading:
            held.append(line)
            heading_line = None
        elif heading_line is not None and heading_line.page == line.page and heading_line.size == line.size:
            heading, heading_line = f"{heading} {line.text}", line
        else:
            heading, heading_line = line.text, line
    if held:
        yield _named(heading, held), _joined(held)


def _is_heading(line: _Line, body: float, bold_tells: bool) -> bool:
    if len(line.text) > _MOST_HEADING_CHARS or not re.search(r"[^\W\d_]", line.text):
        return False
    if line.size > _LARGER * body:
        return True
    ends = line.text.endswith((".", ";", ","))
    return not ends and ((line.bold and bold_tells) or bool(_CAPITALS.fullmatch(line.text)))


def _named(heading: str, lines: list[_Line]) -> str:
    first, last = lines[0].page, lines[-1].page
    pages = f"page {first}" if first == last else f"pages {first}-{last}"
    return f"{heading}, {pages}" if heading else pages


def _joined(lines: list[_Line]) -> str:
    """Return the lines as running text; a hyphen at the end of a line stays, since it may belong to the word."""
    text = ""
    for line in lines:
        text += line.text if not text or re.search(r"\w-$", text) else f" {line.text}"
    return text
