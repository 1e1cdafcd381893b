"""The National Library of Medicine's corpus of cardiovascular labels (2014): label text, and pairs that people marked.

Two importers, since one must not be scored on the other: the text of a label alone (``.txt``), read as any label is,
and the pairs that annotators marked in it (``.xml``).
"""

import hashlib
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from service_contracts.evidence import Fact, Interaction, Source

from retrieval.documents import DrugName, IngestedDocument
from retrieval.drug_names import ingredient_names
from retrieval.importers.records import Record, RecordRefused, read_limited
from retrieval.importers.whole_xml import xml_root
from retrieval.interaction_severity import level_of
from retrieval.labels.document import label_document
from retrieval.labels.interactions import Lexicon, spoken_sides
from retrieval.labels.text import LabelText

__all__ = ["NlmLabelTexts", "NlmMarkedPairs", "StatedPair", "stated_pairs"]

_MAX_BYTES = 8 * 1024 * 1024
_LOOKED_BACK = 3
_EDITION = date(2014, 5, 1)
_HEADING = re.compile(r"(?:\d+(?:\.\d+)*\s+)?([A-Z][A-Za-z0-9 ,/()&-]{2,90})")
_SECTIONS = (
    ("contraindication", "contraindications"),
    ("boxed", "boxed_warning"),
    ("warning", "warnings_and_cautions"),
    ("interaction", "drug_interactions"),
    ("dosage", "dosage_and_administration"),
    ("precaution", "precautions"),
    ("description", "description"),
    ("pharmacolog", "clinical_pharmacology"),
    ("pharmacokinetic", "clinical_pharmacology"),
    ("adverse", "adverse_reactions"),
)


@dataclass(frozen=True)
class StatedPair:
    """Two things that annotators found stated to interact: as the label writes them, with the sentence.

    ``before`` is the label's text before the sentence, as far as its words may point back to it.
    """

    first: str
    second: str
    kind: str
    sentence: str
    before: str = ""


class _Corpus:
    """One document is one input: text and marks of the same name lie side by side."""

    edition = 2

    def __init__(self, known: frozenset[str] = frozenset()) -> None:
        self._lexicon = Lexicon(known)

    def inputs(self, path: Path) -> list[Path]:
        """See ``Importer.inputs``."""
        return [path] if path.is_file() else sorted(path.rglob("*.xml"))

    def count(self, _: Path) -> int:
        """See ``Importer.count``."""
        return 1

    def records(self, path: Path) -> Iterator[Record]:
        """See ``Importer.records``."""
        yield Record(path.name, partial(self._convert, path))

    def _convert(self, path: Path) -> IngestedDocument | None:
        raise NotImplementedError


class NlmLabelTexts(_Corpus):
    """See ``Importer``. Of the marked file nothing is read but what the label's drug is called."""

    name = "nlm-label-texts"

    def _convert(self, path: Path) -> IngestedDocument | None:
        label = label_of(path)
        return label_document(label, self._lexicon)


class NlmMarkedPairs(_Corpus):
    """See ``Importer``. A marked pair is a fact where both sides are a known drug or a class that has members."""

    name = "nlm-marked-pairs"

    def _convert(self, path: Path) -> IngestedDocument | None:
        root, label = _root(path), label_of(path)
        source = Source(
            title=f"{label.title}, pairs marked by the NLM",
            publisher="US National Library of Medicine",
            identifier=f"nlm-cv-ddi:{label.set_id}",
            version=_EDITION.isoformat(),
            section="marked pairs",
            published=_EDITION,
            effective_from=_EDITION,
        )
        facts: dict[str, Fact] = {}
        for pair in stated_pairs(root):
            level = level_of("nlm", pair.kind)
            if level is None:
                continue
            sides = [
                spoken_sides(text, label, self._lexicon, pair.sentence, pair.before)
                for text in (pair.first, pair.second)
            ]
            for a, b in ((a, b) for a in sides[0] for b in sides[1] if a != b):
                key = hashlib.sha256(f"{a}|{b}|{pair.kind}".encode()).hexdigest()[:12]
                fact = Fact(
                    id=f"interaction/nlm-cv/{label.set_id}/{key}",
                    body=Interaction(a=a, b=b, severity=level.severity, effect=level.words),
                    statement=pair.sentence.strip(),
                    verbatim=True,
                    source=source,
                )
                facts.setdefault(fact.id, fact)
        if not facts:
            return None
        return IngestedDocument(
            f"interactions/nlm-cv/{label.set_id}", "interaction", source, tuple(facts.values()), names=_names(label)
        )


