"""Sealed rows about patients in OpenSearch: tags and bytes, none of them searched by content."""

import base64
from collections.abc import Sequence
from typing import Any

from retrieval.opensearch.cluster import Cluster, Conflict
from retrieval.opensearch.names import Names
from retrieval.opensearch.opening import create

__all__ = ["OpenSearchSealedStore", "open_sealed_store"]


class OpenSearchSealedStore:
    """See ``SealedStore``. Keys lie in an index of their own, from which a destroyed one is squeezed out at once."""

    def __init__(self, cluster: Cluster, names: Names) -> None:
        self._cluster = cluster
        self._names = names

    async def key(self, patient: str) -> str | None:
        """See ``SealedStore.key``."""
        found = await self._cluster.get(self._names.patient_keys, patient)
        return None if found is None else str(found[0]["wrapped"])

    async def keep_key(self, patient: str, wrapped: str) -> str:
        """See ``SealedStore.keep_key``."""
        try:
            await self._cluster.put(self._names.patient_keys, patient, {"wrapped": wrapped}, None)
        except Conflict:
            kept = await self.key(patient)
            return kept or wrapped
        return wrapped

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

    async def destroy(self, patient: str) -> None:
        """See ``SealedStore.destroy``."""
        await self._cluster.bulk(self._names.patient_keys, [({"delete": {"_id": patient}}, None)])
        gone = self._cluster.rows(self._names.patients, {"term": {"patient": patient}}, content=False)
        await self._cluster.refresh(self._names.patients)
        await self._cluster.bulk(self._names.patients, [({"delete": {"_id": hit["_id"]}}, None) async for hit in gone])
        both = f"{self._names.patient_keys},{self._names.patients}"
        await self._cluster.call(lambda client: client.indices.flush(index=both))
        squeezed = {"only_expunge_deletes": "true", "flush": "true"}
        await self._cluster.call(lambda client: client.indices.forcemerge(index=both, params=squeezed))


async def open_sealed_store(cluster: Cluster, tenant: str) -> OpenSearchSealedStore:
    """Return the store of a tenant, made when there is none."""
    names = Names(tenant)
    for index in (names.patient_keys, names.patients):
        await create(cluster, index)
    return OpenSearchSealedStore(cluster, names)
