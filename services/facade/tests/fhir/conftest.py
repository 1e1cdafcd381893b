"""The FHIR endpoint with the results of two patients, and of a third at another EHR, and an issuer of tokens."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from facade.app import build_app
from facade.container import Container, build_container
from facade.decisions import corrected_sections
from facade.fhir.results import Results
from facade.resources.audit_event import AuditParties
from facade.resources.detected_issue import issue_name
from facade.resources.ids import document_id, resource_id
from facade.resources.signing import Signer, sign_transaction
from facade.resources.transaction import document_transaction
from facade.settings import FacadeSettings
from facade.store.resources import StoredResource

from tests.support.token_issuer import TokenIssuer

PUBLIC = "https://preceptor.example.org"
NORTH, SOUTH = f"{PUBLIC}/fhir/north", f"{PUBLIC}/fhir/south"
ANNA, BERT, CARL = "Patient/anna", "Patient/bert", "Patient/carl"
TYPES = (
    "Composition",
    "DocumentReference",
    "DetectedIssue",
    "RiskAssessment",
    "Provenance",
    "AuditEvent",
    "Task",
    "Device",
)


@dataclass
class Endpoint:
    """The endpoint as a client sees it, and what lies behind it."""

    container: Container
    issuer: TokenIssuer
    http: httpx.AsyncClient

    def token(self, scope: str, *, base: str = NORTH, **claims: Any) -> str:
        """Return a token that is right in every other way."""
        return self.issuer.token(base, scope, **claims)

    async def ask(
        self, path: str, scope: str | None = None, *, base: str = NORTH, method: str = "GET", **more: Any
    ) -> httpx.Response:
        """Send one request below ``base``, with a token for ``scope`` or the one given."""
        token = more.pop("token", None)
        if token is None and scope is not None:
            token = self.token(scope, base=base, **more.pop("claims", {}))
        headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **more.pop("headers", {})}
        url = path if path.startswith("https://") else f"{base}/{path}" if path else base
        return await self.http.request(method, url, headers=headers, **more)

    async def stored(self, ehr_id: str, resource_type: str) -> list[StoredResource]:
        """Return all newest versions, whoever they are about."""
        from facade.fhir.criteria import Limit

        found = await self.container.resources.search(ehr_id, resource_type, limits=[Limit(None, ())], count=1000)
        return list(found.resources)


@pytest.fixture(scope="session")
def issuer() -> Iterator[TokenIssuer]:
    """The authorization server of both EHRs."""
    one = TokenIssuer()
    one.start()
    yield one
    one.stop()


@pytest.fixture(autouse=True)
def _issuer_works_again(issuer: TokenIssuer) -> None:
    issuer.silent = False


def entry(ehr_id: str, issuer: TokenIssuer, **changes: Any) -> dict[str, Any]:
    """Return a registration of an EHR whose tokens ``issuer`` issues."""
    return {
        "id": ehr_id,
        "name": f"EHR {ehr_id}",
        "issuer": f"{issuer.url}/{ehr_id}",
        "fhir_base": f"{issuer.url}/{ehr_id}",
        "backend_client_id": "preceptor-backend",
        "backend_scopes": "system/Encounter.rs",
        "launch_client_id": "preceptor",
        "launch_scopes": "openid",
        "encounter_topic": "https://ehr.example.org/topics/encounter-complete",
        "access_tokens": {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/jwks"},
        **changes,
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def endpoint_for(tmp_path_factory, secrets, issuer):
    """Makes an endpoint for the registrations given; all of a module are closed together."""
    made: list[Endpoint] = []
    tmp_path = tmp_path_factory.mktemp("fhir")

    async def make(*entries: dict[str, Any]) -> Endpoint:
        ehrs = tmp_path / f"ehrs-{len(made)}.json"
        ehrs.write_text(json.dumps(entries))
        settings = FacadeSettings(
            public_base_url=PUBLIC,
            database_url=f"sqlite+aiosqlite:///{tmp_path / f'facade-{len(made)}.sqlite3'}",
            ehrs_file=ehrs,
            reconciliation_url="http://127.0.0.1:1/reconciliation",
            retrieval_url="http://127.0.0.1:1/retrieval",
        )
        container = build_container(settings, secrets)
        await container.database.migrate()
        http = httpx.AsyncClient(transport=httpx.ASGITransport(build_app(container)), follow_redirects=False)
        made.append(Endpoint(container, issuer, http))
        return made[-1]

    yield make
    for one in made:
        await one.http.aclose()
        await one.container.http.aclose()
        await one.container.database.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def endpoint(endpoint_for, issuer, examples) -> Endpoint:
    """Two EHRs; at north Anna's document is signed and Bert's is a draft, at south there is Carl's."""
    one = await endpoint_for(entry("north", issuer), entry("south", issuer))
    for ehr_id, patient, signed in (("north", ANNA, True), ("north", BERT, False), ("south", CARL, False)):
        await fill(one.container, examples, ehr_id, patient, signed=signed)
    return one


