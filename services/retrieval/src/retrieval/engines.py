"""Which engine keeps the index, as the settings say."""

from service_runtime.secrets import SecretStore

from retrieval.embedded_index import open_embedded_index
from retrieval.index import Index
from retrieval.settings import RetrievalSettings

__all__ = ["open_index"]


async def open_index(settings: RetrievalSettings, secrets: SecretStore) -> Index:
    """Open the index; nothing is found before its first refresh. Raises ``IndexFailure`` or ``SecretError``."""
    if settings.engine == "embedded":
        return await open_embedded_index(settings.index_dir, secrets, read=False)
    # The client library is imported where it is used: it takes a second and the embedded engine needs none of it.
    from retrieval.opensearch.cluster import connect
    from retrieval.opensearch_index import open_opensearch_index

    url, authority = settings.opensearch_url, settings.opensearch_ca_file
    certificate, key = settings.opensearch_certificate_file, settings.opensearch_key_file
    assert url and authority and certificate and key  # the settings are checked to be complete
    cluster = connect(url, authority, certificate, key)
    return await open_opensearch_index(cluster, settings.opensearch_tenant, read=False)
