"""Search over passages: by words and by meaning, fused; dates, kinds and sources are filtered inside each of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from retrieval.encoder import Encoder
from retrieval.fusion import DEEP, fused
from retrieval.stored import PassageVector, StoredPassage
from retrieval.vector_search import VectorSearch
from retrieval.wanted import Wanted
from retrieval.word_search import WordSearch

__all__ = ["PassageSearch"]


@dataclass(frozen=True)
class PassageSearch:
    """The passages of one state of the store."""

    words: WordSearch
    meaning: VectorSearch
    encoder: Encoder | None = None

    @staticmethod
    def over(
        passages: Iterable[StoredPassage], vectors: Iterable[PassageVector] = (), encoder: Encoder | None = None
    ) -> "PassageSearch":
        """Build the search; without an encoder vectors are of no use."""
        return PassageSearch(WordSearch(passages), VectorSearch(vectors), encoder)

    def changed(
        self, gone: Sequence[int], passages: Iterable[StoredPassage], vectors: Iterable[PassageVector]
    ) -> "PassageSearch":
        """Return the search of a later state; nothing that stayed is read again."""
        coming = list(passages)
        left = [*gone, *(one.number for one in coming)]
        return PassageSearch(self.words.changed(left, coming), self.meaning.changed(left, vectors), self.encoder)

    def search(self, text: str, limit: int, wanted: Wanted, as_of: date) -> list[tuple[int, float]]:
        """Return numbers and scores of the best passages that are wanted and in force on ``as_of``."""
        depth = max(DEEP, limit)
        rankings = [self.words.best(text, depth, wanted, as_of)]
        if self.encoder is not None and len(self.meaning):
            vector = self.encoder.encode([text])[0]
            rankings.append(self.meaning.best(vector, depth, wanted, as_of))
        return fused(rankings, limit)