async def fill(container: Container, examples: Any, ehr_id: str, patient: str, *, signed: bool) -> None:
    """Keep the results of one stay, as drafting and signing do, and a risk assessment."""
    encounter = patient.replace("Patient/", "Encounter/stay-")
    chart = examples.chart()
    chart = chart.model_copy(
        update={
            "patient": chart.patient.model_copy(update={"reference": patient}),
            "encounter": chart.encounter.model_copy(update={"reference": encounter}),
        }
    )
    stored = replace(
        examples.stored_document(),
        id=document_id(ehr_id, encounter),
        ehr_id=ehr_id,
        encounter=encounter,
        patient=patient,
        chart=chart,
    )
    ehr = container.ehrs.get(ehr_id)
    parties = AuditParties("preceptor-backend", PUBLIC, ehr.name, ehr.fhir_base)
    written = document_transaction(stored, parties, request_id="r-1")
    prepared = await Results(container.resources, container.ehrs).of_document(stored, written, at=stored.created_at)
    await container.resources.put(*prepared)
    at = stored.created_at + timedelta(minutes=10)
    if signed:
        held = {
            name: {
                **one["resource"],
                "id": f"ehr-{number}",
                "meta": {**one["resource"].get("meta", {}), "versionId": "1"},
            }
            for number, (name, one) in enumerate(zip(written.names, written.bundle["entry"], strict=True))
        }
        names = {name: f"{one['resourceType']}/{one['id']}" for name, one in held.items()}
        decided = replace(stored, decisions=examples.decisions(), written=names)
        kept = ("composition", "document-reference", *(issue_name(flag.id) for flag in stored.document.flags))
        transaction = sign_transaction(
            decided,
            sections=corrected_sections(decided.document, decided.decisions),
            signer=Signer("Practitioner/dr-1", "Dr. Example"),
            current={name: held[name] for name in kept},
            parties=parties,
            request_id="r-2",
            signed_at=at,
        )
        await container.resources.put(
            *await Results(container.resources, container.ehrs).of_document(decided, transaction, at=at)
        )
    risk = {
        "resourceType": "RiskAssessment",
        "id": resource_id(stored.id, "risk"),
        "status": "preliminary",
        "subject": {"reference": f"{ehr.fhir_base}/{patient}"},
        "encounter": {"reference": f"{ehr.fhir_base}/{encounter}"},
        "occurrenceDateTime": "2026-11-24T10:30:00Z",
        "performer": {"reference": f"Device/{prepared_device(prepared)}"},
        "prediction": [{"qualitativeRisk": {"coding": [{"system": "urn:esi", "code": "3" if signed else "2"}]}}],
    }
    await container.resources.put(await container.resources.prepare(ehr_id, risk, patient=patient, at=at))


def prepared_device(prepared: Any) -> str:
    """Return the id of the Device among what was prepared."""
    return next(one.id for one in prepared if one.resource_type == "Device")
