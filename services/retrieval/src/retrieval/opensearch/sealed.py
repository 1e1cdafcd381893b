"""Sealed rows about patients in OpenSearch: tags and bytes, none of them searched by content."""

import base64
from collections.abc import Sequence
from typing import Any

from retrieval.opensearch.cluster import Cluster
from retrieval.opensearch.names import Names
from retrieval.opensearch.opening import check_indices, create

__all__ = ["OpenSearchSealedStore", "open_sealed_store"]


class OpenSearchSealedStore:
    """See ``SealedStore``. A deleted row is in the files until its segment is merged; without its key it is noise."""

    def __init__(self, cluster: Cluster, names: Names) -> None:
        self._cluster = cluster
        self._names = names

    async def put(self, patient: str, rows: Sequence[tuple[str, bytes]]) -> None:
        """See ``SealedStore.put``."""
        actions: list[tuple[dict[str, Any], dict[str, Any]]] = [
            ({"index": {"_id": row_id}}, {"row": row_id, "patient": patient, "sealed": base64.b64encode(blob).decode()})
            for row_id, blob in rows
        ]
        await self._cluster.bulk(self._names.patients, actions)

    async def rows(self, patient: str) -> list[tuple[str, bytes]]:
        """See ``SealedStore.rows``."""
        await self._cluster.refresh(self._names.patients)
        wanted = {"bool": {"filter": [{"term": {"patient": patient}}]}}
        hits = self._cluster.rows(self._names.patients, wanted)
        return [(hit["_id"], base64.b64decode(hit["_source"]["sealed"])) async for hit in hits]

    async def remove(self, patient: str, row_ids: Sequence[str]) -> None:  # noqa: ARG002  ids are of one patient
        """See ``SealedStore.remove``."""
        await self._cluster.bulk(self._names.patients, [({"delete": {"_id": row_id}}, None) for row_id in row_ids])

    async def destroy(self, patient: str) -> int:
        """See ``SealedStore.destroy``."""
        await self._cluster.refresh(self._names.patients)
        hits = self._cluster.rows(self._names.patients, {"term": {"patient": patient}}, content=False)
        gone = [hit["_id"] async for hit in hits]
        await self.remove(patient, gone)
        await self._cluster.call(lambda client: client.indices.flush(index=self._names.patients))
        return len(gone)

    async def close(self) -> None:
        """See ``SealedStore.close``."""
        await self._cluster.close()


async def open_sealed_store(cluster: Cluster, tenant: str) -> OpenSearchSealedStore:
    """Return the store of a tenant, made when there is none; raise ``IndexUnreadable`` when it would log queries."""
    names = Names(tenant)
    await create(cluster, names.patients)
    await check_indices(cluster, names.patients)
    return OpenSearchSealedStore(cluster, names)
