"""What keeps a large embedded index usable: nobody waits for reading it, and nothing is read for nothing."""

import os
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest
from retrieval.sqlcipher_store import SqlCipherStore

KINDS = ("guideline", "label")


@pytest.fixture
def store(tmp_path):
    made = SqlCipherStore(tmp_path / "index.db", os.urandom(32))
    yield made
    made.close()


@pytest.fixture
def write(store, make):
    def write(key, *texts, kind="label"):
        store.write([make.document(key, kind=kind, passages=texts)], None)

    return write


def embed(store, encoder, rows):
    store.add_vectors(encoder, [(number, np.zeros(4, np.float16).tobytes()) for number, *_ in rows])


def test_nobody_waits_for_a_state_that_is_read_and_that_state_stays_as_it_was(store, write):
    write("label/1", "one", "two")
    with ThreadPoolExecutor(1) as other, store.file.snapshot():
        rows = store.passages()
        first = next(rows)
        assert other.submit(store.passage, first.number).result(timeout=5)[1] == "one"
        other.submit(write, "label/2", "three").result(timeout=5)
        assert other.submit(store.counts).result(timeout=5)["passage"] == 3
        assert [one.text for one in (first, *rows)] == ["one", "two"]
    assert [one.text for one in store.passages()] == ["one", "two", "three"]


def test_what_was_overwritten_leaves_the_log_only_when_nobody_reads_it(store, write, tmp_path):
    write("label/1", "one")
    reading, done = Event(), Event()

    def read():
        with store.file.snapshot():
            list(store.passages())
            reading.set()
            done.wait(5)

    with ThreadPoolExecutor(2) as others:
        others.submit(read)
        reading.wait(5)
        forgetting = others.submit(store.file.forget_log)
        assert not forgetting.done()
        done.set()
        forgetting.result(timeout=5)
    log = tmp_path / "index.db-wal"
    assert log.stat().st_size == 0


def test_a_state_is_never_whole_in_memory(store, write):
    for number in range(20):
        write(f"label/{number}", *(f"{number} {one} " + "x" * 5000 for one in range(40)))
    tracemalloc.start()
    with store.file.snapshot():
        read = sum(len(one.text) for one in store.passages())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert read > 4_000_000
    assert most < 400_000


def test_passages_without_a_vector_are_found_in_turn_and_again_when_another_encoder_took_their_place(store, write):
    for number in range(6):
        write(f"label/{number}", f"text {number}")
    embed(store, "b", store.without_vector("b", KINDS, 10))
    seen = []
    while rows := store.without_vector("a", KINDS, 2):
        seen += [text for _, _, text in rows]
        embed(store, "a", rows)
    assert seen == [f"text {number}" for number in range(6)]
    write("label/7", "new")
    assert [text for _, _, text in store.without_vector("a", KINDS, 2)] == ["new"]
    # Another process gives the first ones to another encoder while this one is far beyond them.
    embed(store, "b", store.without_vector("b", KINDS, 2))
    assert [text for _, _, text in store.without_vector("a", KINDS, 1)] == ["new"]
    embed(store, "a", store.without_vector("a", KINDS, 1))
    assert {text for _, _, text in store.without_vector("a", KINDS, 9)} == {"text 0", "text 1"}


def test_only_vectors_that_changed_are_read_again(store, write, make):
    write("label/1", "one")
    write("label/2", "two")
    embed(store, "a", store.without_vector("a", KINDS, 9))
    before = store.state().change
    write("label/3", "three")
    embed(store, "a", store.without_vector("a", KINDS, 9))
    assert [one.number for one in store.vectors("a", before)] == [3]
    store.write([make.document("label/1", passages=["one, later"], version="2")], None)
    # The first version ends with the second: what is filtered by has changed, and its vector comes again.
    assert [one.number for one in store.vectors("a", before)] == [1, 3]
