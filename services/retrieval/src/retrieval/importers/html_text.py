"""The text of an HTML page by its headings: all that a reader sees, wherever it stands, and nothing that is hidden."""

import re

from lxml import etree, html

from retrieval.importers.records import RecordRefused

__all__ = ["read_html"]

_JUNK = "//script|//style|//nav|//noscript|//template|//*[@hidden]|//head/*[not(self::title)]|//select|//button"
_HIDDEN = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.I)
_TEMPLATE = re.compile(rb"\{%-?\s*include\b")
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_INLINE = frozenset(
    "a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark q s samp small span strike strong"  # noqa: SIM905
    " sub sup time tt u var wbr".split()
)


def read_html(data: bytes) -> tuple[str | None, list[tuple[str, str]]]:
    """Return the title and the sections, each with its heading ("" before the first); raise ``RecordRefused``."""
    if _TEMPLATE.search(data):
        raise RecordRefused("a template, not the page that is made of it")
    parser = html.HTMLParser(no_network=True, huge_tree=False, remove_comments=True, remove_pis=True)
    try:
        root = html.document_fromstring(data, parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError):
        raise RecordRefused("not HTML that can be read") from None
    for junk in root.xpath(_JUNK) + [one for one in root.xpath("//*[@style]") if _HIDDEN.search(one.get("style"))]:
        if junk is not root and junk.getparent() is not None:
            junk.drop_tree()
    title = root.findtext(".//title")
    sections = _Sections()
    body = root.find("body")
    for event, element in etree.iterwalk(root if body is None else body, events=("start", "end")):
        if event == "start":
            if element.tag not in _INLINE:
                sections.line_ends(element.tag)
            sections.text(element.text)
        else:
            if element.tag not in _INLINE:
                sections.line_ends()
            if element is not body:
                sections.text(element.tail)
    return (title.strip() if title and title.strip() else None), sections.found()


class _Sections:
    """Lines under headings, as they come."""

    def __init__(self) -> None:
        self._sections: list[tuple[str, list[str]]] = [("", [])]
        self._line: list[str] = []
        self._heading = False

    def text(self, text: str | None) -> None:
        if text:
            self._line.append(text)

    def line_ends(self, next_tag: str = "") -> None:
        line = " ".join("".join(self._line).split())
        self._line.clear()
        if line and self._heading:
            self._sections.append((line, []))
        elif line:
            self._sections[-1][1].append(line)
        self._heading = next_tag in _HEADINGS

    def found(self) -> list[tuple[str, str]]:
        self.line_ends()
        return [(name, "\n".join(lines)) for name, lines in self._sections if lines]
