"""The sections of a text that is to be checked, from parameters or from a Composition. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

from service_contracts.checks import GivenSection
from service_contracts.drafts import SECTION_TITLES, SectionKey

from facade.operations.parameters import Given, Inputs
from facade.resources.vocabulary import OUR_SYSTEM, SECTION_CODES

__all__ = ["Sections", "sections_of_composition", "sections_of_parameters"]

_BLOCKS = frozenset(
    ("p", "div", "li", "br", "tr", "td", "th", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "blockquote",
     "pre", "dd", "dt")
)  # fmt: skip
# 69730-0 ("Instructions") is what our drafts give two of their sections: there the title decides.
_BY_LOINC = {coding["code"]: key for key, coding in SECTION_CODES.items() if coding["code"] != "69730-0"}
_BY_TITLE = {title.casefold(): key for key, title in SECTION_TITLES.items()} | {key.value: key for key in SectionKey}


@dataclass(frozen=True)
class Sections:
    """What is to be checked, and the titles of sections that were not understood."""

    given: tuple[GivenSection, ...]
    unread: tuple[str, ...] = ()


def sections_of_parameters(parameters: Iterable[Given]) -> Sections:
    """Return the sections of ``section`` parameters; raise ``InvalidParameters``."""
    found: dict[SectionKey, GivenSection] = {}
    for one in parameters:
        parts: Inputs = one.value
        code = parts.required("code")
        try:
            key = SectionKey(str(code.value))
        except ValueError:
            raise code.fault(f"There are: {', '.join(SectionKey)}.", "code-invalid") from None
        if key in found:
            raise code.fault("This section is given twice.", "duplicate")
        found[key] = GivenSection(key=key, text=parts.text("text"))
    return Sections(tuple(found.values()))


def sections_of_composition(composition: Given) -> Sections:
    """Return the sections that our checks know, with their text as lines; raise ``InvalidParameters``."""
    texts: dict[SectionKey, list[str]] = {}
    unread: list[str] = []
    for section in _flattened(composition.value.get("section", [])):
        if _is_ours(section):
            continue
        text = _lines(str((section.get("text") or {}).get("div") or ""))
        key = _key(section)
        if key is not None and text:
            texts.setdefault(key, []).append(text)
        elif text or not section.get("section"):
            unread.append(str(section.get("title") or "A section without title"))
    if not texts:
        raise composition.fault("No section of it is one that is checked here.", "not-supported")
    given = tuple(GivenSection(key=key, text="\n".join(several)) for key, several in texts.items())
    return Sections(given, tuple(unread))


def _flattened(sections: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for section in sections:
        yield section
        yield from _flattened(section.get("section", []))


def _codes(section: dict[str, Any]) -> Iterator[tuple[str | None, str | None]]:
    for coding in (section.get("code") or {}).get("coding", []):
        yield coding.get("system"), coding.get("code")


def _is_ours(section: dict[str, Any]) -> bool:
    """Whether it holds what our own checks said of an earlier draft."""
    return (f"{OUR_SYSTEM}/section", "checks") in _codes(section)


def _key(section: dict[str, Any]) -> SectionKey | None:
    title = _BY_TITLE.get(str(section.get("title") or "").strip().casefold())
    if title is not None:
        return title
    codes = (code for system, code in _codes(section) if system == "http://loinc.org" and code)
    return next((_BY_LOINC[code] for code in codes if code in _BY_LOINC), None)


class _Text(HTMLParser):
    """The words of a narrative; a block begins a line."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, _: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        self.parts.append(" ".join(data.split("\n")))


def _lines(div: str) -> str:
    text = _Text()
    text.feed(div)
    text.close()
    lines = (" ".join(line.split()) for line in "".join(text.parts).split("\n"))
    return "\n".join(line for line in lines if line)
