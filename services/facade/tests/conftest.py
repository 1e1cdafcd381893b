"""Real parts around the facade: a sandbox EHR process, the reconciliation application over HTTP, and a ward."""

import asyncio
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from facade.app import build_app
from facade.container import Container, build_container
from facade.decisions import Decision, DecisionAction
from facade.ehr.assertion import ClientAssertions
from facade.ehr.backend_services import BackendServicesTokens
from facade.ehr.client_authentication import ClientAuthentication
from facade.ehr.discovery import Discovery
from facade.ehr.registry import Ehr
from facade.settings import FacadeSettings
from fhir_support.client import FhirClient
from reconciliation.clients import DraftingFailed, EvidenceUnavailable
from reconciliation.ingress import build_ingress
from reconciliation.reconcile import Reconciler
from sandbox_ehr.auth.clients import scrypt_hash
from service_contracts.drafts import DraftFinished, DraftRequest, DraftSentence, DraftStarted, ModelIdentity, SectionKey
from service_contracts.evidence import DoseLimit, Evidence, EvidenceQuery, Fact, FactKind, ResolvedSubject, Source
from service_contracts.quantity import Quantity
from service_runtime.secrets import MemorySecretStore
from service_runtime.service_auth import SERVICE_TOKEN_PATH, ServiceAuth

LAUNCH_SECRET = "a secret: with + and / and a colon"
EXAMPLES = Path(__file__).parents[1] / "examples"
MODEL = ModelIdentity(
    base="a base", base_digest=f"sha256:{'0' * 64}", adapter="discharge-instructions", adapter_version="1",
    adapter_digest=f"sha256:{'1' * 64}", template="a template", template_version="1",
)  # fmt: skip
SIMVASTATIN = Fact(
    id="fact-simvastatin",
    body=DoseLimit(ingredient="simvastatin", max_daily=Quantity(value=40, unit="mg")),
    statement="The recommended dosage is at most 40 mg a day.",
    verbatim=True,
    source=Source(
        title="Simvastatin label", publisher="A publisher", identifier="https://example.org/label", version="7",
        section="Dosage", published=date(2025, 1, 1),
    ),
)  # fmt: skip
SIMVASTATIN_80 = ("Simvastatin", 80, 1)
METFORMIN_500 = ("Metformin", 500, 2)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass
class LightDrafting:
    """Writes each medication as a sentence; ``failure`` stands for a drafting service that is down."""

    failure: str | None = None
    delay_s: float = 0.0
    requests: list[DraftRequest] = field(default_factory=list)

    async def draft(self, request: DraftRequest) -> AsyncIterator[Any]:
        self.requests.append(request)
        await asyncio.sleep(self.delay_s)
        if self.failure:
            raise DraftingFailed(self.failure, "the drafting service does not answer")
        yield DraftStarted(model=MODEL)
        for index, one in enumerate(request.chart.medications):
            dose = f"{one.dose.value:g} {one.dose.unit}" if one.dose else ""
            times = {1: "once a day", 2: "twice a day"}.get(int(one.times_per_day or 0), "as ordered")
            text = f"Take {one.name} {dose} {times}."
            yield DraftSentence(section=SectionKey.MEDICATIONS, index=index, text=text, sources=(one.source,))
        yield DraftSentence(
            section=SectionKey.WARNING_SIGNS, index=0, text="Call us if you feel worse.", generated=False
        )
        yield DraftFinished(complete=True)


@dataclass
class LightEvidence:
    """Knows one fact; ``down`` stands for a retrieval service that is down."""

    down: bool = False

    async def evidence(self, query: EvidenceQuery) -> Evidence:
        if self.down:
            raise EvidenceUnavailable
        resolved = tuple(
            ResolvedSubject(
                subject=one,
                ingredients=(one.text.split()[0].lower(),),
                fact_ids=(SIMVASTATIN.id,) if one.text.lower().startswith("simvastatin") else (),
            )
            for one in query.subjects
        )
        return Evidence(facts=(SIMVASTATIN,), resolved=resolved, searched=tuple(FactKind), index_version="v1")


