"""Documents as rows and back. Pure.

A version of a document is one row with its facts and names, and one row for each passage. Rows are never changed, only
added and marked as removed; what becomes of a version when a later one arrives is a new row.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from service_contracts.evidence import Fact, Passage, Source

from retrieval.documents import DrugName, IngestedDocument, PassageText, as_ingested
from retrieval.stored import StoredFact, content_of, heading, with_last_day
from retrieval.wanted import ALWAYS, NEVER

__all__ = [
    "KEPT",
    "DocumentRow",
    "Row",
    "document_row",
    "passage_rows",
    "read_facts",
    "read_names",
    "read_passage",
    "read_quoted",
]

Row = dict[str, Any]
KEPT = ("id", "text", "until", "body")
"""The fields of a passage that an answer needs."""


@dataclass(frozen=True)
class DocumentRow:
    """A version of a document as it is kept."""

    id: str
    key: str
    version: str
    digest: str
    arrived: int
    source: Source
    superseded_on: date | None
    content: Row

    @property
    def weight(self) -> int:
        """What this version adds to the content of the index."""
        until = None if self.superseded_on is None else self.superseded_on.isoformat()
        return content_of(self.key, self.version, self.digest, until)

    @property
    def counts(self) -> dict[str, int]:
        """How much of each it holds."""
        return {"document": 1, **{name: int(self.content[f"{name}s"]) for name in ("fact", "passage", "drug_name")}}

    @staticmethod
    def read(row_id: str, row: Mapping[str, Any]) -> "DocumentRow":
        """Return the version that a row keeps."""
        return DocumentRow(
            row_id,
            row["key"],
            row["version"],
            row["digest"],
            row["arrived"],
            Source.model_validate_json(row["body"]["source"]),
            _date(row.get("superseded_on")),
            dict(row),
        )


def document_row(document: IngestedDocument, arrived: int, until: date | None) -> Row:
    """Return the row of a version that is new."""
    row = {
        "type": "document",
        "key": document.key,
        "version": document.version,
        "kind": document.kind,
        "digest": document.digest,
        "arrived": arrived,
        "has_knowledge": bool(document.facts or document.names),
        "facts": len({fact.id for fact in document.facts}),
        "passages": len(document.passages),
        "drug_names": len(document.names),
        "body": {
            "source": document.source.model_dump_json(),
            "facts": [fact.model_dump_json() for fact in {fact.id: fact for fact in document.facts}.values()],
            "names": [[one.name, one.ingredients, one.rxcuis] for one in document.names],
        },
    }
    if until is not None:
        row["superseded_on"] = until.isoformat()
    return row


def passage_rows(document: IngestedDocument, document_id: str, until: date | None) -> Iterator[Row]:
    """Yield the rows of the passages of a version that is new."""
    source = document.source
    for place, one in enumerate(document.passages):
        yield {
            "document": document_id,
            "place": place,
            "id": one.id,
            "kind": document.kind,
            "publisher": source.publisher,
            "version": document.version,
            "since": _day(source.effective_from, ALWAYS),
            "until": _day(until, NEVER),
            "title": heading(source.title, one.section),
            "text": one.text,
            "body": {"source": source.model_dump_json(), "section": one.section},
        }


def read_facts(rows: Iterable[DocumentRow]) -> Iterator[StoredFact]:
    """Yield the facts of versions, with the dates these have by now."""
    for row in rows:
        for body in row.content["body"]["facts"]:
            fact = with_last_day(Fact.model_validate_json(body), row.superseded_on)
            yield StoredFact(fact, row.source.effective_from, row.superseded_on)


def read_names(rows: Iterable[DocumentRow]) -> list[DrugName]:
    """Return the names of versions, those of the starter table first."""
    found = [
        (row.content["kind"] != "starter", row.key, DrugName(name, tuple(ingredients), tuple(rxcuis)))
        for row in rows
        for name, ingredients, rxcuis in row.content["body"]["names"]
    ]
    found.sort(key=lambda one: (one[0], one[1], one[2].name))
    return [name for *_, name in found]


def read_passage(row: Mapping[str, Any], score: float) -> Passage:
    """Return the passage that a row keeps."""
    source = Source.model_validate_json(row["body"]["source"])
    changed = {"section": row["body"]["section"], "superseded_on": _last_day(row["until"])}
    source = source.model_copy(update=changed)
    return Passage(id=row["id"], text=row["text"], source=source, score=score)


def read_quoted(document: Mapping[str, Any], rows: Iterable[Mapping[str, Any]], found: Passage) -> Passage | None:
    """Return a passage out of the rows of its version, None when these are not what came in."""
    ordered = sorted(rows, key=lambda row: row["place"])
    passages = tuple(PassageText(row["id"], row["body"]["section"], row["text"]) for row in ordered)
    source = Source.model_validate_json(document["body"]["source"])
    whole = IngestedDocument(document["key"], document["kind"], source, (), passages)
    kept = as_ingested(whole, document["digest"], found.id)
    if kept is None:
        return None
    until = min(row["until"] for row in ordered)
    source = source.model_copy(update={"section": kept.section, "superseded_on": _last_day(until)})
    return Passage(id=kept.id, text=kept.text, source=source, score=found.score)


def _last_day(until: int) -> date | None:
    return None if until == NEVER else date.fromordinal(until)


def _day(day: date | None, otherwise: int) -> int:
    return otherwise if day is None else day.toordinal()


def _date(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
