"""An EHR that calls our CDS services: its keys on a real socket, its tokens, and the requests its prescribers cause.

Reconciliation is the real application over HTTP, and what it knows is the starter knowledge that retrieval ships.
"""

import asyncio
import json
import shutil
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from facade.app import build_app
from facade.cds_hooks import endpoint
from facade.container import Container, build_container
from facade.settings import FacadeSettings
from facade.store.database import Database
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from litestar import Litestar, get
from reconciliation.clients import EvidenceUnavailable
from reconciliation.ingress import build_ingress
from reconciliation.reconcile import Reconciler
from retrieval.fact_base import FactBase
from retrieval.starter import starter_documents
from retrieval.stored import StoredFact
from service_contracts.evidence import Evidence, EvidenceQuery
from service_runtime.secrets import MemorySecretStore
from service_runtime.service_auth import ServiceAuth

BASE = "https://preceptor.example.org"
ISSUER = "https://cds.ehr.example.org"
EXAMPLES = Path(__file__).parents[2] / "examples"
PATIENT = "patient-1"


@dataclass
class StarterEvidence:
    """Answers from the starter knowledge; ``delay_s`` and ``down`` stand for a service that is slow or gone."""

    base: FactBase
    delay_s: float = 0.0
    down: bool = False
    request_ids: list[str | None] = field(default_factory=list)

    async def evidence(self, query: EvidenceQuery) -> Evidence:
        await asyncio.sleep(self.delay_s)
        if self.down:
            raise EvidenceUnavailable
        return self.base.evidence(query, "starter")


@pytest.fixture(scope="session")
def starter() -> StarterEvidence:
    documents = starter_documents()
    facts = [
        StoredFact(fact, document.source.effective_from, document.source.superseded_on)
        for document in documents
        for fact in document.facts
    ]
    return StarterEvidence(FactBase(facts, [name for document in documents for name in document.names]))


class Seen:
    """Wraps an application and remembers the X-Request-Id of every request."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.request_ids: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            self.request_ids.append(headers.get(b"x-request-id", b"").decode())
        await self.app(scope, receive, send)


@pytest.fixture(scope="session")
def checking(starter: StarterEvidence, secrets: MemorySecretStore, threaded_server: Any) -> Iterator[Any]:
    """The reconciliation application on a socket; ``seen`` are the request ids that reached it."""
    app = Seen(
        build_ingress(
            Reconciler(None, starter),  # type: ignore[arg-type]  nothing is drafted here
            ServiceAuth(secrets).accepts,
            max_body_bytes=4_194_304,
            max_budget_ms=60_000,
        )
    )
    server = threaded_server(app)
    server.start()
    server.seen = app.request_ids
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def _everything_works_again(starter: StarterEvidence) -> None:
    starter.delay_s, starter.down = 0.0, False


@pytest.fixture
def real_budget() -> None:
    """The test is about time: it runs with the budget of half a second."""


@pytest.fixture(autouse=True)
def _no_hurry(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that are not about time get enough of it, however busy the machine is that they share."""
    if "real_budget" not in request.fixturenames:
        monkeypatch.setattr(endpoint, "BUDGET_MS", 20_000)


@dataclass
class Client:
    """The CDS client of an EHR: its keys, and the JWTs it makes."""

    issuer: str = ISSUER
    ec: ECKey = field(default_factory=lambda: ECKey.generate_key("P-384", {"kid": "ec-1"}))
    rsa: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "rsa-1"}))
    jwks_uri: str = ""
    extra_keys: list[dict[str, Any]] = field(default_factory=list)

    def key_set(self) -> dict[str, Any]:
        own = [self.ec.as_dict(private=False), self.rsa.as_dict(private=False)]
        return {"keys": [*own, *self.extra_keys]}

    def claims(self, path: str, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": f"{BASE}/cds-services/{path}", "exp": now + 120, "iat": now,
                  "jti": str(uuid.uuid4())}  # fmt: skip
        return {name: value for name, value in {**claims, **changes}.items() if value is not None}

    def header(self, algorithm: str = "ES384", **changes: Any) -> dict[str, Any]:
        kid = self.ec.kid if algorithm == "ES384" else self.rsa.kid
        header = {"alg": algorithm, "typ": "JWT", "kid": kid, **changes}
        return {name: value for name, value in header.items() if value is not None}

    def token(self, path: str, algorithm: str = "ES384", **claims: Any) -> str:
        key = self.ec if algorithm == "ES384" else self.rsa
        return jwt.encode(self.header(algorithm), self.claims(path, **claims), key, algorithms=[algorithm])


@pytest.fixture(scope="session")
def cds_client(threaded_server: Any) -> Iterator[Client]:
    """The registered client; its keys are served from a socket."""
    client = Client()

    @get("/jwks.json", sync_to_thread=False)
    def jwks() -> dict[str, Any]:
        return client.key_set()

    server = threaded_server(Litestar([jwks], openapi_config=None, logging_config=None))
    server.start()
    client.jwks_uri = f"{server.url}/jwks.json"
    yield client
    server.stop()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with all tables, to be copied."""
    path = tmp_path_factory.mktemp("cds") / "empty.sqlite3"

    async def make() -> None:
        database = Database(f"sqlite+aiosqlite:///{path}")
        await database.migrate()
        await database.close()

    asyncio.run(make())
    return path


@dataclass
class Facade:
    """A facade's application, called as an EHR calls it."""

    container: Container
    app: Any
    client: Client

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self._send("GET", path, None, headers)

    async def call(self, service: str, body: Any, *, path: str | None = None, **headers: str) -> httpx.Response:
        """POST ``body`` with a fresh token; ``headers`` with underscores for dashes."""
        at = path or service
        token = headers.pop("token", None) or self.client.token(at)
        sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self._send("POST", f"/cds-services/{at}", body, sent)

    async def feedback(self, service: str, *items: dict[str, Any]) -> httpx.Response:
        return await self.call(service, {"feedback": list(items)}, path=f"{service}/feedback")

    async def cards(self, service: str, body: Any) -> list[dict[str, Any]]:
        answer = await self.call(service, body)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["cards"])

    async def _send(self, method: str, path: str, body: Any, headers: dict[str, str]) -> httpx.Response:
        content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as http:
            return await http.request(method, path, content=content, headers=headers)