def _names(label: LabelText) -> tuple[DrugName, ...]:
    return tuple(DrugName(name, label.ingredients) for name in label.names)


def stated_pairs(root: Any) -> list[StatedPair]:
    """Return the pairs that are marked as stated to interact."""
    found = []
    before: deque[str] = deque(maxlen=_LOOKED_BACK)
    for sentence in root.iterfind("sentence"):
        said = sentence.get("text") or ""
        texts = {one.get("id"): one.get("text") for one in sentence.iter("entity") if one.get("text")}
        for pair in sentence.iterfind("pair"):
            sides = texts.get(pair.get("e1")), texts.get(pair.get("e2"))
            if pair.get("ddi") == "true" and sides[0] and sides[1]:
                found.append(StatedPair(sides[0], sides[1], pair.get("type") or "", said, "\n".join(before)))
        before.append(said)
    return found


def _root(path: Path) -> Any:
    root = xml_root(read_limited(path, _MAX_BYTES))
    if root.tag != "document" or not root.get("setID"):
        raise RecordRefused("not a document of the corpus")
    return root


def label_of(path: Path) -> LabelText:
    """Return the label whose marked file lies at ``path``; its text is the file beside it."""
    root = _root(path)
    text = read_limited(path.with_suffix(".txt"), _MAX_BYTES).decode("utf-8", "replace")
    brands = [one.get("name", "") for one in root.iterfind("labelDrug")]
    if brands == ["Missing"]:
        brands = [text.strip().partition("\n")[0].rstrip(". ")]
    generics = [one.get("name", "") for one in root.iterfind("generic")]
    ingredients = tuple(sorted({part for name in generics or brands for part in _parts(name)}))
    names = {name.strip().lower() for name in (*brands, *(generics if len(ingredients) == 1 else ()))}
    brand = next(iter(brands), "Drug").title()
    return LabelText(
        set_id=root.get("setID"),
        version=_EDITION.isoformat(),
        title=f"{brand}: label" if brand else "Label",
        publisher="DailyMed, in the NLM corpus of cardiovascular labels",
        ingredients=ingredients,
        names=tuple(sorted(name for name in names if name)),
        rxcuis=(),
        routes=(),
        sections=_sections(text),
        published=_EDITION,
        effective_from=_EDITION,
    )


def _parts(name: str) -> tuple[str, ...]:
    spelled = name.lower().replace("hydrocloride", "hydrochloride")
    return tuple(part.removeprefix("and ") for part in ingredient_names(spelled) if part)


def _sections(text: str) -> dict[str, str]:
    """Return the text under the name of the section that its last heading of a known kind opens."""
    found: dict[str, list[str]] = {}
    section = "description"
    # What was an item or a paragraph stands on a line of its own, some with the marks of its list left in.
    for line in (" ".join(line.split()) for line in re.sub(r"</?[a-z]+>", "\n", text).splitlines()):
        heading = _HEADING.fullmatch(line)
        if heading is not None:
            lower = line.lower()
            section = next((name for word, name in _SECTIONS if word in lower), section)
            # A heading names what the sentences under it speak of: it stays, as a sentence of its own.
            line = f"{line}."
        if line:
            found.setdefault(section, []).append(line)
    return {name: "\n• ".join(lines) for name, lines in found.items()}
