"""Search over passages: words (tantivy) and meaning (exact vectors), fused, with dates and kinds filtered inside."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import tantivy
from numpy.typing import NDArray

from retrieval.encoder import Encoder
from retrieval.fusion import DEEP, fused
from retrieval.stored import StoredPassage

__all__ = ["PassageSearch", "Vectors"]

_ALWAYS, _NEVER = 0, 9_999_999


@dataclass(frozen=True)
class Vectors:
    """The vectors that one encoder made, as float16 bytes by passage number."""

    encoder: Encoder
    rows: Sequence[tuple[int, bytes]]


class PassageSearch:
    """The passages of one state of the store."""

    def __init__(self, passages: Iterable[StoredPassage], vectors: Vectors | None) -> None:
        schema = tantivy.SchemaBuilder()
        schema.add_integer_field("number", stored=True)
        schema.add_text_field("title", tokenizer_name="en_stem")
        schema.add_text_field("text", tokenizer_name="en_stem")
        schema.add_text_field("kind", tokenizer_name="raw")
        schema.add_integer_field("since", indexed=True, fast=True)
        schema.add_integer_field("until", indexed=True, fast=True)
        self._schema = schema.build()
        self._words = tantivy.Index(self._schema)
        writer = self._words.writer(heap_size=64_000_000, num_threads=1)
        filters: dict[int, tuple[int, int, str]] = {}
        for one in passages:
            since, until = _day(one.effective_from, _ALWAYS), _day(one.superseded_on, _NEVER)
            filters[one.number] = (since, until, one.kind)
            writer.add_document(
                tantivy.Document(
                    number=one.number, title=f"{one.title} {one.section}", text=one.text, kind=one.kind,
                    since=since, until=until,
                )
            )  # fmt: skip
        writer.commit()
        writer.wait_merging_threads()
        self._words.reload()
        self._numbers: NDArray[np.int64] = np.empty(0, np.int64)
        if vectors is not None:
            self._take_vectors(vectors, filters)

    def _take_vectors(self, vectors: Vectors, filters: dict[int, tuple[int, int, str]]) -> None:
        rows = [(number, data) for number, data in vectors.rows if number in filters]
        if not rows:
            return
        self._encoder = vectors.encoder
        self._numbers = np.array([number for number, _ in rows], np.int64)
        self._vectors = np.stack([np.frombuffer(data, np.float16) for _, data in rows]).astype(np.float32)
        self._since = np.array([filters[number][0] for number, _ in rows], np.int64)
        self._until = np.array([filters[number][1] for number, _ in rows], np.int64)
        self._kinds = np.array([filters[number][2] for number, _ in rows])

    def search(self, text: str, limit: int, kinds: Sequence[str], as_of: date) -> list[tuple[int, float]]:
        """Return numbers and scores of the best passages of ``kinds`` (any when empty) in force on ``as_of``."""
        depth = max(DEEP, limit)
        rankings = [self._by_words(text, depth, kinds, as_of.toordinal())]
        if len(self._numbers):
            rankings.append(self._by_meaning(text, depth, kinds, as_of.toordinal()))
        return fused(rankings, limit)

    def _by_words(self, text: str, depth: int, kinds: Sequence[str], day: int) -> list[int]:
        words, _ = self._words.parse_query_lenient(text, ["text", "title"], field_boosts={"title": 2.0})
        must = [
            (tantivy.Occur.Must, words),
            (tantivy.Occur.Must, self._range("since", _ALWAYS, day)),
            (tantivy.Occur.Must, self._range("until", day + 1, _NEVER)),
        ]
        if kinds:
            must.append((tantivy.Occur.Must, tantivy.Query.term_set_query(self._schema, "kind", list(kinds))))
        searcher = self._words.searcher()
        hits = searcher.search(tantivy.Query.boolean_query(must), depth).hits
        return [int(searcher.doc(address)["number"][0]) for _, address in hits]

    def _range(self, field: str, low: int, high: int) -> tantivy.Query:
        # Constant, so that an early or late date adds nothing to the score of a text.
        query = tantivy.Query.range_query(self._schema, field, tantivy.FieldType.Integer, low, high)
        return tantivy.Query.const_score_query(query, 0.0)

    def _by_meaning(self, text: str, depth: int, kinds: Sequence[str], day: int) -> list[int]:
        allowed = (self._since <= day) & (day < self._until)
        if kinds:
            allowed &= np.isin(self._kinds, list(kinds))
        places = np.flatnonzero(allowed)
        if not len(places):
            return []
        scores = self._vectors[places] @ self._encoder.encode([text])[0]
        best = np.argsort(-scores, kind="stable")[:depth]
        return [int(self._numbers[places[one]]) for one in best]


def _day(day: date | None, otherwise: int) -> int:
    return otherwise if day is None else day.toordinal()
