"""Which engine keeps the index and the texts about patients, as the settings say."""

import asyncio
from typing import TYPE_CHECKING

from service_runtime.secrets import SecretStore

from retrieval.embedded_index import open_embedded_index
from retrieval.encoder import Encoder
from retrieval.index import Index
from retrieval.index_key import index_id, index_key
from retrieval.patient_texts import PatientTexts, open_patient_texts
from retrieval.sealed_store import open_embedded_sealed_store
from retrieval.settings import RetrievalSettings

if TYPE_CHECKING:
    from retrieval.opensearch.cluster import Cluster

__all__ = ["open_index", "open_texts"]


async def open_index(settings: RetrievalSettings, secrets: SecretStore) -> Index:
    """Open the index; nothing is found before its first refresh. Raises ``IndexFailure`` or ``SecretError``."""
    if settings.engine == "embedded":
        return await open_embedded_index(settings.index_dir, secrets, read=False)
    from retrieval.opensearch_index import open_opensearch_index

    return await open_opensearch_index(_cluster(settings), settings.opensearch_tenant, read=False)


async def open_texts(settings: RetrievalSettings, secrets: SecretStore, encoder: Encoder | None = None) -> PatientTexts:
    """Open what is kept of patients. Raises ``IndexFailure`` or ``SecretError``."""
    if settings.engine == "embedded":
        key = await index_key(settings.index_dir, secrets)
        store = await asyncio.to_thread(open_embedded_sealed_store, settings.index_dir, key)
        return await open_patient_texts(store, secrets, index_id(settings.index_dir), encoder)
    from retrieval.opensearch.sealed import open_sealed_store

    tenant = settings.opensearch_tenant
    rows = await open_sealed_store(_cluster(settings), tenant)
    return await open_patient_texts(rows, secrets, f"opensearch-{tenant}", encoder)


def _cluster(settings: RetrievalSettings) -> "Cluster":
    # The client library is imported where it is used: it takes a second and the embedded engine needs none of it.
    from retrieval.opensearch.cluster import connect

    url, authority = settings.opensearch_url, settings.opensearch_ca_file
    certificate, key = settings.opensearch_certificate_file, settings.opensearch_key_file
    assert url and authority and certificate and key  # the settings are checked to be complete
    return connect(url, authority, certificate, key)