class ThreadedServer:
    """An ASGI application behind a real socket, in a thread of its own; it can be stopped and started again."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.port = free_port()
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        listening = socket.create_server(("127.0.0.1", self.port))
        config = uvicorn.Config(self._app, log_config=None, access_log=False, timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listening]}, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(10)


@pytest.fixture(scope="session")
def threaded_server() -> type[ThreadedServer]:
    """``ThreadedServer``, for tests in folders below."""
    return ThreadedServer


@dataclass
class Suite:
    """What stands around the facade in a test."""

    drafting: LightDrafting
    evidence: LightEvidence
    reconciliation: ThreadedServer


@pytest.fixture(scope="session")
def secrets() -> MemorySecretStore:
    """One store for the whole session; it says that it keeps nothing."""
    with pytest.warns(UserWarning, match="memory only"):
        store = MemorySecretStore()
    asyncio.run(store.write(SERVICE_TOKEN_PATH, {"token": "a service token"}))
    return store


@pytest.fixture(scope="module")
def accepts(secrets: MemorySecretStore) -> Callable[[str | None], Awaitable[bool]]:
    """How reconciliation checks who calls; a module may use another secret store."""
    return ServiceAuth(secrets).accepts


@pytest.fixture(scope="module")
def suite(accepts: Callable[[str | None], Awaitable[bool]]) -> Iterator[Suite]:
    """The real reconciliation application on a socket, with a drafting and an evidence service in memory."""
    drafting, evidence = LightDrafting(), LightEvidence()
    app = build_ingress(Reconciler(drafting, evidence), accepts, max_body_bytes=1_048_576, max_budget_ms=60_000)
    server = ThreadedServer(app)
    server.start()
    yield Suite(drafting, evidence, server)
    server.stop()


@pytest.fixture(autouse=True)
def _everything_works_again(request: pytest.FixtureRequest) -> None:
    if "suite" in request.fixturenames:
        suite: Suite = request.getfixturevalue("suite")
        suite.drafting.failure, suite.drafting.delay_s, suite.evidence.down = None, 0.0, False
        suite.drafting.requests.clear()


@dataclass(frozen=True)
class SandboxEhr:
    """A running sandbox EHR: its FHIR base, and the address at which it expects the facade."""

    base_url: str
    facade_port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def fhir_base(self) -> str:
        return f"{self.base_url}/fhir"

    @property
    def facade_url(self) -> str:
        return f"http://localhost:{self.facade_port}"

    @property
    def entry(self) -> dict[str, Any]:
        """The shipped example of the registry, with this server's addresses."""
        text = (EXAMPLES / "ehrs.sandbox.json").read_text().replace("http://localhost:8100", self.base_url)
        entry: dict[str, Any] = json.loads(text)[0]
        return entry


