"""DailyMed labels in Structured Product Labeling XML (HL7 v3), read without entities, DTDs or network.

Besides single documents the downloads are read as they come: a zip (``dm_spl_release_human_rx_part1.zip``) of folders
(``prescription``, ``otc``) of zips, each with one document and its pictures. Nothing is unpacked onto the disk.
"""

import io
import re
from collections.abc import Iterator
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import ZipFile, ZipInfo

from lxml import etree

from retrieval.documents import IngestedDocument
from retrieval.importers.records import Record, RecordRefused, read_limited
from retrieval.importers.streams import member_bytes, members, open_zip
from retrieval.importers.whole_xml import xml_root
from retrieval.labels.document import label_document, substance_names
from retrieval.labels.interactions import Lexicon
from retrieval.labels.statements import DOSAGE
from retrieval.labels.tables import element_table, placed
from retrieval.labels.text import LabelText

__all__ = ["DailyMedLabels", "parse_spl"]

_NS = {"v": "urn:hl7-org:v3"}
_MAX_BYTES = 32 * 1024 * 1024
# With its pictures.
_MAX_ZIP_BYTES = 256 * 1024 * 1024
# LOINC codes of label sections, by the name openFDA gives to each.
_SECTIONS = {
    "34067-9": "indications_and_usage",
    "34068-7": "dosage_and_administration",
    "34070-3": "contraindications",
    "34066-1": "boxed_warning",
    "43685-7": "warnings_and_cautions",
    "34071-1": "warnings",
    "34073-7": "drug_interactions",
    "50565-1": "do_not_use",
    "50568-5": "ask_doctor",
    "50570-1": "stop_use",
}
_NOT_HUMAN = re.compile(r"\banimal\b", re.I)
_ROUTES = {"C38288": "oral", "C38299": "subcutaneous", "C38276": "intravenous", "C38304": "topical"}


class DailyMedLabels:
    """See ``Importer``. ``known`` are ingredient names by which other drugs are recognised."""

    name = "dailymed-spl"
    edition = 3

    def __init__(self, known: frozenset[str] = frozenset()) -> None:
        self._lexicon = Lexicon(known)

    def inputs(self, path: Path) -> list[Path]:
        """See ``Importer.inputs``: a document or a zip."""
        if path.is_file():
            return [path]
        return sorted(one for one in path.rglob("*") if one.suffix.lower() in (".xml", ".zip") and one.is_file())

    def count(self, path: Path) -> int:
        """See ``Importer.count``."""
        if path.suffix.lower() != ".zip":
            return 1
        with open_zip(path) as opened:
            return len(members(opened, ".xml", ".zip"))

    def records(self, path: Path) -> Iterator[Record]:
        """See ``Importer.records``; of a zip, a record is a member."""
        if path.suffix.lower() != ".zip":
            yield Record(path.name, lambda: self._label(read_limited(path, _MAX_BYTES)))
            return
        with open_zip(path) as opened:
            for member in members(opened, ".xml", ".zip"):
                yield Record(f"{path.name}: {member.filename}", partial(self._member, opened, member))

    def _member(self, opened: ZipFile, member: ZipInfo) -> IngestedDocument:
        if member.filename.lower().endswith(".xml"):
            return self._label(member_bytes(opened, member, _MAX_BYTES))
        with open_zip(io.BytesIO(member_bytes(opened, member, _MAX_ZIP_BYTES))) as inner:
            documents = members(inner, ".xml")
            if len(documents) != 1:
                raise RecordRefused(f"{len(documents)} documents where one is expected")
            return self._label(member_bytes(inner, documents[0], _MAX_BYTES))

    def _label(self, data: bytes) -> IngestedDocument:
        return label_document(parse_spl(data), self._lexicon)


