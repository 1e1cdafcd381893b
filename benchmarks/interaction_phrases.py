"""Words for classes in the sections on interactions of labels that were held out while the rules were written.

A phrase is found by rule, without regard to what the reader knows: a noun for medicines ("drugs", "inhibitors") with
the words before or after it that say which. It is resolved when the reader takes some of it for a class.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from retrieval.drug_names import CLASS_PREFIX
from retrieval.importers.nlm_corpus import label_of
from retrieval.importers.openfda import OpenFdaLabels
from retrieval.labels.interactions import Lexicon, interactions
from retrieval.labels.text import LabelText
from service_contracts.evidence import Interaction

__all__ = ["Phrases", "held_out", "measure_phrases", "phrases"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_QUARTER = 4
_THINGS = r"drugs?|agents?|medications?|medicines?|products?|substances?|compounds?"
_ROLES = (
    r"inhibitors?|inducers?|substrates?|blockers?|antagonists?|agonists?|stimulants?|depressants?"
    r"|relaxants?|suppressants?"
)
_KINDS = r"diuretics?|an[a]?esthetics?|antibiotics?|vaccines?|analgesics?|supplements?"
# Words that stand before such a noun and do not say which medicines are meant.
_NO_KIND = _words(
    "the a an of with and or in on by for to as is are was were be been may can should must will would other"
    " these those this that such any some all certain many several both either each when if from not no than"
    " following use using taking receiving administration concomitant concomitantly concurrent concurrently"
    " including new between into also two three more most has have had its their coadministered co-"
    " administered administered during which who drug drugs interactions interaction section clinical impact"
    " intervention examples example include includes oral active parent prescription non-prescription over-"
    " the-counter approved investigational interacting multiple additional individual specific study patients"
    " reduce increase avoid monitor consider effects effect significant clinically important potential known"
    " related combination combined different used various alternative generic interacting single same one"
    " after before due because since while whether however only given treated starting stopping initiating"
    " discontinuing via strong moderate potent weak"
)
_PHRASE = re.compile(
    rf"(?<![\w-])(?P<before>(?:[A-Za-zα-ω][\w/α-ω-]*\s+){{0,3}})(?P<noun>{_THINGS}|{_ROLES}|{_KINDS})\b(?!\s+(?:interactions?|label))"
    r"(?P<after>\s+(?:that|which|known to|with (?:a |an )?(?:known |narrow )|of|inhibiting|inducing|causing|affecting"
    r"|prolonging|metaboli[sz]ed by|transported by)\b[^.,;:()•\[\]]{3,60})?",
    re.I,
)


@dataclass
class Phrases:
    """What was found in some labels."""

    labels: int = 0
    found: int = 0
    resolved: int = 0
    stated: int = 0
    """Of those resolved, how many the label is read to state an interaction with."""
    unresolved: Counter[str] = field(default_factory=Counter)
    read: list[tuple[str, str, str]] = field(default_factory=list)
    """Each phrase with what surrounds it and the classes that it is taken for, for those who read a sample."""


def held_out(label: LabelText, corpus: frozenset[str]) -> bool:
    """Whether a label is of the quarter held out: by its first substance, and of no drug of the NLM's corpus."""
    if not label.ingredients or corpus & frozenset(label.ingredients):
        return False
    return hashlib.sha256(label.ingredients[0].encode()).digest()[0] % _QUARTER == 0


def phrases(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield the phrases of a text that say which medicines they mean, and where they stand."""
    for match in _PHRASE.finditer(text):
        words = match["before"].split()
        telling = []
        for word in reversed(words):
            if word.lower() in _NO_KIND or not word[0].isalnum():
                break
            telling.append(word)
        generic = re.fullmatch(rf"{_THINGS}|{_ROLES}", match["noun"], re.I)
        if generic and not telling and not match["after"]:
            continue
        start = match.start("noun") - sum(len(word) + 1 for word in telling) if telling else match.start("noun")
        yield " ".join(text[start : match.end()].split()), start, match.end()


def measure_phrases(folder: Path, known: frozenset[str]) -> dict[bool, Phrases]:
    """Return what is resolved in openFDA's labels: True for the quarter held out, False for the others."""
    marked = (folder / "drug_interactions" / "nlm_cv_ddi").glob("*.xml")
    corpus = frozenset(name for path in marked for name in label_of(path).ingredients)
    importer = OpenFdaLabels(known)
    (path,) = importer.inputs(folder / "drug_labels" / "openfda_875")
    lexicon = Lexicon(known)
    found = {True: Phrases(), False: Phrases()}
    for label in importer.labels(path):
        _count(label, lexicon, found[held_out(label, corpus)])
    return found


def _count(label: LabelText, lexicon: Lexicon, into: Phrases) -> None:
    text = label.sections.get("drug_interactions", "")
    if not text:
        return
    into.labels += 1
    classes = [one for one in lexicon.mentions(text) if one.name.startswith(CLASS_PREFIX)]
    sides = _sides(one for one, _ in interactions(label, lexicon))
    seen: set[str] = set()
    for phrase, start, end in phrases(text):
        if phrase.lower() in seen:
            continue
        seen.add(phrase.lower())
        into.found += 1
        names = {one.name for one in classes if one.start < end and start < one.end}
        into.resolved += bool(names)
        into.stated += bool(names & sides)
        around = " ".join(text[max(0, start - 80) : end + 60].split())
        into.read.append((phrase, around, ", ".join(sorted(names))))
        if not names:
            into.unresolved[phrase.lower()] += 1


def _sides(found: Iterable[Interaction]) -> set[str]:
    return {side for one in found for side in (one.a, one.b)}