@pytest.fixture(scope="session")
def sandbox(secrets: MemorySecretStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxEhr]:
    """The sandbox EHR as a process, with one more client: the ward, which may write everything."""
    folder = tmp_path_factory.mktemp("sandbox")
    port, facade_port = free_port(), free_port()
    source = Path(__file__).parents[2] / "sandbox-ehr/src/sandbox_ehr/development_clients.json"
    clients = json.loads(source.read_text().replace("http://localhost:8000", f"http://localhost:{facade_port}"))
    ward_keys = asyncio.run(ClientAssertions(secrets, "ward").key_set())
    clients["clients"].append(
        {
            "client_id": "ward", "client_name": "Ward", "token_endpoint_auth_method": "private_key_jwt",
            "grant_types": ["client_credentials"], "scope": "system/*.cruds", "jwks": ward_keys,
        }
    )  # fmt: skip
    launched = next(one for one in clients["clients"] if one["client_id"] == "preceptor")
    for client_id, method, more in (
        ("preceptor-public", "none", {}),
        ("preceptor-symmetric", "client_secret_basic", {"client_secret_scrypt": scrypt_hash(LAUNCH_SECRET, b"salt")}),
    ):
        clients["clients"].append(
            {**{name: value for name, value in launched.items() if name not in ("jwks_uri", "launch_url")},
             "client_id": client_id, "client_name": client_id, "token_endpoint_auth_method": method, **more}
        )  # fmt: skip
    (folder / "clients.json").write_text(json.dumps(clients))
    base_url = f"http://localhost:{port}"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PRECEPTOR_")},
        "PRECEPTOR_SANDBOX_EHR_STATE_DIR": str(folder / "state"),
        "PRECEPTOR_SANDBOX_EHR_CLIENTS_FILE": str(folder / "clients.json"),
        "PRECEPTOR_SANDBOX_EHR_PORT": str(port),
        "PRECEPTOR_SANDBOX_EHR_BASE_URL": base_url,
        "PRECEPTOR_SANDBOX_EHR_SUBSCRIPTION_ATTEMPTS": "4",
    }
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", "sandbox_ehr"], env=environment, stdout=output, stderr=output)
    try:
        until_ready(f"{base_url}/healthz", process)
        yield SandboxEhr(base_url, facade_port, process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def until_ready(url: str, process: subprocess.Popen[bytes], limit_s: float = 180.0) -> None:
    """Wait until ``url`` answers 200, or fail."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        assert process.poll() is None, "the process has ended"
        try:
            if httpx.get(url, timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"{url} did not get ready")


class Ward:
    """What happens in a hospital: patients are admitted, get orders and leave. All of it is made up."""

    def __init__(self, client: FhirClient) -> None:
        self.client = client

    async def admit(self, medications: Any = (SIMVASTATIN_80,), *, name: str = "Doe", code: str = "IMP") -> str:
        """Admit a new patient and write the discharge list; return the encounter's reference."""
        patient = await self.client.create(
            {"resourceType": "Patient", "name": [{"family": name, "given": [name]}], "gender": "female",
             "birthDate": "1961-02-03"}
        )  # fmt: skip
        subject = {"reference": f"Patient/{patient['id']}"}
        started = (datetime.now(UTC) - timedelta(days=4)).isoformat()
        encounter = await self.client.create(
            {"resourceType": "Encounter", "status": "in-progress", "subject": subject, "period": {"start": started},
             "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": code},
             "reasonCode": [{"text": "Chest pain"}]}
        )  # fmt: skip
        reference = f"Encounter/{encounter['id']}"
        for drug, mg, times in medications:
            await self.client.create(_order(drug, mg, times, subject, reference))
        return reference

    async def discharge(self, encounter: str) -> None:
        """End the stay."""
        resource = await self.client.read(encounter)
        resource["period"]["end"] = datetime.now(UTC).isoformat()
        await self.client.update({**resource, "status": "finished"})

    async def written(self, encounter: str) -> dict[str, list[dict[str, Any]]]:
        """Return what the EHR holds about the document of an encounter, by resource type."""
        patient = (await self.client.read(encounter))["subject"]["reference"]
        types = ("Composition", "DocumentReference", "DetectedIssue", "Task", "AuditEvent")
        found = {one: await self.client.search(one, [("patient", patient)]) for one in types}
        targets = ",".join(f"Composition/{one['id']}" for one in found["Composition"])
        found["Provenance"] = await self.client.search("Provenance", [("target", targets)]) if targets else []
        return found


def _order(drug: str, mg: int, times: int, subject: dict[str, str], encounter: str) -> dict[str, Any]:
    category = "http://terminology.hl7.org/CodeSystem/medicationrequest-category"
    return {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "category": [{"coding": [{"system": category, "code": "discharge"}]}],
        "medicationCodeableConcept": {"text": drug},
        "subject": subject,
        "encounter": {"reference": encounter},
        "authoredOn": datetime.now(UTC).isoformat(),
        "dosageInstruction": [
            {
                "timing": {"repeat": {"frequency": times, "period": 1, "periodUnit": "d"}},
                "doseAndRate": [
                    {"doseQuantity": {"value": mg, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}}
                ],
            }
        ],
    }


