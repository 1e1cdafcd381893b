"""ICD-10-CM's tabular list in XML: a document for each category, block and chapter, a passage for each code.

Source: CDC/NCHS, "ICD-10-CM tabular list of diseases and injuries", icd10cm-tabular-*.xml, alone, compressed or in the
zip that CDC offers. A fiscal year begins on October 1 of the year before; its codes hold until the next one's do. The
April update of a year is another version of it, from the day that its file name tells.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from functools import partial
from pathlib import Path
from typing import IO, Any

from service_contracts.evidence import Source

from retrieval.documents import IngestedDocument, PassageText
from retrieval.importers.records import Record, RecordRefused
from retrieval.importers.streams import elements, members, open_bounded, open_member, open_zip

__all__ = ["CODE_SYSTEM", "Icd10CmTabular"]

CODE_SYSTEM = "code-system"
"""The kind of these documents: they say what a code means, and are no guideline."""
_PUBLISHER = "CDC/NCHS"
_SUFFIXES = (".xml", ".xml.gz", ".xml.xz", ".zip")
_MAX_BYTES = 256 * 1024 * 1024
_MONTHS = "january february march april may june july august september october november december".split()  # noqa: SIM905
_NAMED_DAY = re.compile(rf"({'|'.join(_MONTHS)})[-_ ](\d{{1,2}})[-_ ](\d{{4}})", re.I)
# What the conventions in the list's introduction say of each kind of note.
_NOTES = {
    "notes": "Note",
    "includes": "Includes",
    "inclusionTerm": "Inclusion terms",
    "excludes1": "Excludes1 (not coded here)",
    "excludes2": "Excludes2 (not included here, may be coded as well)",
    "codeFirst": "Code first",
    "useAdditionalCode": "Use additional code",
    "codeAlso": "Code also",
    "sevenChrNote": "7th character",
}


class Icd10CmTabular:
    """See ``Importer``. The dates given come before those that file and version tell."""

    edition = 1

    def __init__(self, effective_from: date | None = None, superseded_on: date | None = None) -> None:
        self._given = (effective_from, superseded_on)
        told = "" if self._given == (None, None) else f"/{hashlib.sha256(repr(self._given).encode()).hexdigest()[:12]}"
        self.name = f"icd-10-cm{told}"

    def inputs(self, path: Path) -> list[Path]:
        """See ``Importer.inputs``."""
        if path.is_file():
            return [path]
        found = (one for one in path.rglob("*") if one.name.lower().endswith(_SUFFIXES))
        return sorted(one for one in found if "tabular" in one.name.lower() or "table" in one.name.lower())

    def count(self, path: Path) -> int:
        """See ``Importer.count``."""
        return sum(1 for _ in self.records(path))

    def records(self, path: Path) -> Iterator[Record]:
        """See ``Importer.records``."""
        source, number = None, 0
        with _opened(path) as (name, stream):
            for element in elements(stream, "version", "diag", "section", "chapter", wanted=_is_document):
                if element.getroottree().getroot().tag != "ICD10CM.tabular":
                    break
                if element.tag == "version":
                    source = self._source(name, (element.text or "").strip())
                elif source is not None:
                    number += 1
                    code = _code(element)
                    yield Record(f"{path.name}: {code}", partial(_document, element, code, source))
        if not number:
            raise RecordRefused("not ICD-10-CM's tabular list")

    def _source(self, name: str, year: str) -> Source:
        if not re.fullmatch(r"20\d\d", year):
            raise RecordRefused("its version is not a year")
        told = _NAMED_DAY.search(name)
        try:
            day = date(int(told[3]), _MONTHS.index(told[1].lower()) + 1, int(told[2])) if told else None
        except ValueError:
            raise RecordRefused("its name holds a day that is none") from None
        begins = self._given[0] or day or date(int(year) - 1, 10, 1)
        ends = self._given[1] or date(int(year), 10, 1)
        return Source(
            title="ICD-10-CM",
            publisher=_PUBLISHER,
            identifier="http://hl7.org/fhir/sid/icd-10-cm",
            version=f"{year}, from {begins.isoformat()}",
            section="",
            published=begins,
            effective_from=begins,
            superseded_on=ends if ends > begins else None,
        )


@contextmanager
def _opened(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Open the list, and tell the name that it goes by."""
    with ExitStack() as stack:
        if path.suffix.lower() != ".zip":
            yield path.name, stack.enter_context(open_bounded(path, _MAX_BYTES))
            return
        opened = stack.enter_context(open_zip(path))
        found = [one for one in members(opened, ".xml") if "tabular" in one.filename.lower()]
        if len(found) != 1:
            raise RecordRefused(f"{len(found)} tabular lists in it where one is expected")
        yield found[0].filename, stack.enter_context(open_member(opened, found[0], _MAX_BYTES))


def _is_document(element: Any) -> bool:
    return bool(element.tag != "diag" or element.getparent().tag != "diag")


def _code(element: Any) -> str:
    if element.tag == "section":
        # A block of one category bears the category's code.
        return f"block {element.get('id') or ''}".strip()
    name = " ".join((element.findtext("name") or "").split())
    return f"chapter {name}" if element.tag == "chapter" else name


def _document(element: Any, code: str, source: Source) -> IngestedDocument | None:
    described = _words(element.find("desc"))
    if not code or not described:
        raise RecordRefused("without a code or what it means")
    key = f"icd-10-cm/{code.replace(' ', '-')}"
    title = described if element.tag == "section" else f"{code} {described}"
    spoken = source.model_copy(update={"title": f"ICD-10-CM: {title}"})
    passages = tuple(_passages(element)) if element.tag == "diag" else (_passage(element, key, code),)
    return IngestedDocument(key, CODE_SYSTEM, spoken, (), passages)


def _passages(element: Any) -> Iterator[PassageText]:
    code = _code(element)
    if code:
        yield _passage(element, f"icd-10-cm/{code}", code)
    for inner in element.iterfind("diag"):
        yield from _passages(inner)


def _passage(element: Any, passage_id: str, code: str) -> PassageText:
    lines = [f"{code} {_words(element.find('desc'))}" if element.tag == "diag" else _words(element.find("desc"))]
    for child in element:
        said = _NOTES.get(child.tag)
        notes = [text for text in (_words(note) for note in child.iterfind("note")) if text] if said else []
        if notes:
            lines.append(f"{said}: {'; '.join(notes)}")
        elif child.tag == "sevenChrDef":
            ends = [f"{one.get('char')} {_words(one)}" for one in child.iterfind("extension") if one.get("char")]
            lines.append(f"7th character is one of: {'; '.join(ends)}")
    return PassageText(passage_id, code, "\n".join(lines))


def _words(element: Any) -> str:
    return "" if element is None else " ".join("".join(element.itertext()).split())
