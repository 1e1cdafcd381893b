"""Search by words in memory (tantivy): one field, since a word means the same in title and text."""

from collections.abc import Iterable
from datetime import date

import tantivy

from retrieval.stored import StoredPassage, heading
from retrieval.wanted import ALWAYS, NEVER, Wanted

__all__ = ["WordSearch"]

_MOST_WORDS = 256
_FIRST_HEAP, _LATER_HEAP = 64_000_000, 15_000_000


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("number", stored=True, indexed=True)
    # Frequencies without positions: no phrase is ever searched for.
    builder.add_text_field("words", tokenizer_name="en_stem", index_option="freq")
    for name in ("kind", "publisher", "version"):
        builder.add_text_field(name, tokenizer_name="raw")
    builder.add_integer_field("since", indexed=True, fast=True)
    builder.add_integer_field("until", indexed=True, fast=True)
    return builder.build()


_SCHEMA = _schema()


def _analyzer() -> tantivy.TextAnalyzer:
    """What ``en_stem`` does: a text that is searched for is words, never a query language."""
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    builder = builder.filter(tantivy.Filter.remove_long(40)).filter(tantivy.Filter.lowercase())
    return builder.filter(tantivy.Filter.stemmer("english")).build()


_STEMS = _analyzer()


class WordSearch:
    """The words of one state of the passages. A later state shares the index; each keeps the searcher of its own."""

    def __init__(self, passages: Iterable[StoredPassage], index: tantivy.Index | None = None) -> None:
        self._index = index or tantivy.Index(_SCHEMA)
        if index is None:
            self._change((), passages, _FIRST_HEAP)
        self._searcher = self._index.searcher()

    def changed(self, gone: Iterable[int], passages: Iterable[StoredPassage]) -> "WordSearch":
        """Return the search of a later state: some passages gone, others new or in the place of what they were."""
        self._change(gone, passages, _LATER_HEAP)
        return WordSearch((), self._index)

    def _change(self, gone: Iterable[int], passages: Iterable[StoredPassage], heap: int) -> None:
        writer = self._index.writer(heap_size=heap, num_threads=1)
        for number in gone:
            writer.delete_documents_by_term("number", number)
        for one in passages:
            writer.add_document(
                tantivy.Document(
                    number=one.number,
                    words=f"{heading(one.title, one.section)} {one.text}",
                    kind=one.kind,
                    publisher=one.publisher,
                    version=one.version,
                    since=ALWAYS if one.effective_from is None else one.effective_from.toordinal(),
                    until=NEVER if one.superseded_on is None else one.superseded_on.toordinal(),
                )
            )
        writer.commit()
        writer.wait_merging_threads()
        self._index.reload()

    def best(self, text: str, depth: int, wanted: Wanted, as_of: date) -> list[int]:
        """Return the numbers of the best passages for the words of a text."""
        words = dict.fromkeys(_STEMS.analyze(text)[:_MOST_WORDS])
        if not words:
            return []
        day = as_of.toordinal()
        any_word = [(tantivy.Occur.Should, tantivy.Query.term_query(_SCHEMA, "words", word)) for word in words]
        must = [tantivy.Query.boolean_query(any_word), _range("since", ALWAYS, day), _range("until", day + 1, NEVER)]
        for name, values in wanted.marks():
            # Constant, so that a rare publisher adds nothing to the score of a text.
            chosen = tantivy.Query.term_set_query(_SCHEMA, name, list(values))
            must.append(tantivy.Query.const_score_query(chosen, 0.0))
        query = tantivy.Query.boolean_query([(tantivy.Occur.Must, one) for one in must])
        hits = self._searcher.search(query, depth, count=False).hits
        return [int(self._searcher.doc(address)["number"][0]) for _, address in hits]


def _range(field: str, low: int, high: int) -> tantivy.Query:
    query = tantivy.Query.range_query(_SCHEMA, field, tantivy.FieldType.Integer, low, high)
    return tantivy.Query.const_score_query(query, 0.0)