@pytest.fixture
async def ward(sandbox: SandboxEhr, secrets: MemorySecretStore) -> AsyncIterator[Ward]:
    """The ward's own access to the EHR."""
    entry = {**sandbox.entry, "backend_client_id": "ward", "backend_scopes": "system/*.cruds"}
    async with httpx.AsyncClient(timeout=10) as http:
        authentication = ClientAuthentication(secrets, ClientAssertions(secrets, "ward"))
        tokens = BackendServicesTokens(Ehr.model_validate(entry), http, authentication, Discovery(http))
        yield Ward(FhirClient(sandbox.fhir_base, http, tokens))


@pytest.fixture
def settings_for(sandbox: SandboxEhr, suite: Suite, tmp_path: Path) -> Callable[..., FacadeSettings]:
    """Settings of a facade beside these parts; keywords change single ones."""

    def make(**changes: Any) -> FacadeSettings:
        ehrs = tmp_path / "ehrs.json"
        ehrs.write_text(json.dumps([sandbox.entry]))
        values = {
            "public_base_url": sandbox.facade_url,
            "database_url": f"sqlite+aiosqlite:///{tmp_path / 'facade.sqlite3'}",
            "ehrs_file": ehrs,
            "reconciliation_url": suite.reconciliation.url,
            "retrieval_url": "http://127.0.0.1:1/retrieval",
            "port": sandbox.facade_port,
            "instance": "test",
            "poll_s": 0.2,
            "retry_base_s": 0.2,
            "retry_max_s": 0.5,
            "subscription_check_s": 0.5,
            "catch_up_overlap_s": 1.0,
        }
        return FacadeSettings(**{**values, **changes})

    return make


@asynccontextmanager
async def serving(container: Container) -> AsyncIterator[Container]:
    """Serve a facade on its port from the test's own event loop."""
    port = container.settings.port
    config = uvicorn.Config(build_app(container), log_config=None, lifespan="on", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    listening = socket.create_server(("127.0.0.1", port))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        if task.done():
            task.result()
            raise AssertionError("the facade did not start")
        await asyncio.sleep(0.01)
    try:
        yield container
    finally:
        server.should_exit = True
        await task


@pytest.fixture(name="serving", scope="session")
def _serving() -> Callable[[Container], AbstractAsyncContextManager[Container]]:
    """``serving``, for tests in folders below."""
    return serving


@pytest.fixture
async def facade(settings_for: Callable[..., FacadeSettings], secrets: MemorySecretStore) -> AsyncIterator[Container]:
    """A running facade whose Subscription the EHR has accepted."""
    async with serving(build_container(settings_for(), secrets)) as container:
        await until(lambda: subscription_status(container), "active")
        yield container


async def subscription_status(container: Container) -> str | None:
    """Return the status of our Subscription in the EHR."""
    found = await container.connections.client("sandbox").search("Subscription", [])
    return found[0]["status"] if found else None


async def until(ask: Callable[[], Awaitable[Any]], wanted: Any, limit_s: float = 60.0) -> Any:
    """Wait until ``ask`` returns ``wanted`` (or, when that is a function, something it is true for)."""
    end = time.monotonic() + limit_s
    while True:
        answer = await ask()
        if wanted(answer) if callable(wanted) else answer == wanted:
            return answer
        assert time.monotonic() < end, f"still {answer!r}"
        await asyncio.sleep(0.05)


@pytest.fixture
def eventually() -> Callable[..., Awaitable[Any]]:
    """``until``, for tests."""
    return until


@pytest.fixture
def new_request_id() -> str:
    return str(uuid.uuid4())


@pytest.fixture
def decide() -> Callable[[Container, str], Awaitable[None]]:
    """Decides every flag of a document by an override."""

    async def run(container: Container, encounter: str) -> None:
        stored = await container.documents.get("sandbox", encounter)
        assert stored is not None
        for flag in stored.document.flags:
            decision = Decision(
                flag.id, DecisionAction.OVERRIDE, "Practitioner/dr-1", datetime.now(UTC), reason="Taken for years."
            )
            await container.documents.record_decision("sandbox", encounter, decision)

    return run


@pytest.fixture(scope="session")
def examples() -> Any:
    """The module ``examples.py`` beside this file."""
    spec = importlib.util.spec_from_file_location("facade_examples", Path(__file__).parent / "examples.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
