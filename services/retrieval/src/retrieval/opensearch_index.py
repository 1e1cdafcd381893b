"""The index on OpenSearch: passages are searched there, facts are read from there into memory."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from service_contracts.evidence import Evidence, EvidenceQuery, Passage, PassageQuery

from retrieval.documents import IngestedDocument
from retrieval.drug_names import CLASS_PREFIX
from retrieval.encoder import Encoder
from retrieval.fact_base import FactBase
from retrieval.fusion import DEEP, fused
from retrieval.index import Checkpoint, Vector, WriteCounts
from retrieval.opensearch import queries
from retrieval.opensearch.cluster import Cluster
from retrieval.opensearch.head import EMPTY, Head
from retrieval.opensearch.names import Names
from retrieval.opensearch.opening import ensure_indices
from retrieval.opensearch.revision import remove_documents, revise
from retrieval.opensearch.rows import KEPT, DocumentRow, read_facts, read_names, read_passage, read_quoted
from retrieval.opensearch.vectors import VectorField
from retrieval.opensearch.writing import Change, Writing, read_head
from retrieval.stored import Unembedded

__all__ = ["OpenSearchIndex", "open_opensearch_index"]

_BATCH = 200


@dataclass(frozen=True)
class _View:
    """What is searched: the rows that count under one head, and the knowledge of the documents among them."""

    head: Head
    documents: dict[str, DocumentRow] = field(default_factory=dict)
    facts: FactBase = field(default_factory=lambda: FactBase((), ()))


class OpenSearchIndex:
    """See ``Index``. Made by ``open_opensearch_index``."""

    def __init__(self, cluster: Cluster, names: Names, encoder: Encoder | None = None) -> None:
        self._cluster = cluster
        self._names = names
        self._encoder = encoder
        self._writing = Writing(cluster, names)
        self._vectors = VectorField(cluster, names, self._writing)
        self._reading = asyncio.Lock()
        self._view = _View(EMPTY)

    @property
    def version(self) -> str:
        """See ``Index.version``."""
        return self._view.head.version

    @property
    def batch(self) -> int:
        """See ``Index.batch``."""
        return _BATCH

    def use_encoder(self, encoder: Encoder) -> None:
        """See ``Index.use_encoder``."""
        self._encoder = encoder

    async def evidence(self, query: EvidenceQuery) -> Evidence:
        """See ``Index.evidence``."""
        view = self._view
        return view.facts.evidence(query, view.head.version)

    async def passages(self, query: PassageQuery) -> list[Passage]:
        """See ``Index.passages``. Words and meaning are asked at once, the winners fetched."""
        head, depth = self._view.head, max(DEEP, query.limit)
        allowed = queries.of_passages(head, query, query.as_of or datetime.now(tz=UTC).date())
        searches = [queries.by_words(query.text, allowed, depth)]
        if self._encoder is not None and await self._vectors.are_of(self._encoder.name):
            vector = (await asyncio.to_thread(self._encoder.encode, [query.text]))[0]
            searches.append(queries.by_meaning(vector.tolist(), self._encoder.name, allowed, depth))
        answers = await self._cluster.searches(self._names.passages, searches)
        rankings = [[str(hit["_id"]) for hit in answer["hits"]["hits"]] for answer in answers]
        best = dict(fused(rankings, query.limit))
        if not best:
            return []
        rows = await self._cluster.fetch(self._names.passages, list(best), KEPT)
        return [read_passage(row["_source"], best[row["_id"]]) for row in rows]

    async def quoted(self, passage: Passage) -> Passage | None:
        """See ``Index.quoted``. The passage is looked for by its words in its version."""
        head = self._view.head
        of_version = queries.visible(head, {"term": {"version": passage.source.version}})
        search = queries.by_words(passage.text, of_version, DEEP)
        found = (await self._cluster.searches(self._names.passages, [search]))[0]["hits"]["hits"]
        if not found:
            return None
        hits = await self._cluster.fetch(self._names.passages, [hit["_id"] for hit in found], (*KEPT, "document"))
        row = next((hit["_source"] for hit in hits if hit["_source"]["id"] == passage.id), None)
        if row is None:
            return None
        of_document = queries.visible(head, {"term": {"document": row["document"]}})
        rows = [hit["_source"] async for hit in self._cluster.rows(self._names.passages, of_document)]
        fields = ("key", "kind", "digest", "body")
        documents = await self._cluster.fetch(self._names.documents, [row["document"]], fields)
        return read_quoted(documents[0]["_source"], rows, passage) if documents else None

    async def write(self, documents: Iterable[IngestedDocument], checkpoint: Checkpoint | None = None) -> WriteCounts:
        """See ``Index.write``."""
        # All of them first: an input that breaks has then changed nothing.
        batch = list(documents)
        async with self._writing.change() as change:
            counts = await revise(self._cluster, self._names, change, batch)
            if checkpoint is not None:
                await self._keep_checkpoint(change, checkpoint)
        return counts

    async def _keep_checkpoint(self, change: Change, checkpoint: Checkpoint) -> None:
        kept = queries.visible(change.head, {"term": {"input": checkpoint.input}})
        async for hit in self._cluster.rows(self._names.documents, kept, content=False):
            change.remove(change.documents, hit)
        position = {"position": checkpoint.position, "finished": checkpoint.finished}
        change.add(change.documents, {"type": "checkpoint", "input": checkpoint.input, **position})

    async def remove(self, keys: Sequence[str]) -> int:
        """See ``Index.remove``."""
        async with self._writing.change() as change:
            return await remove_documents(self._cluster, self._names, change, keys)

    async def keys(self, prefix: str = "") -> list[str]:
        """See ``Index.keys``."""
        wanted = [{"term": {"type": "document"}}, {"prefix": {"key": prefix}}]
        rows = [row["_source"]["key"] async for row in self._counting_rows(*wanted, fields=["key"])]
        return sorted(set(rows))

    async def checkpoint(self, input_id: str) -> Checkpoint | None:
        """See ``Index.checkpoint``."""
        async for hit in self._counting_rows({"term": {"input": input_id}}):
            row = hit["_source"]
            return Checkpoint(input_id, row["position"], row["finished"])
        return None

    async def counts(self) -> dict[str, int]:
        """See ``Index.counts``."""
        head, _ = await read_head(self._cluster, self._names)
        names = ("document", "fact", "passage", "drug_name")
        return {**{name: head.counts.get(name, 0) for name in names}, "vector": await self._vectors.count(head)}

    async def without_vector(self, encoder: str, kinds: Sequence[str], limit: int) -> list[Unembedded]:
        """See ``Index.without_vector``."""
        return await self._vectors.missing(encoder, kinds, limit)

    async def add_vectors(self, encoder: str, vectors: Sequence[tuple[str, Vector]]) -> None:
        """See ``Index.add_vectors``."""
        await self._vectors.add(encoder, vectors)

    async def ingredients(self) -> frozenset[str]:
        """See ``Index.ingredients``."""
        rows = [DocumentRow.read(hit["_id"], hit["_source"]) async for hit in self._counting_rows(_KNOWLEDGE)]
        names = read_names(rows)
        return frozenset(one for name in names for one in name.ingredients if not one.startswith(CLASS_PREFIX))

    async def refresh(self) -> bool:
        """See ``Index.refresh``. Only documents that came or went since are read."""
        async with self._reading:
            before = self._view
            head, _ = await read_head(self._cluster, self._names)
            if head.change == before.head.change:
                return False
            await self._cluster.refresh(self._names.documents, self._names.passages)
            self._view = await self._read(before, head)
            return self._view.head.version != before.head.version

    async def _read(self, before: _View, head: Head) -> _View:
        if before.head.change < head.forgotten:
            before = _View(EMPTY)
        documents, since = dict(before.documents), before.head.change
        async for hit in self._cluster.rows(
            self._names.documents, queries.gone(head, since, _KNOWLEDGE), content=False
        ):
            documents.pop(hit["_id"], None)
        new = queries.visible(head, _KNOWLEDGE, {"range": {"added": {"gt": since}}})
        async for hit in self._cluster.rows(self._names.documents, new):
            documents[hit["_id"]] = DocumentRow.read(hit["_id"], hit["_source"])
        return await asyncio.to_thread(_view, head, documents)

    async def close(self) -> None:
        """See ``Index.close``."""
        await self._cluster.close()

    async def _counting_rows(self, *filters: dict[str, Any], fields: Sequence[str] | None = None) -> Any:
        head, _ = await read_head(self._cluster, self._names)
        await self._cluster.refresh(self._names.documents)
        wanted = queries.visible(head, *filters)
        async for hit in self._cluster.rows(self._names.documents, wanted, content=True if fields is None else fields):
            yield hit


_KNOWLEDGE: dict[str, Any] = {"term": {"has_knowledge": True}}


def _view(head: Head, documents: dict[str, DocumentRow]) -> _View:
    rows = sorted(documents.values(), key=lambda row: row.arrived)
    return _View(head, documents, FactBase(read_facts(rows), read_names(rows)))


async def open_opensearch_index(
    cluster: Cluster, tenant: str, encoder: Encoder | None = None, *, read: bool = True
) -> OpenSearchIndex:
    """Open the index of a tenant, made when there is none; raises ``IndexFailure``. ``read`` as in the embedded one.

    The index closes the cluster's connections, also when it cannot be opened.
    """
    names = Names(tenant)
    try:
        await ensure_indices(cluster, names)
        index = OpenSearchIndex(cluster, names, encoder)
        if read:
            await index.refresh()
    except BaseException:
        await cluster.close()
        raise
    return index
