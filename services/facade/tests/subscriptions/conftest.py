"""A facade whose workers rest and whose EHR does not answer, for what happens when notifications come in."""

import json
from dataclasses import dataclass

import httpx
import pytest
from facade.app import build_app
from facade.container import Container, build_container
from facade.settings import FacadeSettings
from facade.store.tables import InboxRow
from facade.subscriptions.channel_secrets import secret_path
from service_runtime.secrets import MemorySecretStore
from sqlalchemy import select

from tests.support.notification_bundles import Event, bundle

BASE = "http://localhost:1/fhir"
SECRET = "the secret"
ENTRY = {
    "id": "sandbox", "name": "EHR", "issuer": BASE, "fhir_base": BASE, "backend_client_id": "preceptor-backend",
    "backend_scopes": "system/Encounter.rs", "launch_client_id": "preceptor", "launch_scopes": "openid",
    "encounter_topic": "http://example.org/topic",
}  # fmt: skip
SUBSCRIPTION = {"resourceType": "Subscription", "id": "s", "criteria": "http://example.org/topic"}


@dataclass
class Receiving:
    """A facade that takes notifications and processes none."""

    container: Container
    client: httpx.AsyncClient

    async def post(self, message, path="/subscriptions/sandbox", method="POST", secret=SECRET):
        content = message if isinstance(message, bytes) else json.dumps(message).encode()
        return await self.client.request(method, path, content=content, headers={"Authorization": f"Bearer {secret}"})

    async def events(self, *numbers, **options):
        """Send one notification of these events; each is about the encounter of its number."""
        told = [Event(number, {"resourceType": "Encounter", "id": str(number)}) for number in numbers]
        answer = await self.post(bundle(BASE, SUBSCRIPTION, told, **options))
        assert answer.status_code == 200, answer.text
        return answer

    async def rows(self, subscription="s"):
        async with self.container.database.reading() as session:
            rows = await session.scalars(select(InboxRow).order_by(InboxRow.sequence))
            return [row for row in rows.all() if row.subscription == subscription]

    async def kinds(self, subscription="s"):
        return [row.kind for row in await self.rows(subscription)]

    async def state(self, subscription="s"):
        return await self.container.inbox.subscriptions.get("sandbox", subscription)


@pytest.fixture
async def receiving(tmp_path):
    (tmp_path / "ehrs.json").write_text(json.dumps([ENTRY]))
    with pytest.warns(UserWarning, match="memory only"):
        secrets = MemorySecretStore()
    await secrets.write(secret_path("sandbox"), {"token": SECRET})
    settings = FacadeSettings(
        public_base_url="https://preceptor.example.org",
        database_url=f"sqlite+aiosqlite:///{tmp_path / 'facade.sqlite3'}",
        ehrs_file=tmp_path / "ehrs.json",
        reconciliation_url="http://localhost:1/reconciliation",
        retrieval_url="http://localhost:1/retrieval",
    )
    container = build_container(settings, secrets)
    await container.database.migrate()
    transport = httpx.ASGITransport(build_app(container))
    async with httpx.AsyncClient(transport=transport, base_url="https://preceptor.example.org") as client:
        yield Receiving(container, client)
    await container.http.aclose()
    await container.database.close()
