"""The document that one label makes: its facts, each with the sentence that states it, its names and its passages."""

import re

from service_contracts.evidence import Fact, FactBody, Source

from retrieval.documents import DrugName, IngestedDocument
from retrieval.drug_names import ingredient_names
from retrieval.labels.interactions import Lexicon, interactions
from retrieval.labels.kidneys import renal_limits
from retrieval.labels.limits import dose_limits
from retrieval.labels.text import LabelText, Sentence, passages

__all__ = ["label_document", "substance_names"]

_MOST_INGREDIENTS = 4
# A bullet, or the reference to a section that ends the sentence before.
_LEADING = re.compile(r"^(?:[•●]|\(\s*\d+(?:\.\d+)?(?:\s*,\s*\d+(?:\.\d+)?)*\s*\)|\s)+")


def substance_names(substances: list[str]) -> tuple[str, ...]:
    """Return the ingredients of a list of substances as a label writes them: ``METFORMIN HYDROCHLORIDE``."""
    found = {" ".join(ingredient_names(one.replace(",", " "))) for one in substances}
    return tuple(sorted(name for name in found if name))


def label_document(label: LabelText, lexicon: Lexicon) -> IngestedDocument:
    """Return the document; ``lexicon`` holds the names by which other drugs are recognised."""
    key = f"label/{label.set_id}"
    source = Source(
        title=label.title,
        publisher=label.publisher,
        identifier=label.identifier or label.set_id,
        version=label.version,
        section="",
        published=label.published,
        effective_from=label.effective_from,
    )
    facts = [_fact(f"{key}/{name}", body, sentence, source) for name, body, sentence in _stated(label, lexicon)]
    names: list[DrugName] = []
    if 0 < len(label.ingredients) <= _MOST_INGREDIENTS:
        names = [DrugName(name, label.ingredients, label.rxcuis) for name in label.names]
    return IngestedDocument(
        key, "label", source, tuple(facts), tuple(passages(key, label.sections)), tuple(dict.fromkeys(names))
    )


def _stated(label: LabelText, lexicon: Lexicon) -> list[tuple[str, FactBody, Sentence]]:
    found: list[tuple[str, FactBody, Sentence]] = []
    for dose, sentence in dose_limits(label):
        route = "" if len(label.routes) == 1 else f"-{_slug(str(dose.route))}"
        found.append((f"dose{route}", dose, sentence))
    for renal, sentence in renal_limits(label):
        found.append((f"renal-{renal.measure}-{renal.below.value:g}", renal, sentence))
    for interaction, sentence in interactions(label, lexicon):
        own = label.ingredients == (interaction.a,)
        sides = (interaction.b,) if own else (interaction.a, interaction.b)
        named = "--".join(_slug(side) for side in sides)
        found.append((f"interaction-{named}-{interaction.severity}", interaction, sentence))
    return found


def _slug(words: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", words)


def _fact(fact_id: str, body: FactBody, sentence: Sentence, source: Source) -> Fact:
    statement = _LEADING.sub("", sentence.text).strip()
    return Fact(
        id=fact_id,
        body=body,
        statement=statement,
        verbatim=True,
        source=source.model_copy(update={"section": sentence.section.replace("_", " ")}),
    )
