"""A running facade whose operations ask the real retrieval (an index on the disk) and the real reconciliation."""

import asyncio
import base64
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from facade.app import build_app
from facade.container import Container, build_container
from facade.fhir.criteria import Limit
from facade.operations.table import OPERATIONS, definition
from facade.settings import FacadeSettings
from reconciliation.clients import EvidenceUnavailable
from reconciliation.ingress import build_ingress as reconciliation_ingress
from reconciliation.reconcile import Reconciler
from retrieval.documents import DrugName, IngestedDocument, PassageText
from retrieval.embedded_index import EmbeddedIndex, open_embedded_index
from retrieval.ingress import build_ingress as retrieval_ingress
from retrieval.service import RetrievalService
from service_contracts.evidence import Evidence, EvidenceQuery, Fact, FormularyStatus, Source
from service_contracts.triage import Posture
from triage.assess import Assessor, Served
from triage.counters import Counters
from triage.floor import load_floor
from triage.ingress import build_ingress as triage_ingress
from triage.serving import open_model
from triage.settings import TriageSettings

from tests.support.token_issuer import TokenIssuer

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
PLAN = "plan-north"
GUIDELINE = (
    "Offer metformin as the first drug to adults with type 2 diabetes. "
    "Check kidney function before metformin is started. Do not offer metformin when eGFR is below 30 mL/min."
)
TRIAL = "Clopidogrel reduced the rate of ischemic stroke in 4,000 adults who had a transient ischemic attack."


def source(title: str, **more: Any) -> Source:
    return Source(
        **{"title": title, "publisher": "A publisher", "identifier": "https://example.org/doc", "version": "2",
           "section": "Treatment", **more}
    )  # fmt: skip


def passages(key: str, kind: str, text: str, **more: Any) -> IngestedDocument:
    found = source(f"A {kind}", **more)
    return IngestedDocument(key, kind, found, passages=(PassageText(f"{key}#{found.version}", "Treatment", text),))


def formulary() -> IngestedDocument:
    """A plan's formulary of 2026 with one drug of each fate."""
    of = source(
        "North: drug formulary", identifier=PLAN, effective_from=date(2026, 1, 1), superseded_on=date(2027, 1, 1)
    )
    rows = (
        ("metformin 500 MG Oral Tablet", "861007", {"covered": True, "tier": "Generic"}),
        ("apixaban 5 MG Oral Tablet", "1364445", {"covered": True, "prior_authorization": True, "step_therapy": True}),
        ("simvastatin 10 MG Oral Tablet", "314231", {"covered": True, "quantity_limit": True}),
        ("simvastatin 80 MG Oral Tablet", "200345", {"covered": False}),
        ("ivabradine 5 MG Oral Tablet", "1649380", {"covered": False}),
    )
    facts = tuple(
        Fact(id=f"formulary/{PLAN}/{code}", body=FormularyStatus(plan=PLAN, drug=drug, rxcui=code, **more),
             statement=f"North says of {drug}.", verbatim=False, source=of)
        for drug, code, more in rows
    )  # fmt: skip
    names = tuple(DrugName(drug.lower(), (drug.split()[0],), (code,)) for drug, code, _ in rows)
    names += tuple(DrugName(drug.split()[0], (drug.split()[0],)) for drug, _, _ in rows)
    return IngestedDocument(f"formulary/{PLAN}", "formulary", of, facts, (), names)


@dataclass
class Knowledge:
    """The index in use, as reconciliation asks it; ``down`` stands for a retrieval that does not answer."""

    service: RetrievalService
    down: bool = False
    delay_s: float = 0.0

    async def evidence(self, query: EvidenceQuery) -> Evidence:
        await asyncio.sleep(self.delay_s)
        if self.down:
            raise EvidenceUnavailable
        return await self.service.evidence_for(query)


class Nothing:
    """No drafting: a check drafts nothing."""

    async def draft(self, request: Any) -> AsyncIterator[Any]:
        raise AssertionError("nothing is drafted")
        yield


@pytest.fixture(scope="module")
def knowledge(secrets, tmp_path_factory) -> Iterator[Knowledge]:
    folder = tmp_path_factory.mktemp("index")
    opened: list[EmbeddedIndex] = []

    async def open_index() -> EmbeddedIndex:
        index = await open_embedded_index(folder, secrets)
        await index.write(
            [
                formulary(),
                passages("guideline/d", "guideline", GUIDELINE, version="2", effective_from=date(2025, 1, 1)),
                passages("literature/t", "literature", TRIAL),
            ]
        )
        old = "Offer sulfonylureas as the first drug to adults with type 2 diabetes."
        await index.write([passages("guideline/d", "guideline", old, version="1", effective_from=date(2012, 1, 1))])
        opened.append(index)
        return index

    service = RetrievalService(open_index, refresh_every_s=60)
    asyncio.run(service._open())
    yield Knowledge(service)
    asyncio.run(opened[0].close())