@pytest.fixture
def registered(cds_client: Client) -> dict[str, Any]:
    """The registration of the EHR, which a test may change before its facade starts."""
    (entry,) = json.loads((EXAMPLES / "ehrs.sandbox.json").read_text())
    return {**entry, "cds_clients": [{"issuer": cds_client.issuer, "jwks_uri": cds_client.jwks_uri}]}


@pytest.fixture
def cds_settings(checking: Any, registered: dict[str, Any], empty_database: Path, tmp_path: Path) -> FacadeSettings:
    """Settings of a facade with a database of its own."""
    shutil.copy(empty_database, tmp_path / "facade.sqlite3")
    (tmp_path / "ehrs.json").write_text(json.dumps([registered]))
    return FacadeSettings(
        public_base_url=BASE,
        database_url=f"sqlite+aiosqlite:///{tmp_path / 'facade.sqlite3'}",
        ehrs_file=tmp_path / "ehrs.json",
        reconciliation_url=checking.url,
        retrieval_url="http://127.0.0.1:1/retrieval",
    )


@pytest.fixture
def facade_with(cds_settings: FacadeSettings, secrets: MemorySecretStore, cds_client: Client) -> Any:
    """Runs a facade; keywords change its settings. Several share one database, as workers do."""

    @asynccontextmanager
    async def running(**changes: Any) -> AsyncIterator[Facade]:
        container = build_container(cds_settings.model_copy(update=changes), secrets)
        try:
            yield Facade(container, build_app(container), cds_client)
        finally:
            await container.http.aclose()
            await container.database.close()

    return running


@pytest.fixture
async def cds(facade_with: Any) -> AsyncIterator[Facade]:
    """A facade."""
    async with facade_with() as facade:
        yield facade


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every address that a connection is tried to."""
    tried: list[Any] = []
    loop_type = asyncio.SelectorEventLoop
    connect = loop_type.sock_connect

    async def remembering(self: Any, sock: Any, address: Any) -> None:
        tried.append(address)
        await connect(self, sock, address)

    monkeypatch.setattr(loop_type, "sock_connect", remembering)
    return tried


def medication_request(
    drug: str, mg: float | None = None, often: int | None = None, *, id: str = "", status: str = "active", **more: Any
) -> dict[str, Any]:
    """A MedicationRequest of the patient."""
    dosage: dict[str, Any] = {}
    if often:
        dosage["timing"] = {"repeat": {"frequency": often, "period": 1, "periodUnit": "d"}}
    if mg:
        quantity = {"value": mg, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}
        dosage["doseAndRate"] = [{"doseQuantity": quantity}]
    return {
        "resourceType": "MedicationRequest", "id": id or f"mr-{drug.split()[0].lower()}", "status": status,
        "intent": "order", "medicationCodeableConcept": {"text": drug},
        "subject": {"reference": f"Patient/{PATIENT}"}, **({"dosageInstruction": [dosage]} if dosage else {}), **more,
    }  # fmt: skip


def bundle(*resources: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A searchset."""
    entries = [{"resource": one} for one in resources]
    return {"resourceType": "Bundle", "type": "searchset", "total": len(entries), "entry": entries, **more}


def hook_request(hook: str, *drafts: dict[str, Any], taken: Any = (), allergies: Any = (), observations: Any = (),
                 coverage: Any = (), **more: Any) -> dict[str, Any]:  # fmt: skip
    """A request for ``hook`` with the whole prefetch."""
    context: dict[str, Any] = {"userId": "Practitioner/dr-1", "patientId": PATIENT, "encounterId": "stay-1"}
    body: dict[str, Any] = {"hook": hook, "hookInstance": str(uuid.uuid4())}
    if hook in ("order-sign", "order-select"):
        entries = [{"resource": draft} for draft in drafts]
        context["draftOrders"] = {"resourceType": "Bundle", "type": "collection", "entry": entries}
        body["prefetch"] = {
            "patient": {"resourceType": "Patient", "id": PATIENT, "gender": "female", "birthDate": "1961-02-03"},
            "medications": bundle(*taken),
            "allergies": bundle(*allergies),
            "conditions": bundle(),
            "observations": bundle(*observations),
            "coverage": bundle(*coverage),
        }
        if hook == "order-select":
            context["selections"] = [f"MedicationRequest/{draft.get('id')}" for draft in drafts]
    return {**body, "context": {**context, **more.pop("context", {})}, **more}


def draft(drug: str, mg: float | None = None, often: int | None = None, **more: Any) -> dict[str, Any]:
    """A draft order."""
    return medication_request(drug, mg, often, id=more.pop("id", f"draft-{drug.split()[0].lower()}"), status="draft",
                              **more)  # fmt: skip


class Make:
    """The builders above, for tests."""

    order, draft, bundle, request = map(staticmethod, (medication_request, draft, bundle, hook_request))
    patient, base = PATIENT, BASE


@pytest.fixture(scope="session")
def ehr() -> type[Make]:
    return Make
