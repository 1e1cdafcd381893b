"""The process that reads one PDF: its bytes come in, its lines go out as JSON.

Its memory and processor time are limited, and it can write no file. A line is its text, the size of its letters and
whether they are bold.
"""

import io
import json
import resource
import sys
from typing import Any

from pypdf import PageObject, PdfReader
from pypdf.errors import PyPdfError

__all__ = ["main", "read"]

_MAX_PAGES = 2000
_MAX_MEMORY_BYTES = 2 * 1024 * 1024 * 1024
_MAX_CPU_S = 110
_MAX_CHARS = 8 * 1024 * 1024


class _Refused(Exception):
    pass


def read(data: bytes) -> dict[str, Any]:
    """Return pages and pictures, or why it is refused."""
    if b"%PDF-" not in data[:1024]:
        raise _Refused("not a PDF")
    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted:
            raise _Refused("locked: save it without a password and without restrictions")
        if len(reader.pages) > _MAX_PAGES:
            raise _Refused(f"more than {_MAX_PAGES} pages")
        pages: list[list[tuple[str, float, bool]]] = []
        pictures = []
        left = _MAX_CHARS
        for number, page in enumerate(reader.pages, start=1):
            lines, drawn = _lines(page)
            left -= sum(len(text) for text, _, _ in lines)
            if left < 0:
                raise _Refused(f"more than {_MAX_CHARS} letters")
            pages.append(lines)
            if not lines and drawn:
                pictures.append(number)
        title = reader.metadata.title if reader.metadata else None
    except (PyPdfError, ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, AssertionError):
        # What pypdf raises for a damaged file is not its own errors alone.
        raise _Refused("damaged") from None
    return {"title": title if isinstance(title, str) else None, "pages": pages, "pictures": pictures}


def _lines(page: PageObject) -> tuple[list[tuple[str, float, bool]], bool]:
    """Return the lines of a page, and whether something is drawn on it besides: a picture, or a form of several."""
    parts: list[tuple[str, float, bool]] = []
    drawn: list[bool] = []

    def look(operator: bytes, *_: Any) -> None:
        if operator in (b"Do", b"INLINE IMAGE"):
            drawn.append(True)

    def visit(text: str, cm: list[float], tm: list[float], font: Any, size: float) -> None:
        scale = (abs(tm[3]) or abs(tm[1]) or 1.0) * (abs(cm[3]) or abs(cm[1]) or 1.0)
        name = str((font or {}).get("/BaseFont", "")) if hasattr(font, "get") else ""
        parts.append((text, round(float(size or 0) * scale, 2), "bold" in name.lower() or "black" in name.lower()))

    page.extract_text(visitor_text=visit, visitor_operand_before=look)
    lines: list[tuple[str, float, bool]] = []
    held: list[tuple[str, float, bool]] = []
    for text, size, bold in parts:
        first, *rest = text.split("\n")
        held.append((first, size, bold))
        for part in rest:
            _keep(held, lines)
            held = [(part, size, bold)]
    _keep(held, lines)
    return lines, bool(drawn)


def _keep(held: list[tuple[str, float, bool]], lines: list[tuple[str, float, bool]]) -> None:
    text = " ".join("".join(part for part, _, _ in held).replace("\u00ad", "").replace("\0", "").split())
    if not text:
        return
    sized = [(len(part.strip()), size, bold) for part, size, bold in held if part.strip()]
    _, size, _ = max(sized)
    lines.append((text, size, all(bold for _, _, bold in sized)))


def main() -> None:
    """Read standard input, write the JSON to standard output."""
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_MAX_CPU_S, _MAX_CPU_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    try:
        answer = read(sys.stdin.buffer.read())
    except _Refused as refusal:
        answer = {"refused": str(refusal)}
    except RecursionError:
        answer = {"refused": "nested without end"}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
