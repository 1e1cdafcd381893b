"""openFDA drug labels: the API's JSON, the bulk download, JSON lines, with ``openfda`` beside or around the sections.

The bulk download is a dozen zips, each with one JSON file of some hundred megabytes: its results are read one by one.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import date
from functools import partial
from pathlib import Path
from typing import IO, Any

from retrieval.documents import IngestedDocument
from retrieval.drug_names import ingredient_names
from retrieval.importers.long_json import json_items
from retrieval.importers.records import Record, RecordRefused
from retrieval.importers.streams import members, open_bounded, open_member, open_zip
from retrieval.labels.document import label_document, substance_names
from retrieval.labels.interactions import Lexicon
from retrieval.labels.statements import DOSAGE
from retrieval.labels.tables import Table, html_tables, placed
from retrieval.labels.text import LabelText

__all__ = ["OpenFdaLabels"]

_MAX_LINE = 16 * 1024 * 1024
_LOOK_BYTES = 1 << 16
_SUFFIXES = (".json", ".json.zip", ".json.gz", ".json.xz", ".jsonl", ".jsonl.xz", ".jsonl.gz", ".ndjson")
_NOT_TEXT = frozenset({"openfda", "id", "set_id", "version", "effective_time"})


class OpenFdaLabels:
    """See ``Importer``. ``known`` are ingredient names that are recognised besides those of the file itself."""

    name = "openfda-labels"
    edition = 3

    def __init__(self, known: frozenset[str] = frozenset()) -> None:
        self._known = known

    def inputs(self, path: Path) -> list[Path]:
        """See ``Importer.inputs``."""
        if path.is_file():
            return [path]
        return sorted(one for one in path.rglob("*") if one.name.endswith(_SUFFIXES))

    def count(self, path: Path) -> int:
        """See ``Importer.count``."""
        return sum(1 for _ in self._raw(path))

    def records(self, path: Path) -> Iterator[Record]:
        """See ``Importer.records``; the file is read once before for the names of all its drugs."""
        lexicon = Lexicon(self._known | self._names(path))
        for place, raw in self._raw(path):
            yield Record(place, partial(_convert, raw, lexicon))

    def labels(self, path: Path) -> Iterator[LabelText]:
        """Yield the labels as text, without those that are refused; for those who look at what is read from them."""
        for _, raw in self._raw(path):
            try:
                yield _label(raw)
            except RecordRefused:
                continue

    def _names(self, path: Path) -> frozenset[str]:
        found: set[str] = set()
        for _, raw in self._raw(path):
            try:
                substances = _meta(json.loads(raw)).get("substance_name", [])
            except (ValueError, AttributeError, RecordRefused):
                continue
            if isinstance(substances, list) and len(substances) == 1:
                found.update(substance_names([str(substances[0])]))
        return frozenset(found)

    def _raw(self, path: Path) -> Iterator[tuple[str, bytes]]:
        """Yield the JSON of each label, with its place."""
        if path.name.endswith(".zip"):
            with open_zip(path) as opened:
                for member in members(opened, ".json"):
                    yield from _results(path.name, partial(open_member, opened, member))
            return
        if path.name.endswith((".json", ".json.gz", ".json.xz")):
            yield from _results(path.name, partial(open_bounded, path))
            return
        with open_bounded(path) as stream:
            number = 0
            while line := stream.readline(_MAX_LINE):
                number += 1
                if line.strip():
                    yield f"{path.name}:{number}", line


def _results(name: str, opened: Callable[[], AbstractContextManager[IO[bytes]]]) -> Iterator[tuple[str, bytes]]:
    """Yield what is in ``results``, or in the list, or the one label that the file is."""
    with opened() as stream:
        start = stream.read(_LOOK_BYTES).lstrip(b"\xef\xbb\xbf \t\r\n")
    where = "item" if start.startswith(b"[") else "results.item" if b'"results"' in start else ""
    with opened() as stream:
        for number, row in enumerate(json_items(stream, where), start=1):
            yield f"{name}#{number}", json.dumps(row).encode()


def _meta(raw: Any) -> dict[str, Any]:
    label = raw.get("label", raw)
    meta = raw.get("openfda_meta") or label.get("openfda") or {}
    if not isinstance(meta, dict):
        raise RecordRefused("`openfda` is not an object")
    return meta


def _convert(line: bytes, lexicon: Lexicon) -> IngestedDocument | None:
    return label_document(_label(line), lexicon)


def _label(line: bytes) -> LabelText:
    try:
        raw = json.loads(line)
    except ValueError:
        raise RecordRefused("not JSON") from None
    if not isinstance(raw, dict) or not isinstance(raw.get("label", {}), dict):
        raise RecordRefused("not a label")
    meta = _meta(raw)
    label = raw.get("label", raw)
    texts = raw["sections"] if isinstance(raw.get("sections"), dict) else label
    sections = _sections(texts)
    if not sections and not meta:
        raise RecordRefused("neither sections nor names: not a label")
    query = raw.get("query") or raw.get("drug_name")
    set_id = _first(meta, "spl_set_id") or label.get("set_id")
    if not set_id and not query:
        raise RecordRefused("a label without set id")
    ingredients = substance_names([str(one) for one in meta.get("substance_name", [])])
    brand = _first(meta, "brand_name")
    generic = _first(meta, "generic_name")
    shown = " / ".join(dict.fromkeys(name.title() for name in (brand, generic) if name)) or str(query).title()
    effective = _day(label.get("effective_time"))
    document = _first(meta, "spl_id") or label.get("id")
    version = str(label.get("version") or document or "not stated")
    return LabelText(
        set_id=str(set_id or f"openfda-query/{query}"),
        version=version,
        title=f"{shown}: label",
        publisher=_first(meta, "manufacturer_name") or "openFDA",
        # A label that does not say what it holds has passages and no facts: the drug it was asked for may be one
        # of several in it.
        ingredients=ingredients,
        names=_called(meta, ingredients),
        rxcuis=tuple(str(one) for one in meta.get("rxcui", [])),
        uniis=tuple(str(one) for one in meta.get("unii", [])),
        routes=tuple(str(one).lower() for one in meta.get("route", [])),
        sections=sections,
        tables=_tables(texts.get(f"{DOSAGE}_table"), sections.get(DOSAGE, "")),
        published=effective,
        effective_from=effective,
        identifier=str(set_id) if set_id else f"openfda-label-query:{query}",
    )


def _called(meta: dict[str, Any], ingredients: tuple[str, ...]) -> tuple[str, ...]:
    """Return brand and generic names that can only mean all of ``ingredients``."""
    names = {str(one).lower() for key in ("brand_name", "generic_name") for one in meta.get(key, [])}
    if len(meta.get("brand_name", [])) > 1 and len(ingredients) > 1:
        # A kit: which of its products has which name is not told.
        return ()
    # A store's own brand ("pain reliever") says nothing by itself; a name of one ingredient of several says too little.
    kept = {name for name in names if not (len(ingredients) > 1 and set(ingredient_names(name)) < set(ingredients))}
    return tuple(sorted(name for name in kept if name))


def _sections(raw: dict[str, Any]) -> dict[str, str]:
    sections = {}
    for name, value in raw.items():
        if name in _NOT_TEXT or name.endswith("_table"):
            continue
        text = " ".join(str(one) for one in value) if isinstance(value, list) else value
        if isinstance(text, str) and text.strip():
            sections[name] = text
    return sections


def _tables(value: object, text: str) -> tuple[Table, ...]:
    markups = value if isinstance(value, list) else [value]
    return placed((table for one in markups if isinstance(one, str) for table in html_tables(DOSAGE, one)), text)


def _first(meta: dict[str, Any], key: str) -> str | None:
    values = meta.get(key)
    return str(values[0]) if isinstance(values, list) and values else None


def _day(text: object) -> date | None:
    try:
        return date.fromisoformat(str(text)[:8]) if text else None
    except ValueError:
        return None
