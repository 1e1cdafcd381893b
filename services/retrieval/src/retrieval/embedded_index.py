"""The embedded index: an encrypted file on disk, facts and search structures in memory."""

import asyncio
import fcntl
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from service_contracts.evidence import Evidence, EvidenceQuery, Passage, PassageQuery
from service_runtime.secrets import SecretStore

from retrieval.documents import IngestedDocument, as_ingested
from retrieval.drug_names import CLASS_PREFIX
from retrieval.encoder import Encoder
from retrieval.fact_base import FactBase
from retrieval.index import Checkpoint, Vector, WriteCounts
from retrieval.index_key import INDEX_FILE, index_key
from retrieval.passage_search import PassageSearch
from retrieval.sqlcipher_store import SqlCipherStore, State
from retrieval.stored import PassageVector, Unembedded
from retrieval.vector_search import VectorSearch
from retrieval.wanted import Wanted

__all__ = ["EmbeddedIndex", "one_at_a_time", "open_embedded_index"]

_BATCH = 20


@dataclass(frozen=True)
class _View:
    """What is searched: one state of the file, replaced as a whole."""

    state: State
    facts: FactBase
    passages: PassageSearch

    @property
    def version(self) -> str:
        return f"embedded-{self.state.content[:16]}"


_UNREAD = State(-1, "unread")


class EmbeddedIndex:
    """See ``Index``. Made by ``open_embedded_index``."""

    def __init__(self, store: SqlCipherStore, encoder: Encoder | None = None, *, read: bool = True) -> None:
        self._store = store
        self._encoder = encoder
        self._reading = asyncio.Lock()
        self._view = _View(_UNREAD, FactBase((), ()), PassageSearch.over(()))
        if read:
            self._view = self._read(self._view)

    @property
    def version(self) -> str:
        """See ``Index.version``."""
        return self._view.version

    @property
    def batch(self) -> int:
        """See ``Index.batch``."""
        return _BATCH

    @property
    def store(self) -> SqlCipherStore:
        """The file, for those who look at what is kept."""
        return self._store

    def use_encoder(self, encoder: Encoder) -> None:
        """See ``Index.use_encoder``."""
        self._encoder = encoder

    async def evidence(self, query: EvidenceQuery) -> Evidence:
        """See ``Index.evidence``."""
        view = self._view
        return view.facts.evidence(query, view.version)

    async def passages(self, query: PassageQuery) -> list[Passage]:
        """See ``Index.passages``."""
        return await asyncio.to_thread(self._passages, query)

    def _passages(self, query: PassageQuery) -> list[Passage]:
        as_of = query.as_of or datetime.now(tz=UTC).date()
        found = []
        for number, score in self._view.passages.search(query.text, query.limit, Wanted.of(query), as_of):
            row = self._store.passage(number)
            if row is not None:
                passage_id, text, source = row
                found.append(Passage(id=passage_id, text=text, source=source, score=score))
        return found

    async def quoted(self, passage: Passage) -> Passage | None:
        """See ``Index.quoted``."""
        whole = await asyncio.to_thread(self._store.whole, passage.id, passage.source.version)
        if whole is None:
            return None
        document, digest, until = whole
        kept = as_ingested(document, digest, passage.id)
        if kept is None:
            return None
        source = document.source.model_copy(update={"section": kept.section, "superseded_on": until})
        return Passage(id=kept.id, text=kept.text, source=source, score=passage.score)

    async def write(self, documents: Iterable[IngestedDocument], checkpoint: Checkpoint | None = None) -> WriteCounts:
        """See ``Index.write``."""
        return await asyncio.to_thread(self._store.write, documents, checkpoint)

    async def remove(self, keys: Sequence[str]) -> int:
        """See ``Index.remove``."""
        return await asyncio.to_thread(self._store.remove, keys)

    async def keys(self, prefix: str = "") -> list[str]:
        """See ``Index.keys``."""
        return await asyncio.to_thread(self._store.keys, prefix)

    async def checkpoint(self, input_id: str) -> Checkpoint | None:
        """See ``Index.checkpoint``."""
        return await asyncio.to_thread(self._store.checkpoint, input_id)

    async def counts(self) -> dict[str, int]:
        """See ``Index.counts``."""
        return await asyncio.to_thread(self._store.counts)

    async def without_vector(self, encoder: str, kinds: Sequence[str], limit: int) -> list[Unembedded]:
        """See ``Index.without_vector``."""
        rows = await asyncio.to_thread(self._store.without_vector, encoder, kinds, limit)
        return [Unembedded(str(number), f"{section}. {text}" if section else text) for number, section, text in rows]

    async def add_vectors(self, encoder: str, vectors: Sequence[tuple[str, Vector]]) -> None:
        """See ``Index.add_vectors``."""
        rows = [(int(place), row.astype(np.float16).tobytes()) for place, row in vectors]
        await asyncio.to_thread(self._store.add_vectors, encoder, rows)

    async def ingredients(self) -> frozenset[str]:
        """See ``Index.ingredients``."""
        names = await asyncio.to_thread(self._store.names)
        return frozenset(one for name in names for one in name.ingredients if not one.startswith(CLASS_PREFIX))

    async def refresh(self) -> bool:
        """See ``Index.refresh``. What is searched stays as it was until the new state is ready."""
        async with self._reading:
            before = self._view
            if await asyncio.to_thread(self._store.state) == before.state and before.passages.encoder is self._encoder:
                return False
            self._view = await asyncio.to_thread(self._read, before)
            return self._view.version != before.version

    async def close(self) -> None:
        """See ``Index.close``."""
        self._store.close()

    def _read(self, before: _View) -> _View:
        """Return the state of the file, taking over from the view before what did not change."""
        store, encoder = self._store, self._encoder
        with store.file.snapshot():
            state = store.state()
            since = before.state.change if store.knows_since(before.state.change) else 0
            facts = before.facts
            if not since or store.knowledge_since(since):
                facts = FactBase(store.facts(), store.names())
            if not since:
                vectors = () if encoder is None else store.vectors(encoder.name)
                return _View(state, facts, PassageSearch.over(store.passages(), vectors, encoder))
            passages = before.passages.changed(store.gone(since), store.passages(since), self._vectors_since(since))
            if passages.encoder is not encoder and encoder is not None:
                passages = replace(passages, meaning=VectorSearch(store.vectors(encoder.name)), encoder=encoder)
            return _View(state, facts, passages)

    def _vectors_since(self, since: int) -> Iterable[PassageVector]:
        return () if self._encoder is None else self._store.vectors(self._encoder.name, since)


async def open_embedded_index(
    directory: Path, secrets: SecretStore, encoder: Encoder | None = None, *, read: bool = True
) -> EmbeddedIndex:
    """Open the index in ``directory``, made when there is none; raises ``IndexFailure`` or ``SecretError``.

    With ``read`` False nothing is found before the first refresh: for those who only write, or write first.
    """
    key = await index_key(directory, secrets)

    def _open() -> EmbeddedIndex:
        with one_at_a_time(directory):
            store = SqlCipherStore(directory / INDEX_FILE, key)
        return EmbeddedIndex(store, encoder, read=read)

    return await asyncio.to_thread(_open)


@contextmanager
def one_at_a_time(directory: Path) -> Iterator[None]:
    """Keep processes that open a new index at the same moment from making it twice."""
    with (directory / "index.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
