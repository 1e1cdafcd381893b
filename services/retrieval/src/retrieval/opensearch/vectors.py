"""Vectors of passages: a field of one encoder's dimension; for another encoder the passages move to a new index."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from retrieval.index import Vector
from retrieval.opensearch import queries
from retrieval.opensearch.cluster import Cluster
from retrieval.opensearch.head import Head
from retrieval.opensearch.names import Names
from retrieval.opensearch.opening import FORMAT, create
from retrieval.opensearch.writing import Change, Writing, read_head
from retrieval.stored import Unembedded

__all__ = ["VectorField"]

_LOOK_EVERY_S = 30.0
_PAGE = 500
_MOST = 5000


@dataclass
class VectorField:
    """The field ``vector`` of the passages; the mapping says by which encoder it is filled."""

    cluster: Cluster
    names: Names
    writing: Writing
    _encoder: str | None = None
    _looked: float = field(default=float("-inf"))

    async def are_of(self, encoder: str) -> bool:
        """Whether the passages have vectors of this encoder to be searched."""
        if self._encoder != encoder and time.monotonic() - self._looked > _LOOK_EVERY_S:
            await self._look()
        return self._encoder == encoder

    async def _look(self) -> str:
        """Read which encoder the field is for; return the index behind the alias."""
        found = await self.cluster.call(lambda client: client.indices.get_mapping(index=self.names.passages))
        (index, one), *_ = found.items()
        self._encoder = one["mappings"]["_meta"].get("encoder")
        self._looked = time.monotonic()
        return str(index)

    async def missing(self, encoder: str, kinds: Sequence[str], limit: int) -> list[Unembedded]:
        """Return passages of ``kinds`` without a vector of ``encoder``."""
        head, _ = await read_head(self.cluster, self.names)
        await self.cluster.refresh(self.names.passages)
        wanted = queries.visible(head, {"terms": {"kind": list(kinds)}})
        wanted["bool"]["must_not"].append({"term": {"encoder": encoder}})
        body = {
            "query": wanted,
            "size": min(limit, _MOST),
            "_source": ["text", "body.section"],
            "sort": [{"row": "asc"}],
        }
        hits = (await self.cluster.search(self.names.passages, body))["hits"]["hits"]
        return [Unembedded(hit["_id"], _text(hit["_source"])) for hit in hits]

    async def add(self, encoder: str, vectors: Sequence[tuple[str, Vector]]) -> None:
        """Keep vectors by row id."""
        if not vectors:
            return
        if self._encoder != encoder:
            await self._prepare(encoder, len(vectors[0][1]))
        actions = [
            ({"update": {"_id": place}}, {"doc": {"vector": row.tolist(), "encoder": encoder}})
            for place, row in vectors
        ]
        await self.cluster.bulk(self.names.passages, actions)

    async def count(self, head: Head) -> int:
        """Return how many passages have a vector."""
        wanted = queries.counting(queries.visible(head, {"exists": {"field": "encoder"}}))
        found = await self.cluster.search(self.names.passages, wanted)
        return int(found["hits"]["total"]["value"])

    async def _prepare(self, encoder: str, dimension: int) -> None:
        """Have a field for vectors of this encoder: added where there was none, in a new index beside another's."""
        async with self.writing.change() as change:
            index = await self._look()
            if self._encoder == encoder:
                return
            mapping = _mapping(encoder, dimension)
            if self._encoder is None:
                await self.cluster.call(lambda client: client.indices.put_mapping(index=index, body=mapping))
            else:
                await self._move(change, index, mapping)
            self._encoder = encoder

    async def _move(self, change: Change, old: str, mapping: dict[str, Any]) -> None:
        """Copy what counts into a new index, let the alias name it, and delete the old one."""
        new = self.names.generation(int(old.rsplit("-", 1)[1]) + 1)
        await self.cluster.call(lambda client: client.indices.delete(index=new, params={"ignore_unavailable": "true"}))
        await create(self.cluster, new, mapping=mapping)
        await self.cluster.refresh(old)
        page: list[Any] = []
        async for hit in self.cluster.rows(old, queries.visible(change.head)):
            row = {
                name: value for name, value in hit["_source"].items() if name not in ("vector", "encoder", "removed")
            }
            page.append(({"create": {"_id": hit["_id"]}}, row))
            if len(page) == _PAGE:
                await self.cluster.bulk(new, page)
                await self.writing.renew(change)
                page = []
        await self.cluster.bulk(new, page)
        await self.cluster.refresh(new)
        swap = [
            {"add": {"index": new, "alias": self.names.passages}},
            {"remove_index": {"index": old}},
        ]
        await self.writing.renew(change)
        await self.cluster.call(lambda client: client.indices.update_aliases(body={"actions": swap}))


def _text(row: dict[str, Any]) -> str:
    section = row["body"]["section"]
    return f"{section}. {row['text']}" if section else str(row["text"])


def _mapping(encoder: str, dimension: int) -> dict[str, Any]:
    # The native engines are not part of the node that tests run on: an index of theirs is accepted and kills it.
    method = {"name": "hnsw", "engine": "lucene", "space_type": "innerproduct"}
    method["parameters"] = {"m": 16, "ef_construction": 100}  # type: ignore[assignment]
    return {
        "_meta": {"format": FORMAT, "encoder": encoder},
        "properties": {"vector": {"type": "knn_vector", "dimension": dimension, "method": method}},
    }