def parse_spl(data: bytes) -> LabelText:
    """Return the label in one SPL document; raise ``RecordRefused`` for anything else."""
    root = xml_root(data)
    if etree.QName(root).localname != "document" or etree.QName(root).namespace != _NS["v"]:
        raise RecordRefused("not an SPL document")
    kind = root.find("v:code", _NS)
    if kind is not None and _NOT_HUMAN.search(str(kind.get("displayName", ""))):
        # What is right for a dog says nothing of people.
        raise RecordRefused(f"not a drug for people: {kind.get('displayName').lower()[:60]}")
    set_id = root.find("v:setId", _NS)
    if set_id is None or not set_id.get("root"):
        raise RecordRefused("an SPL document without set id")
    substances = _active(root)
    products = _products(root)
    names = [name for name, _, _ in products]
    sections = _sections(root)
    if not sections:
        raise RecordRefused("an SPL document without any section that is read")
    effective = _day(_value(root, "v:effectiveTime"))
    ingredients = substance_names(substances)
    # A kit holds products that have nothing to do with its drug: a name counts for what its own product holds.
    called = [
        name.lower()
        for brand, generics, active in products
        if substance_names(active) == ingredients
        for name in (brand, *(generics if len(ingredients) == 1 else ()))
    ]
    shown = (
        " / ".join(dict.fromkeys(name.title() for name in (*names[:1], *products[0][1][:1]))) if products else "Drug"
    )
    return LabelText(
        set_id=set_id.get("root"),
        version=_value(root, "v:versionNumber") or "not stated",
        title=f"{shown}: label",
        publisher=next(iter(_texts(root, "v:author//v:representedOrganization/v:name")), "DailyMed"),
        ingredients=ingredients,
        names=tuple(dict.fromkeys(called)),
        rxcuis=(),
        routes=tuple(sorted({_route(code) for code in root.iterfind(".//v:routeCode", _NS)})),
        sections=sections,
        tables=placed(
            (
                element_table(DOSAGE, table)
                for section in _dosage(root)
                for table in section.iterfind(".//v:table", _NS)
            ),
            sections.get(DOSAGE, ""),
        ),
        published=effective,
        effective_from=effective,
    )


def _products(root: Any) -> list[tuple[str, list[str], list[str]]]:
    """Return name, generic names and active substances of each product of the label, parts of kits included."""
    found = []
    for path in ("manufacturedProduct/v:manufacturedProduct", "manufacturedProduct/v:manufacturedMedicine", "part/*"):
        for product in root.iterfind(f".//v:{path}", _NS):
            name = product.find("v:name", _NS)
            if name is not None and "".join(name.itertext()).strip():
                generics = _texts(product, "v:asEntityWithGeneric//v:name")
                found.append((" ".join("".join(name.itertext()).split()), generics, _active(product, ".//")))
    return found


def _active(root: Any, path: str = ".//") -> list[str]:
    found = []
    for ingredient in root.iterfind(f"{path}v:ingredient", _NS):
        if str(ingredient.get("classCode", "")).startswith("ACT"):
            moiety = ingredient.find(".//v:activeMoiety/v:activeMoiety/v:name", _NS)
            name = moiety if moiety is not None else ingredient.find(".//v:ingredientSubstance/v:name", _NS)
            if name is not None and name.text:
                found.append(name.text)
    for name in root.iterfind(f"{path}v:activeIngredient/v:activeIngredientSubstance", _NS):
        inner = name.find(".//v:activeMoiety/v:activeMoiety/v:name", _NS)
        chosen = inner if inner is not None else name.find("v:name", _NS)
        if chosen is not None and chosen.text:
            found.append(chosen.text)
    return found


def _sections(root: Any) -> dict[str, str]:
    texts: dict[str, list[str]] = {}
    for section in root.iterfind(".//v:section", _NS):
        code = section.find("v:code", _NS)
        name = _SECTIONS.get(code.get("code")) if code is not None else None
        if name is not None:
            texts.setdefault(name, []).append(_text(section))
    return {name: " ".join(part for part in parts if part) for name, parts in texts.items() if any(parts)}


def _dosage(root: Any) -> list[Any]:
    """Return the sections on dosage that are in no other of them."""
    coded = [
        code.getparent()
        for code in root.iterfind(".//v:section/v:code", _NS)
        if _SECTIONS.get(code.get("code")) == DOSAGE
    ]
    return [one for one in coded if not any(other in one.iterancestors() for other in coded)]


# What begins on a line of its own in print: a sentence never runs from one into the next.
_BLOCKS = frozenset({"paragraph", "item", "title", "td", "th", "caption", "section"})
_UNREAD = frozenset({"id", "code", "effectiveTime", "footnote", "observationMedia", "renderMultiMedia"})


def _text(element: Any) -> str:
    parts: list[str] = []
    _collect(element, parts)
    return " ".join("".join(parts).split())


def _collect(element: Any, parts: list[str]) -> None:
    for child in element:
        if not isinstance(child.tag, str):
            continue
        name = etree.QName(child).localname
        if name in _UNREAD:
            parts.append(child.tail or "")
            continue
        if name in _BLOCKS:
            parts.append(" • " if name == "item" else " ")
        parts.append(child.text or "")
        _collect(child, parts)
        if name in _BLOCKS:
            parts.append(" ")
        parts.append(child.tail or "")


def _route(code: Any) -> str:
    return _ROUTES.get(code.get("code", ""), str(code.get("displayName", "")).lower())


def _texts(root: Any, path: str) -> list[str]:
    found = (" ".join("".join(one.itertext()).split()) for one in root.iterfind(path, _NS))
    return list(dict.fromkeys(text for text in found if text))


def _value(root: Any, path: str) -> str | None:
    found = root.find(path, _NS)
    return found.get("value") if found is not None else None


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text[:8]) if text else None
    except ValueError:
        return None
