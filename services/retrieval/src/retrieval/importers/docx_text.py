"""The text of a Word document (DOCX) by its headings: as it reads with all tracked changes accepted.

Source: ECMA-376 part 1 (WordprocessingML). What was deleted, moved away or hidden is left out, and so are headers,
footers, fields' instructions and the table of contents. Only what was not read can mislead: a document that is locked,
or that keeps its text elsewhere, is refused.
"""

import io
from collections.abc import Iterator
from typing import Any
from zipfile import ZipFile

from retrieval.importers.records import RecordRefused
from retrieval.importers.streams import member_bytes, open_zip, parse_xml

__all__ = ["read_docx"]

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_STRICT = "{http://purl.oclc.org/ooxml/wordprocessingml/main}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_DC_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_MAX_PART_BYTES = 64 * 1024 * 1024
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_UNSEEN = frozenset(
    {"del", "moveFrom", "instrText", "delText", "delInstrText", "pPr", "rPr", "sectPr", "tblPr", "Fallback"}
)
_MOST_DEPTH = 80


def read_docx(data: bytes) -> tuple[str | None, list[tuple[str, str]]]:
    """Return the title and the sections, each with its heading ("" before the first); raise ``RecordRefused``."""
    if data.startswith(_OLE):
        raise RecordRefused("locked with a password, or in Word's old format: save it as DOCX without a password")
    with open_zip(io.BytesIO(data)) as opened:
        document = _part(opened, "word/document.xml")
        if document is None:
            raise RecordRefused("a zip that is no Word document")
        body = next((one for one in document if _name(one) == "body"), None)
        if body is None:
            raise RecordRefused("a Word document without a body")
        headings = _headings(_part(opened, "word/styles.xml"))
        title = _title(_part(opened, "docProps/core.xml"))
    sections: list[tuple[str, list[str]]] = [("", [])]
    for style, level, text in _paragraphs(body, 0):
        kind = headings.get(style)
        if kind == "contents":
            continue
        if kind == "title":
            title = text
        elif kind == "heading" or level:
            sections.append((text, []))
        else:
            sections[-1][1].append(text)
    found = [(name, "\n\n".join(lines)) for name, lines in sections if lines]
    if not found:
        raise RecordRefused("no text in it: pictures need OCR")
    return title, found


def _part(opened: ZipFile, name: str) -> Any:
    try:
        member = opened.getinfo(name)
    except KeyError:
        return None
    return parse_xml(member_bytes(opened, member, _MAX_PART_BYTES))


def _name(element: Any) -> str:
    """Return a name of WordprocessingML (of either edition) or of markup compatibility, "" for another one."""
    tag = element.tag if isinstance(element.tag, str) else ""
    for space in (_W, _STRICT, _MC):
        if tag.startswith(space):
            return tag.removeprefix(space)
    return ""


def _attribute(element: Any, name: str) -> str:
    return str(element.get(_W + name) or element.get(_STRICT + name) or "")


def _child(element: Any, *names: str) -> Any:
    for name in names:
        element = next((one for one in element if _name(one) == name), None)
        if element is None:
            return None
    return element


def _headings(styles: Any) -> dict[str, str]:
    """Return what each style is for. Its English name is the same in every language's Word."""
    found = {}
    for style in styles if styles is not None else ():
        if _name(style) != "style":
            continue
        name = _child(style, "name")
        called = _attribute(name, "val").lower() if name is not None else ""
        outline = _child(style, "pPr", "outlineLvl")
        if called == "title":
            found[_attribute(style, "styleId")] = "title"
        elif called.startswith("toc"):
            found[_attribute(style, "styleId")] = "contents"
        elif called.startswith("heading") or (outline is not None and _attribute(outline, "val") in "012345"):
            found[_attribute(style, "styleId")] = "heading"
    return found


def _title(core: Any) -> str | None:
    text = "" if core is None else " ".join((core.findtext(_DC_TITLE) or "").split())
    return text or None


def _paragraphs(element: Any, depth: int) -> Iterator[tuple[str, bool, str]]:
    """Yield style, whether it is a heading by itself, and text of each paragraph; a row of a table is one."""
    if depth > _MOST_DEPTH:
        raise RecordRefused("nested without end")
    for child in element:
        name = _name(child)
        if name == "p":
            text = _text(child, depth)
            if text:
                style, outline = _child(child, "pPr", "pStyle"), _child(child, "pPr", "outlineLvl")
                level = outline is not None and _attribute(outline, "val") in "012345"
                yield _attribute(style, "val") if style is not None else "", level, text
        elif name == "tr":
            cells = (
                " ".join(text for *_, text in _paragraphs(cell, depth + 1)) for cell in child if _name(cell) == "tc"
            )
            row = " | ".join(text for text in cells if text)
            if row:
                yield "", False, row
        elif name and name not in _UNSEEN:
            yield from _paragraphs(child, depth + 1)


def _text(paragraph: Any, depth: int) -> str:
    parts: list[str] = []
    _collect(paragraph, parts, depth)
    return " ".join("".join(parts).split())


def _collect(element: Any, parts: list[str], depth: int) -> None:
    if depth > _MOST_DEPTH:
        raise RecordRefused("nested without end")
    for child in element:
        name = _name(child)
        if name in _UNSEEN or (name == "r" and _is_hidden(child)):
            continue
        if name == "t":
            parts.append(child.text or "")
        elif name in ("tab", "br", "cr", "p"):
            parts.append(" ")
        elif name == "noBreakHyphen":
            parts.append("-")
        # Drawings are of other namespaces: a text box within one is text all the same.
        _collect(child, parts, depth + 1)


def _is_hidden(run: Any) -> bool:
    vanish = _child(run, "rPr", "vanish")
    return vanish is not None and _attribute(vanish, "val") not in ("0", "false", "off")
