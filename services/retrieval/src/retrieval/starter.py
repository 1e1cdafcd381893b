"""The starter knowledge that ships with the service, and any file of facts in the same format."""

from collections.abc import Iterable
from datetime import date
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import yaml
from pydantic import ConfigDict, ValidationError
from service_contracts.evidence import Fact, FactBody, Source
from service_contracts.model import Contract

from retrieval.documents import DrugName, IngestedDocument
from retrieval.drug_classes import label_classes
from retrieval.index import Index, WriteCounts

__all__ = [
    "STARTER_PREFIX",
    "FactFileRefused",
    "load_starter",
    "read_fact_file",
    "read_name_file",
    "starter_documents",
    "starter_names",
]

STARTER_PREFIX = "starter/"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class FactFileRefused(Exception):
    """A file of facts that is not in the format, with the place that is wrong."""


class _Entry(Contract):
    """One entry of ``facts``: a fact with the key of its source and the section of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    source: str
    section: str
    statement: str
    body: FactBody
    verbatim: bool = False


def read_fact_file(name: str, text: str, prefix: str) -> list[IngestedDocument]:
    """Return the documents of one file: one for each entry of ``sources``, holding the facts read in it.

    Raises ``FactFileRefused``; a file is taken whole or not at all.
    """
    try:
        raw = yaml.load(text, Loader=_LOADER)  # noqa: S506  the loader is a safe one
    except yaml.YAMLError as error:
        raise FactFileRefused(f"{name}: not YAML ({error})") from None
    if not isinstance(raw, dict) or not isinstance(raw.get("sources"), dict):
        raise FactFileRefused(f"{name}: no `sources`")
    sources = {key: _source(name, key, value) for key, value in raw["sources"].items()}
    facts: dict[str, list[Fact]] = {key: [] for key in sources}
    for place, value in enumerate(raw.get("facts") or []):
        entry = _entry(name, place, value)
        source = sources.get(entry.source)
        if source is None:
            raise FactFileRefused(f"{name}: {entry.id} names the source {entry.source}, which is not there")
        facts[entry.source].append(
            Fact(
                id=entry.id,
                body=entry.body,
                statement=" ".join(entry.statement.split()),
                verbatim=entry.verbatim,
                source=source.model_copy(update={"section": entry.section}),
            )
        )
    return [
        IngestedDocument(f"{prefix}{name}/{key}", "starter", source, facts=tuple(facts[key]))
        for key, source in sources.items()
    ]


def _source(file: str, key: str, value: Any) -> Source:
    try:
        fields = {name: str(one) if name == "version" else one for name, one in value.items()}
        return Source.model_validate({"section": "", **fields})
    except (ValidationError, AttributeError) as error:
        raise FactFileRefused(f"{file}: source {key}: {_places(error)}") from None


def _entry(file: str, place: int, value: Any) -> _Entry:
    try:
        return _Entry.model_validate(value)
    except ValidationError as error:
        named = value.get("id", place) if isinstance(value, dict) else place
        raise FactFileRefused(f"{file}: fact {named}: {_places(error)}") from None


def _places(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return "not a mapping"
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_input=False)[:5])


def read_name_file(name: str, text: str, prefix: str) -> IngestedDocument:
    """Return the document of a table of drug names (see the header of ``drug_names.yaml``)."""
    raw = yaml.load(text, Loader=_LOADER)  # noqa: S506  the loader is a safe one
    names = [
        DrugName(str(one).lower(), tuple(row["ingredients"]), (row["rxcui"],) if "rxcui" in row else ())
        for row in raw["names"]
        for one in row["called"]
    ]
    classes = [DrugName(f"class:{key}", tuple(members)) for key, members in raw["classes"].items()]
    source = Source.model_validate({"section": "names", **raw["source"]})
    return IngestedDocument(f"{prefix}{name}", "starter", source, names=(*names, *classes))


@cache
def starter_documents() -> tuple[IngestedDocument, ...]:
    """Return the documents of every file of facts that ships with the service, and of its table of names."""
    names = files("retrieval").joinpath("drug_names.yaml")
    documents = [read_name_file(names.name, names.read_text("utf-8"), STARTER_PREFIX)]
    documents.append(_class_document())
    for file in _fact_files():
        documents += read_fact_file(file.name, file.read_text("utf-8"), STARTER_PREFIX)
    return tuple(documents)


@cache
def starter_names() -> dict[str, str]:
    """Return every name of one substance in the table of names, and the ingredient that it stands for."""
    table = starter_documents()[0].names
    return {
        one.name: one.ingredients[0]
        for one in table
        if len(one.ingredients) == 1 and not one.name.startswith("class:") and ":" not in one.ingredients[0]
    }


def _class_document() -> IngestedDocument:
    source = Source(
        title="Classes of medicines that labels speak of",
        publisher="Preceptor",
        identifier="preceptor:drug-classes",
        version="1",
        section="classes",
        retrieved=date(2026, 11, 25),
    )
    names = tuple(DrugName(f"class:{one.name}", one.members) for one in label_classes().values() if one.members)
    return IngestedDocument(f"{STARTER_PREFIX}drug_classes.yaml", "starter", source, names=names)


def _fact_files() -> Iterable[Traversable]:
    folder = files("retrieval").joinpath("knowledge")
    return sorted((file for file in folder.iterdir() if file.name.endswith(".yaml")), key=lambda file: file.name)


async def load_starter(index: Index) -> WriteCounts:
    """Bring the starter knowledge of this release into the index; what an earlier release had and it has not, goes."""
    documents = starter_documents()
    counts = await index.write(documents)
    gone = set(await index.keys(STARTER_PREFIX)) - {document.key for document in documents}
    if gone:
        await index.remove(sorted(gone))
    return counts
