"""Pairs that the NLM's annotators marked in label text, looked for in an index of nothing but those texts."""

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from lxml import etree
from retrieval.drug_classes import label_classes
from retrieval.drug_names import CLASS_PREFIX, combined
from retrieval.importers.nlm_corpus import NlmLabelTexts, StatedPair, label_of, stated_pairs
from retrieval.index import Index
from retrieval.ingest import ingest
from retrieval.labels.interactions import Lexicon, spoken_sides
from retrieval.labels.text import LabelText
from retrieval.starter import starter_documents
from service_contracts.evidence import Interaction

from benchmarks.interaction_sources import evidence_of

__all__ = ["Half", "measure_labels"]

_MEMBERS_ASKED = 3
_NARROW = ("The label contraindicates", "The label says to avoid")


@dataclass
class Half:
    """What was found of the pairs of some documents."""

    documents: int = 0
    pairs: int = 0
    found: int = 0
    narrow: int = 0
    unknown: int = 0
    stated_right: int = 0
    stated_wrong: int = 0
    missed: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Half") -> "Half":
        """Return both together."""
        return Half(
            self.documents + other.documents, self.pairs + other.pairs, self.found + other.found,
            self.narrow + other.narrow, self.unknown + other.unknown, self.stated_right + other.stated_right,
            self.stated_wrong + other.stated_wrong, self.missed + other.missed,
        )  # fmt: skip


def in_first_half(label: LabelText, root: etree._Element) -> bool:
    """Whether a document is of the half that was developed on: all labels of one first substance are in one half."""
    generics = [one.get("name", "") for one in root.iterfind("generic")]
    generics = generics or [one.get("name", "") for one in root.iterfind("labelDrug")]
    first = re.split(r"\W+", generics[0].lower())[0] if generics else label.set_id
    return hashlib.sha256(first.encode()).digest()[0] % 2 == 0


async def measure_labels(index: Index, folder: Path, known: frozenset[str]) -> dict[bool, Half]:
    """Fill an empty index with names and label texts, and ask it about each marked pair; True is the developed half."""
    await index.write([document for document in starter_documents() if not document.facts])
    importer = NlmLabelTexts(known)
    paths = importer.inputs(folder / "drug_interactions" / "nlm_cv_ddi")
    for path in paths:
        await ingest(index, importer, path)
    await index.refresh()
    lexicon = Lexicon(known)
    halves = {True: Half(), False: Half()}
    for path in paths:
        root, label = etree.fromstring(path.read_bytes()), label_of(path)
        which = in_first_half(label, root)
        halves[which] = halves[which].add(await _one(index, root, label, lexicon))
    return halves


async def _one(index: Index, root: etree._Element, label: LabelText, lexicon: Lexicon) -> Half:
    half = Half(documents=1)
    seen: set[tuple[str, ...]] = set()
    for pair in stated_pairs(root):
        sides = _sides_of(pair, label, lexicon)
        key = tuple(sorted((str(sides[0] or pair.first.lower()), str(sides[1] or pair.second.lower()))))
        if key in seen:
            continue
        seen.add(key)
        half.pairs += 1
        if not sides[0] or not sides[1]:
            half.unknown += 1
            half.missed[f"words that name no known drug or class: {(pair.second if sides[0] else pair.first)!r}"] += 1
            continue
        found, narrow = await _stated(index, sides, label)
        half.found += found
        half.narrow += narrow
        if not found:
            half.missed["both sides are known, the sentence is not read as a statement about them"] += 1
    await _judge(index, root, label, lexicon, half, seen)
    return half


async def _judge(
    index: Index, root: etree._Element, label: LabelText, lexicon: Lexicon, half: Half, true: set[tuple[str, ...]]
) -> None:
    """Count, among the pairs that annotators looked at, those stated rightly and those that they say are none."""
    half.stated_right = half.found
    seen = set(true)
    for sentence in root.iterfind("sentence"):
        texts = {one.get("id"): one.get("text") for one in sentence.iter("entity") if one.get("text")}
        for pair in sentence.iterfind("pair"):
            first, second = texts.get(pair.get("e1")), texts.get(pair.get("e2"))
            if pair.get("ddi") == "true" or not first or not second:
                continue
            sides = _sides_of(StatedPair(first, second, "", sentence.get("text") or ""), label, lexicon)
            key = tuple(sorted((str(sides[0]), str(sides[1]))))
            if not sides[0] or not sides[1] or sides[0] == sides[1] or key in seen:
                continue
            seen.add(key)
            found, _ = await _stated(index, sides, label)
            half.stated_wrong += found


def _sides_of(pair: StatedPair, label: LabelText, lexicon: Lexicon) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return both sides. Where both would be this label's drug, a class stands for the others of the class."""
    first, second = pair.first, pair.second
    a, b = (spoken_sides(text, label, lexicon, pair.sentence, pair.before) for text in (first, second))
    if _own(a, label) and _own(b, label):
        mentions = (lexicon.mentions(text, pair.sentence) for text in (first, second))
        others = [tuple(one.name for one in found if one.name.startswith(CLASS_PREFIX))[:1] for found in mentions]
        if others[1]:
            b = others[1]
        elif others[0]:
            a = others[0]
    return a, b


def _own(side: tuple[str, ...], label: LabelText) -> bool:
    return bool(side) and all(one in label.ingredients or combined(one) for one in side)


async def _stated(index: Index, sides: tuple[tuple[str, ...], tuple[str, ...]], label: LabelText) -> tuple[bool, bool]:
    """Whether this label's text is cited for every way to ask: each ingredient, and members of a class."""
    ways = [
        (one, other)
        for a in sides[0]
        for b in sides[1]
        for one in _asked(a, label)
        for other in _asked(b, label)
        if one != other
    ]
    if not ways:
        return False, False
    narrow = True
    for one, other in ways:
        evidence = await evidence_of(index, *one, *other)
        facts = [
            fact.body.effect
            for fact in evidence.facts
            if fact.source.identifier == label.set_id and isinstance(fact.body, Interaction)
        ]
        if not facts:
            return False, False
        narrow = narrow and any(effect.startswith(_NARROW) for effect in facts)
    return True, narrow


def _asked(side: str, label: LabelText) -> list[tuple[str, ...]]:
    if combined(side):
        return [tuple(sorted(combined(side)))]
    if side.startswith(CLASS_PREFIX):
        members = label_classes()[side.removeprefix(CLASS_PREFIX)].members
        asked: list[tuple[str, ...]] = [(one,) for one in members if one not in label.ingredients]
        return asked[:_MEMBERS_ASKED]
    return [(side,)]
