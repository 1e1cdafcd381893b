"""The embedded FHIR R4 server (sekmet-fhir), run in this process and reachable only through the front."""

import asyncio
import functools
import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
from sekmet.config import Settings as ServerSettings
from sekmet.fhir import search_params
from sekmet.main import create_app

from sandbox_ehr.fhir.delivery import DeliveryThreads
from sandbox_ehr.fhir.interactions import is_id
from sandbox_ehr.fhir.search_parameters import add_search_parameters

__all__ = ["FhirServer", "Resource"]

Resource = dict[str, Any]


class FhirServer:
    """A FHIR server without a socket: it is called through ASGI, so nobody can go round the front.

    Records lie in an SQLite file under ``state_dir`` and survive a restart. ``base_url`` is the public FHIR base,
    which the server writes into links, locations and notifications.
    """

    def __init__(self, state_dir: Path, base_url: str, subscription_attempts: int) -> None:
        state_dir.mkdir(parents=True, exist_ok=True)
        # The server calls logging.basicConfig, which does nothing once there is a handler: its lines may hold
        # references to patients, and ours may not.
        logging.getLogger().addHandler(logging.NullHandler())
        add_search_parameters(search_params.PARAMS, search_params.SearchParam)
        settings = ServerSettings.model_validate(
            {
                "base_url": base_url,
                "facility_name": "Preceptor sandbox hospital",
                "software_name": "Preceptor sandbox EHR",
                "data_dir": str(state_dir),
                "db_path": str(state_dir / "fhir.sqlite3"),
                "log_inbound": False,
                "simulator": {"enabled": False, "auto": []},
                "subscriptions": {"retries": subscription_attempts},
            }
        )
        app = create_app(settings)
        self._context = app.state.ctx
        self._context.subscriptions.pool = DeliveryThreads()
        # Heartbeats only start with a handshake; after a restart the stored subscriptions need them too.
        if self._context.subscriptions.active():
            self._context.subscriptions._ensure_heartbeat()
        self._creating = asyncio.Lock()
        self._http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app, raise_app_exceptions=False), base_url=base_url
        )

    async def request(
        self, method: str, path: str, *, query: str = "", headers: dict[str, str] | None = None, body: bytes = b""
    ) -> httpx.Response:
        """Send one FHIR request; ``path`` starts with a slash and is relative to the FHIR base."""
        url = httpx.URL(str(self._http.base_url)).copy_with(
            path=f"{self._http.base_url.path.rstrip('/')}{path}", query=query.encode() or None
        )
        sends = functools.partial(self._http.request, method, url, headers=headers, content=body)
        if method == "POST" and (path == "/" or "if-none-exist" in (headers or {})):
            # The embedded server looks and creates in two steps; two requests at once would both create.
            async with self._creating:
                return await sends()
        return await sends()

    async def read(self, resource_type: str, resource_id: str) -> Resource | None:
        """Return a stored resource, or None when there is none or it is deleted."""
        if not is_id(resource_id):  # in an address, dots and slashes would lead elsewhere
            return None
        response = await self.request("GET", f"/{resource_type}/{resource_id}")
        return response.json() if response.status_code == 200 else None

    async def replace(self, resource: Resource, version: str) -> int:
        """Update a resource when ``version`` (an ETag) is still the stored one; return the HTTP status."""
        path = f"/{resource['resourceType']}/{resource['id']}"
        headers = {"Content-Type": "application/fhir+json", "If-Match": version}
        response = await self.request("PUT", path, headers=headers, body=json.dumps(resource).encode())
        return response.status_code

    async def search(self, resource_type: str, **parameters: str) -> list[Resource]:
        """Return every match (at most 1000); raise ``RuntimeError`` when the server refuses the search."""
        query = str(httpx.QueryParams({"_count": "1000", **parameters}))
        response = await self.request("GET", f"/{resource_type}", query=query, headers={"Prefer": "handling=strict"})
        if response.status_code != 200:
            raise RuntimeError(f"search on {resource_type} answered {response.status_code}")
        entries = response.json().get("entry", [])
        return [entry["resource"] for entry in entries if entry.get("search", {}).get("mode") == "match"]

    def matches(self, resource: Resource, query: list[tuple[str, str]]) -> bool:
        """Whether a stored resource meets search parameters (used for granular scopes)."""
        return bool(self._context.service.search_engine.matches(resource, query))

    def holds(self, resource_type: str, resource_id: str) -> bool:
        """Whether the resource was ever stored and is not deleted."""
        return bool(self._context.store.exists(resource_type, resource_id))

    def load(self, resources: Iterable[Resource]) -> int:
        """Store resources by their ids in one transaction; return how many."""
        count = 0
        with self._context.store.transaction():
            for resource in resources:
                self._context.store.update(resource, origin="internal")
                count += 1
        return count

    async def close(self) -> None:
        """Close the database; notifications still waiting are dropped, as in any EHR that is switched off."""
        await self._http.aclose()
        with self._context.store.lock:
            self._context.store.conn.close()
