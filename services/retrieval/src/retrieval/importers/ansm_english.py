"""The English edition of the ANSM interaction thesaurus (WorldVistA, 2016): XML that is not well-formed throughout.

A file is taken apart at its entries, so that what is broken in one is reported with its line and spoils no other.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from lxml import etree
from service_contracts.evidence import Fact, Interaction, Severity, Source

from retrieval.documents import DrugName, IngestedDocument
from retrieval.drug_names import CLASS_PREFIX, ingredient_names
from retrieval.importers.records import Record, RecordRefused, read_limited
from retrieval.importers.whole_xml import wary_parser
from retrieval.interaction_severity import Level, level_of, plain

__all__ = ["AnsmEnglish"]

_MAX_BYTES = 64 * 1024 * 1024
_BATCH = 100
_EDITION = date(2016, 9, 1)
_SOURCE = Source(
    title="ANSM drug interaction thesaurus, English edition",
    publisher="ANSM, translated by WorldVistA",
    identifier="worldvista-ansm-interactions",
    version=_EDITION.isoformat(),
    section="",
    published=_EDITION,
    effective_from=_EDITION,
)
# A side that is some doses, routes or uses only says nothing of the others: it never interrupts.
_CONDITION = re.compile(
    r"\bdoses?\b|\broutes?\b|\bexcept\b|\bdental\b|\bnasal\b|vaginal|heart failure|older patient", re.I
)
# What the tables call otherwise than the file of classes does: mistakes of spelling, and other forms of the same name.
_CLASS_SPELLINGS = {
    "bradycaria": "bradycardia",
    "acetyl cholinesterase": "acetylcholinesterase",
    "metabloized": "metabolized",
    "glucocorticods except for": "glucocorticoids except",
    "medications at he origin": "medications at the origin",
    "medications that tend to induce torsades": "substances that tend to induce torsades",
    "enzymatic inducers": "enzyme inducers",
    "beta 2 mimetics or beta 2 adrenergic agonists": "beta 2 mimetics or beta2 adrenergic agonists",
    "catechol o methyltransferase inhibitors comt": "inhibitors of catechol o methyltransferase comt",
    "class ia antiarrhythmics": "class ia antiarrythmics",
    "antiarrhythmics": "antiarythmics",
    "alpha sympathomimetics oral and or nasal routes": "alpha sympathomimetics oral and or nasal",
    "nicotine substitution": "nicotine substituion",
    "paritaprevir": "paritapevir",
    "paritaprvir": "paritapevir",
    "paritapvir": "paritapevir",
    "partial agonist opioids": "agonist antagonist opioids",
    "platinum based antineoplastic cancer drugs": "platinum based antineoplastic drugs",
    "ssr1s": "ssris",
    "of cyp3a": "of cyp3a4",
    "of cyp3a44": "of cyp3a4",
    "older patient": "older patients",
    "older patientss": "older patients",
}


# Sides in the place of a drug that name none.
_NO_DRUG = re.compile(r"\bmedications?\b|condoms|french document", re.I)
_DRUG_SPELLINGS = {"alcohol": "ethanol", "gragefruit": "grapefruit", "st johns wort": "st john's wort"}


@dataclass
class _Thesaurus:
    """What the files of one edition hold, and what is wrong in them with file and line."""

    entries: list[tuple[int, Any]] = field(default_factory=list)
    classes: dict[str, list[str]] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    wrong: list[tuple[str, str]] = field(default_factory=list)


class AnsmEnglish:
    """See ``Importer``. An input is a file of tables; the files of classes lie beside it."""

    name = "ansm-english"
    edition = 1

    def inputs(self, path: Path) -> list[Path]:
        """See ``Importer.inputs``."""
        return [path] if path.is_file() else sorted(path.rglob("tables*.xml"))

    def count(self, path: Path) -> int:
        """See ``Importer.count``."""
        return sum(1 for _ in self.records(path))

    def records(self, path: Path) -> Iterator[Record]:
        """See ``Importer.records``: names and classes, runs of entries, and by itself each thing that is wrong."""
        found = _read(path)
        yield Record(f"{path.name}#names", partial(_names, found))
        for start in range(0, len(found.entries), _BATCH):
            part = found.entries[start : start + _BATCH]
            yield Record(f"{path.name}#{start + 1}", partial(_convert, part, start, found))
        wrong = [(f"{path.name}:{line}", _refusal(entry, found)) for line, entry in found.entries]
        for place, reason in (*found.wrong, *wrong):
            if reason is not None:
                yield Record(place, partial(_refuse, reason))


def _read(path: Path) -> _Thesaurus:
    found = _Thesaurus()
    found.entries = list(_elements(path, "INTERACTION", found.wrong))
    for _, entry in found.entries:
        for drug in entry.iter("DRUG"):
            _note(drug, found.codes)
    for file in sorted(path.parent.glob("*.xml")):
        if file.name != path.name:
            for _, one in _elements(file, "CLASS", found.wrong):
                names = [_note(drug, found.codes) for drug in one.iter("DRUG")]
                found.classes.setdefault(_key(one.get("name", "")), [name for name in names if name])
    return found


def _elements(path: Path, tag: str, wrong: list[tuple[str, str]]) -> Iterator[tuple[int, Any]]:
    """Yield each element called ``tag`` with its line. What is not well-formed is read as far as it can be."""
    data = read_limited(path, _MAX_BYTES)
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise RecordRefused(f"{path.name}: XML with a DTD or entities is refused")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        wrong.append((f"{path.name}:{line}", "not UTF-8 as it says: read as Windows-1252"))
        text = data.decode("cp1252", "replace")
    line, counted = 1, 0
    for match in re.finditer(rf"<{tag}(?:\s[^>]*)?(?<!/)>.*?</{tag}>", text, re.S):
        line += text.count("\n", counted, match.start())
        counted = match.start()
        try:
            yield line, etree.fromstring(match[0].encode(), wary_parser())
        except etree.XMLSyntaxError as error:
            wrong.append((f"{path.name}:{line + error.lineno - 1}", f"not well-formed XML ({_said(error, line)})"))
            kept = etree.fromstring(match[0].encode(), wary_parser(recover=True))
            if kept is not None:
                yield line, kept


def _said(error: etree.XMLSyntaxError, line: int) -> str:
    said = re.sub(r", line \d+, column \d+.*", "", str(error.msg))
    return re.sub(r"\bline (\d+)", lambda match: f"line {int(match[1]) + line - 1}", said)


def _note(drug: Any, codes: dict[str, str]) -> str:
    """Return the name of a drug, and keep its code. One without a name is called by its code."""
    name = _drug(drug.get("name", ""))
    code = (drug.get("rxcui") or drug.get("rxnorm") or "").strip()
    if not code.isdigit():
        return name
    name = name or f"rxnorm {code}"
    codes.setdefault(name, code)
    return name


def _drug(name: str) -> str:
    found = " ".join(ingredient_names(re.sub(r"\(.*|\[.*", "", name)))
    return _DRUG_SPELLINGS.get(found, found)


@lru_cache(maxsize=4096)
def _key(name: str) -> str:
    text = " ".join(re.sub(r"[^a-z0-9+]+", " ", plain(name)).split())
    for wrong, right in _CLASS_SPELLINGS.items():
        text = re.sub(rf"(?<!\w){wrong}(?!\w)", right, text)
    return text


def _class(key: str) -> str:
    return f"{CLASS_PREFIX}ansm 2016: {key}"


def _names(found: _Thesaurus) -> IngestedDocument:
    drugs = {*found.codes, *(one for members in found.classes.values() for one in members)}
    names = [DrugName(one, (one,), (found.codes[one],) if one in found.codes else ()) for one in sorted(drugs)]
    classes = [DrugName(_class(key), tuple(sorted(set(members)))) for key, members in sorted(found.classes.items())]
    return IngestedDocument("interactions/ansm-english/names", "interaction", _SOURCE, names=(*names, *classes))


def _convert(entries: list[tuple[int, Any]], start: int, found: _Thesaurus) -> IngestedDocument | None:
    facts: dict[str, Fact] = {}
    for _, entry in entries:
        if _refusal(entry, found) is None:
            fact = _fact(entry, found)
            facts.setdefault(fact.id, fact)
    if not facts:
        return None
    return IngestedDocument(f"interactions/ansm-english/{start:05d}", "interaction", _SOURCE, tuple(facts.values()))


def _refusal(entry: Any, found: _Thesaurus) -> str | None:
    """Why an entry is left out, None when it is read."""
    if _level(entry) is None:
        return f"the level {_text(entry, 'SEVERITY')[:60]!r} is not in the table of severities"
    sides = [_side(entry.find(tag), found) for tag in ("DRUG1", "DRUG2")]
    for tag, side in zip(("DRUG1", "DRUG2"), sides, strict=True):
        if side is None:
            return f"{_shown(entry.find(tag))[:80]!r} is neither a drug nor a class that has members"
    return (
        "the same drug on both sides" if sides[0] == sides[1] and not str(sides[0]).startswith(CLASS_PREFIX) else None
    )


def _refuse(reason: str) -> IngestedDocument | None:
    raise RecordRefused(reason)


def _level(entry: Any) -> Level | None:
    return level_of("ansm", _text(entry, "SEVERITY"))


def _side(element: Any, found: _Thesaurus) -> str | None:
    if element is None:
        return None
    drug, group = element.find("DRUG"), element.find("CLASS")
    name = _drug(drug.get("name", "")) if drug is not None else ""
    if name and not _NO_DRUG.search(name):
        return name
    key = _key((group if group is not None else drug).get("name", "")) if group is not None or drug is not None else ""
    tries = (key, key.removeprefix("other "), key.removeprefix("other ").replace("analgesics", "").strip())
    return next((_class(one) for one in tries if one in found.classes), None)


def _shown(element: Any) -> str:
    names = [one.get("name", "") for one in element.iter("DRUG", "CLASS")] if element is not None else []
    return " ".join(" ".join(names).split())


def _text(entry: Any, tag: str) -> str:
    found = entry.find(tag)
    return " ".join("".join(found.itertext()).split()) if found is not None else ""


def _fact(entry: Any, found: _Thesaurus) -> Fact:
    a, b = (str(_side(entry.find(tag), found)) for tag in ("DRUG1", "DRUG2"))
    shown = [_shown(entry.find(tag)) for tag in ("DRUG1", "DRUG2")]
    level = _level(entry)
    assert level is not None
    severity, comment, effect = level.severity, _text(entry, "COMMENT"), _text(entry, "DESCRIPTION")
    if severity is Severity.HIGH and any(_CONDITION.search(name) for name in shown):
        severity = Severity.MODERATE
    key = hashlib.sha256("|".join((*shown, level.published, effect)).encode()).hexdigest()[:12]
    return Fact(
        id=f"interaction/ansm-english/{key}",
        body=Interaction(a=a, b=b, severity=severity, effect=effect or level.words, management=comment or level.words),
        # The wording of the translation, put together from its fields.
        statement=". ".join(
            part.rstrip(". ")
            for part in (f"{shown[0]} + {shown[1]}: {_text(entry, 'SEVERITY')}", effect, comment)
            if part
        )
        + ".",
        verbatim=False,
        source=_SOURCE.model_copy(update={"section": f"{shown[0]} + {shown[1]}"}),
    )