@pytest.fixture(scope="module")
def served() -> Iterator[Callable[[Any], str]]:
    """Serves ASGI applications on free ports, each in a thread."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def serve(app: Any) -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        running.append((server, thread))
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    yield serve
    for server, thread in running:
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def retrieval_url(knowledge, accepts, served) -> str:
    app = retrieval_ingress(lambda: knowledge.service, accepts, max_body_bytes=1_048_576, max_budget_ms=60_000)
    return served(app)


@pytest.fixture(scope="module")
def reconciliation_url(knowledge, suite, accepts, served) -> str:
    """The drafting of ``suite`` and the real evidence."""
    app = reconciliation_ingress(
        Reconciler(suite.drafting, knowledge), accepts, max_body_bytes=1_048_576, max_budget_ms=60_000
    )
    return served(app)


@pytest.fixture(scope="session")
def served_triage() -> Served | None:
    """The shipped triage model, where `preceptor prepare` has made the encoder it reads complaints with."""
    encoder = Path(__file__).parents[4] / ".preceptor" / "cache" / "encoder"
    if not encoder.is_dir():
        return None
    return open_model(TriageSettings(encoder_dir=encoder), load_floor())


@dataclass
class TriageSwitch:
    """What the triage service of a test serves: with ``delay_s`` its model is late, ``without_model`` it has none."""

    model: Served | None
    posture: Posture = Posture.TIME_CRITICAL
    delay_s: float = 0.0
    without_model: bool = False

    def served(self) -> Served | None:
        if self.without_model or self.model is None:
            return None
        switch, files = self, self.model.files

        class Slow:
            manifest = files.manifest

            def predict(self, patients: Any) -> Any:
                time.sleep(switch.delay_s)
                return files.predict(patients)

        return replace(self.model, files=Slow()) if self.delay_s else self.model  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def triage(served_triage) -> TriageSwitch:
    return TriageSwitch(served_triage)


@pytest.fixture(scope="module")
def triage_url(triage, accepts, served) -> str:
    """The real triage application on a socket."""

    class Switched(Assessor):
        @property
        def _posture(self) -> Posture:
            return triage.posture

        @_posture.setter
        def _posture(self, _: Posture) -> None:
            pass

    assessor = Switched(
        load_floor(), triage.served, ThreadPoolExecutor(1), posture=Posture.TIME_CRITICAL, reserve_ms=20
    )
    app = triage_ingress(
        assessor,
        Counters(),
        accepts,
        lambda: triage.model.about if triage.model and not triage.without_model else None,
        max_body_bytes=65_536,
        max_budget_ms=5_000,
    )
    return served(app)


@pytest.fixture(autouse=True)
def _triage_works_again(request, monkeypatch) -> None:
    if "triage" in request.fixturenames:
        # Whether it is in time on a machine that others use too is for the benchmark; here it is what it answers.
        monkeypatch.setitem(OPERATIONS, "triage", replace(OPERATIONS["triage"], budget_ms=4_000))
        switch = request.getfixturevalue("triage")
        switch.posture, switch.delay_s, switch.without_model = Posture.TIME_CRITICAL, 0.0, False


@pytest.fixture(scope="session")
def issuer() -> Iterator[TokenIssuer]:
    one = TokenIssuer()
    one.start()
    yield one
    one.stop()


@pytest.fixture(autouse=True)
def _knowledge_works_again(request) -> None:
    if "knowledge" in request.fixturenames:
        known = request.getfixturevalue("knowledge")
        known.down, known.delay_s = False, 0.0


@pytest.fixture
def settings_for(settings_for, issuer, retrieval_url, reconciliation_url, triage_url) -> Callable[..., FacadeSettings]:
    """As elsewhere, with retrieval, and with the issuer of the tokens that the facade's own FHIR server takes."""

    def make(**changes: Any) -> FacadeSettings:
        urls = {"retrieval_url": retrieval_url, "reconciliation_url": reconciliation_url, "triage_url": triage_url}
        settings = settings_for(**{**urls, **changes})
        (entry,) = json.loads(Path(settings.ehrs_file).read_text())
        entry["access_tokens"] = {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/jwks"}
        Path(settings.ehrs_file).write_text(json.dumps([entry]))
        return settings

    return make


ALL = (
    "system/Composition.crs system/Task.cr system/DocumentReference.rs system/DetectedIssue.rs system/Provenance.r"
    " system/Device.r system/RiskAssessment.cru"
)


@dataclass
class Client:
    """A client of the operations, with a token for ``scope`` unless it says otherwise."""

    base: str
    issuer: TokenIssuer
    http: httpx.AsyncClient
    container: Container | None

    def token(self, scope: str = ALL, **claims: Any) -> str:
        return self.issuer.token(claims.pop("aud", self.base), scope, **claims)

    async def invoke(
        self, name: str, *given: dict[str, Any], scope: str = ALL, claims: Any = None, prefer: str = "", **more: Any
    ) -> httpx.Response:
        headers = {
            "Authorization": f"Bearer {self.token(scope, **(claims or {}))}",
            "Content-Type": "application/fhir+json",
            **({"Prefer": prefer} if prefer else {}),
            **more.pop("headers", {}),
        }
        content = more.pop("content", None) or json.dumps({"resourceType": "Parameters", "parameter": list(given)})
        return await self.http.post(f"{self.base}/${name}", content=content, headers=headers, **more)

    async def get(self, url: str, method: str = "GET", scope: str = ALL, **claims: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token(scope, **claims)}"}
        return await self.http.request(method, url if "://" in url else f"{self.base}/{url}", headers=headers)

    async def events(self) -> list[tuple[str, str, str | None]]:
        """Every AuditEvent of an operation that the facade keeps, as (operation, outcome, patient)."""
        assert self.container is not None
        found = await self.container.resources.search("sandbox", "AuditEvent", limits=[Limit(None, ())], count=1000)
        events = []
        for one in found.resources:
            if one.resource["subtype"][0]["code"] == "operation":
                entities = one.resource["entity"]
                name = next(base64.b64decode(entity["query"]).decode() for entity in entities if "query" in entity)
                of = [entity["what"]["reference"] for entity in entities if entity.get("what", {}).get("reference")]
                events.append((name, one.resource["outcome"], of[0] if of else None))
        return events


@pytest.fixture
async def client(facade: Container, issuer) -> AsyncIterator[Client]:
    async with httpx.AsyncClient(timeout=30) as http:
        yield Client(f"{facade.settings.public_base_url}/fhir/sandbox", issuer, http, facade)


@pytest.fixture
async def client_of(issuer) -> AsyncIterator[Callable[[str], Client]]:
    """A client of a facade that is another process."""
    async with httpx.AsyncClient(timeout=30) as http:
        yield lambda url: Client(f"{url}/fhir/sandbox", issuer, http, None)


@pytest.fixture
async def alone(tmp_path, secrets, issuer, retrieval_url, triage_url) -> AsyncIterator[Client]:
    """A client of a facade without an EHR that answers, and without workers: for what asks retrieval only."""
    ehrs = tmp_path / "ehrs.json"
    entry = {
        "id": "sandbox",
        "name": "An EHR",
        "issuer": f"{issuer.url}/ehr",
        "fhir_base": f"{issuer.url}/ehr",
        "backend_client_id": "preceptor-backend",
        "backend_scopes": "system/Encounter.rs",
        "launch_client_id": "preceptor",
        "launch_scopes": "openid",
        "encounter_topic": "https://ehr.example.org/topics/encounter-complete",
        "access_tokens": {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/jwks"},
    }
    ehrs.write_text(json.dumps([entry]))
    settings = FacadeSettings(
        public_base_url="https://preceptor.example.org",
        database_url=f"sqlite+aiosqlite:///{tmp_path / 'alone.sqlite3'}",
        ehrs_file=ehrs,
        reconciliation_url="http://127.0.0.1:1/reconciliation",
        retrieval_url=retrieval_url,
        triage_url=triage_url,
    )
    container = build_container(settings, secrets)
    await container.database.migrate()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(build_app(container))) as http:
        yield Client(f"{settings.public_base_url}/fhir/sandbox", issuer, http, container)
    await container.http.aclose()
    await container.database.close()


def given(name: str, kind: str, value: Any) -> dict[str, Any]:
    """An input parameter."""
    if kind in ("resource", "part"):
        return {"name": name, kind: value}
    return {"name": name, f"value{kind[0].upper()}{kind[1:]}": value}


def of(resource: dict[str, Any], name: str) -> list[Any]:
    """The values of an output parameter; parts as a dict by name, each a list."""
    found = []
    for one in resource["parameter"]:
        if one["name"] == name:
            if "part" in one:
                parts: dict[str, list[Any]] = {}
                for part in one["part"]:
                    parts.setdefault(part["name"], []).extend(of({"parameter": [part]}, part["name"]))
                found.append(parts)
            else:
                found.append(
                    one.get("resource") or next(value for key, value in one.items() if key.startswith("value"))
                )
    return found


def follows(name: str, resource: dict[str, Any]) -> None:
    """Assert that an output is what the OperationDefinition says: names, types, cardinality."""
    _follows([one for one in definition(name)["parameter"] if one["use"] == "out"], resource["parameter"], name)


def _follows(wanted: list[dict[str, Any]], listed: list[dict[str, Any]], place: str) -> None:
    by_name = {one["name"]: one for one in wanted}
    assert {one["name"] for one in listed} <= by_name.keys(), place
    for spec in wanted:
        given = [one for one in listed if one["name"] == spec["name"]]
        most = 10_000 if spec["max"] == "*" else int(spec["max"])
        assert spec["min"] <= len(given) <= most, f"{place}.{spec['name']}: {len(given)}"
        for one in given:
            if "part" in spec:
                _follows(spec["part"], one["part"], f"{place}.{spec['name']}")
            elif "resource" in one:
                assert one["resource"]["resourceType"] == spec["type"]
            else:
                assert f"value{spec['type'][0].upper()}{spec['type'][1:]}" in one, f"{place}.{spec['name']}"


class Parameters:
    """``given``, ``of`` and ``follows``, for tests to take as a fixture."""

    given, of, follows = staticmethod(given), staticmethod(of), staticmethod(follows)


@pytest.fixture(scope="session")
def p() -> type[Parameters]:
    return Parameters
