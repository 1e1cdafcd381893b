"""Opening an index: its indices are made by the templates of the cluster, and what these promise is looked at."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from opensearchpy import AsyncOpenSearch
from opensearchpy.exceptions import RequestError

from retrieval.index import IndexUnreadable
from retrieval.opensearch.cluster import Cluster
from retrieval.opensearch.names import Names

__all__ = ["FORMAT", "check_indices", "create", "ensure_indices"]

FORMAT = 1


async def ensure_indices(cluster: Cluster, names: Names) -> None:
    """Make the indices that are missing; raise ``IndexUnreadable`` when the templates are not in force."""
    for index, concrete in (
        (names.documents, names.documents),
        (names.passages, names.generation(1)),
    ):
        if not await cluster.call(partial(_exists, index)):
            await create(cluster, concrete, alias=index if concrete != index else None)
    await check_indices(cluster, names.documents, names.passages)


async def _exists(index: str, client: AsyncOpenSearch) -> bool:
    return bool(await client.indices.exists(index=index))


async def create(
    cluster: Cluster, index: str, *, alias: str | None = None, mapping: Mapping[str, Any] | None = None
) -> None:
    """Make an index, unless another process was first."""
    body: dict[str, Any] = {"aliases": {alias: {}}} if alias else {}
    if mapping is not None:
        body["mappings"] = mapping

    async def make(client: AsyncOpenSearch) -> None:
        try:
            await client.indices.create(index=index, body=body)
        except RequestError as error:
            if error.error != "resource_already_exists_exception":
                raise

    await cluster.call(make)


async def check_indices(cluster: Cluster, *names: str) -> None:
    """Raise ``IndexUnreadable`` unless indices are as the templates make them and log nothing that is searched for."""
    indices = ",".join(names)
    found = await cluster.call(lambda client: client.indices.get(index=indices, params={"flat_settings": "true"}))
    for name, one in found.items():
        written = one["mappings"].get("_meta", {}).get("format")
        if written is None or one["mappings"].get("dynamic") != "strict":
            raise IndexUnreadable(
                f"{name} was not made by the templates of policies/opensearch: bring them in, remove it"
            )
        if written != FORMAT:
            raise IndexUnreadable(f"{name} has format {written}, this release reads format {FORMAT}")
        if logged := [
            name for name, value in one["settings"].items() if ".slowlog.threshold." in name and value != "-1"
        ]:
            raise IndexUnreadable(f"{name} would log what is searched for: {', '.join(logged)}")
