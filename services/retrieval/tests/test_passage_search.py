"""Words and meaning together: fused, with dates and kinds filtered inside each of them."""

from datetime import date

import numpy as np
import pytest
from retrieval.passage_search import PassageSearch
from retrieval.stored import PassageVector, StoredPassage
from retrieval.vector_search import VectorSearch
from retrieval.wanted import Wanted

TOPICS = {"kidney": 0, "renal": 0, "heart": 1, "cardiac": 1, "sleep": 2}
TODAY = date(2026, 1, 1)


class TopicEncoder:
    """Knows which words mean the same: enough to tell meaning from letters."""

    name = "topics"

    def encode(self, texts):
        rows = np.full((len(texts), 3), 0.01, np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                if word in TOPICS:
                    row[TOPICS[word]] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


PASSAGES = [
    StoredPassage(1, "guideline", "T", "S", "renal function", None, None),
    StoredPassage(2, "guideline", "T", "S", "cardiac function", None, date(2020, 1, 1)),
    StoredPassage(3, "label", "T", "S", "cardiac output", date(2021, 1, 1), None),
    StoredPassage(4, "label", "T", "S", "sleep hygiene", None, None),
]


def vector(one):
    data = TopicEncoder().encode([one.text])[0].astype(np.float16).tobytes()
    dates = one.effective_from, one.superseded_on
    return PassageVector(one.number, data, one.kind, *dates, one.publisher, one.version)


@pytest.fixture(scope="module")
def search():
    encoder = TopicEncoder()
    return PassageSearch.over(PASSAGES, [vector(one) for one in PASSAGES], encoder)


def numbers(search, text, *, limit=1, kinds=(), as_of=TODAY):
    return [number for number, _ in search.search(text, limit, Wanted(kinds), as_of)]


def test_meaning_finds_what_words_do_not(search):
    assert numbers(search, "kidney") == [1]
    assert numbers(PassageSearch.over(PASSAGES), "kidney") == []


@pytest.mark.parametrize(
    ("as_of", "kinds", "found"),
    [
        (TODAY, (), {1, 3, 4}),
        (date(2019, 1, 1), (), {1, 2, 4}),
        (date(2020, 1, 1), (), {1, 4}),
        (TODAY, ("label",), {3, 4}),
        (TODAY, ("policy",), set()),
    ],
)
def test_dates_and_kinds_hold_for_both_ways_of_finding(search, as_of, kinds, found):
    assert set(numbers(search, "cardiac heart", limit=10, kinds=kinds, as_of=as_of)) == found


def test_what_both_ways_find_comes_before_what_one_finds(search):
    assert numbers(search, "cardiac", limit=3)[0] == 3


def test_a_passage_without_vector_is_found_by_its_words():
    encoder = TopicEncoder()
    search = PassageSearch.over(PASSAGES, [vector(PASSAGES[0])], encoder)
    assert 4 in numbers(search, "hygiene", limit=2)


def test_a_filtered_search_is_as_deep_as_an_unfiltered_one():
    many = [StoredPassage(n, "label", "T", "S", "renal words", None, date(2020, 1, 1)) for n in range(1, 400)]
    current = StoredPassage(500, "label", "T", "S", "renal words", date(2020, 1, 1), None)
    assert numbers(PassageSearch.over([*many, current]), "renal words", limit=5) == [500]


def test_after_many_changes_the_vectors_are_those_of_a_search_that_begins_anew(monkeypatch):
    monkeypatch.setattr("retrieval.vector_search._ROWS_AT_ONCE", 40)
    chance = np.random.default_rng(3)

    def row(number, publisher):
        data = chance.standard_normal(8).astype(np.float32)
        unit = (data / np.linalg.norm(data)).astype(np.float16)
        return PassageVector(number, unit.tobytes(), "label", None, None, publisher, "1")

    there = {number: row(number, "A") for number in range(100)}
    search = VectorSearch(there.values())
    for change in range(60):
        gone = [int(one) for one in chance.choice(sorted(there), 2, replace=False)]
        again = next(number for number in there if number not in gone)
        coming = [row(1000 - change, "B"), row(again, "C")]
        there = {number: one for number, one in there.items() if number not in gone}
        there |= {one.number: one for one in coming}
        search = search.changed(gone, coming)
    afresh = VectorSearch(there.values())
    assert len(search) == len(afresh) == len(there)
    for wanted in (Wanted(), Wanted(publishers=("A",)), Wanted(publishers=("B", "C"))):
        question = chance.standard_normal(8).astype(np.float32)
        assert search.best(question, 30, wanted, TODAY) == afresh.best(question, 30, wanted, TODAY)
