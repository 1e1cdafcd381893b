"""Labels and formularies that are ingested while the suite runs are cited by the document of the next discharge."""

import json
import lzma
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from facade.gather.chart import StayResources, chart_of
from facade.resources.audit_event import AuditParties
from facade.resources.ids import document_id
from facade.resources.transaction import document_transaction
from facade.store.documents import DocumentStatus, StoredDocument
from preceptor.demo.document import ShownDocument, read_document
from preceptor.suite.background import BackgroundSuite
from preceptor.suite.environments import process_environment, service_environment
from service_contracts.evidence import EvidenceQuery, FactKind, FormularyStatus, Subject, SubjectKind
from service_contracts.quantity import Coding
from service_contracts.reconciliation import Claim, ClaimKind, ReconciledDocument, ReconcileRequest, Verdict
from service_runtime.service_auth import ServiceAuth

pytestmark = pytest.mark.suite

SHARED_DATA = Path(__file__).parents[3] / "shared" / "data"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
PLAN = "Formulary-10207VA0380001"
IVABRADINE = "1649493"
"""The tablet of 7.5 mg: what a label says of a dose holds for its own products."""
SHIPPED = date(2022, 6, 15)
"""A day in the only year for which the formularies hold."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three formularies, and the labels of one drug that the starter knowledge has no limit for."""
    folder = tmp_path_factory.mktemp("knowledge")
    for name in ("formulary", "drug_labels"):
        archive = SHARED_DATA / f"{name}.tar.xz"
        if not archive.exists():
            pytest.skip(f"the open data is not here: {archive.name}")
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    with lzma.open(folder / "drug_labels" / "openfda_875" / "openfda_labels_875.jsonl.xz") as lines:
        (folder / "labels.jsonl").write_bytes(b"".join(line for line in lines if b"ivabradine tablets" in line.lower()))
    return folder


@pytest.fixture(scope="module")
def ingested(suite: BackgroundSuite, data: Path) -> None:
    """Ingest as an informatics engineer does, from the command line, into the index that the suite serves from."""
    environment = process_environment(suite.settings, service_environment(suite.settings, "retrieval"))
    for what in (["formularies", str(data / "formulary" / "davinci_ri")], ["labels", str(data / "labels.jsonl")]):
        ended = subprocess.run(
            [sys.executable, "-m", "preceptor", "ingest", *what], env=environment, capture_output=True, text=True
        )
        assert ended.returncode == 0, ended.stderr
        assert " 0 refused," in " ".join(ended.stderr.split()), ended.stderr


@pytest.fixture
async def http(suite: BackgroundSuite) -> AsyncIterator[httpx.AsyncClient]:
    headers = await ServiceAuth(suite.secrets("facade")).header()
    url = suite.settings.serve_url
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=20) as client:
        yield client


@pytest.fixture
async def served(ingested: None, http: httpx.AsyncClient, until: Any) -> None:
    """Wait until the replica has read what was ingested; it does so by itself, without a restart."""
    ordered = Coding(system=RXNORM, code=IVABRADINE)
    subject = Subject(kind=SubjectKind.DRUG, text="ivabradine 7.5 MG Oral Tablet", codes=(ordered,))
    query = EvidenceQuery(subjects=(subject,), as_of=SHIPPED, plan=PLAN, budget_ms=1_000)

    async def known() -> bool:
        answer = await http.post("/retrieval/v1/evidence", content=query.model_dump_json())
        found = answer.raise_for_status().json()
        searched = str(FactKind.FORMULARY_STATUS) in found["searched"]
        return searched and any(fact["id"].startswith("label/") for fact in found["facts"])

    await until(known)


def order(number: int, name: str, rxcui: str | None, dose_mg: float, times: int) -> dict[str, Any]:
    repeat = {"frequency": times, "period": 1, "periodUnit": "d"}
    quantity = {"value": dose_mg, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}
    code: dict[str, Any] = {"text": name}
    if rxcui:
        code["coding"] = [{"system": RXNORM, "code": rxcui, "display": name}]
    return {
        "resourceType": "MedicationRequest",
        "id": f"order-{number}",
        "meta": {"versionId": "1"},
        "status": "active",
        "intent": "order",
        "category": [{"coding": [{"code": "discharge"}]}],
        "medicationCodeableConcept": code,
        "subject": {"reference": "Patient/p"},
        "encounter": {"reference": "Encounter/e"},
        "authoredOn": "2022-06-14T09:00:00Z",
        "dosageInstruction": [
            {
                "route": {"text": "oral"},
                "timing": {"repeat": repeat},
                "doseAndRate": [{"doseQuantity": quantity}],
            }
        ],
    }


def stay(orders: Iterable[dict[str, Any]]) -> StayResources:
    """The resources of a stay of June 2022 with the patient's Coverage by the plan."""
    coverage = {
        "resourceType": "Coverage",
        "id": "c",
        "status": "active",
        "beneficiary": {"reference": "Patient/p"},
        "class": [{"type": {"coding": [{"code": "plan"}]}, "value": PLAN}],
    }
    encounter = {
        "resourceType": "Encounter",
        "id": "e",
        "meta": {"versionId": "1"},
        "status": "finished",
        "subject": {"reference": "Patient/p"},
        "period": {"start": "2022-06-10T08:00:00Z", "end": "2022-06-15T10:00:00Z"},
        "reasonCode": [{"text": "Heart failure"}],
    }
    patient = {"resourceType": "Patient", "id": "p", "birthDate": "1950-02-03", "gender": "female"}
    return StayResources(encounter=encounter, patient=patient, medication_requests=list(orders), coverages=[coverage])


ORDERS = (
    order(1, "apixaban 5 MG Oral Tablet [Eliquis]", "1364447", 5, 2),
    order(2, "oxycodone hydrochloride 5 MG Oral Tablet", "1049621", 5, 4),
    order(3, "ivabradine 7.5 MG Oral Tablet", IVABRADINE, 15, 2),
    order(4, "lisinopril 10 MG Oral Tablet", None, 10, 1),
)


async def discharge(http: httpx.AsyncClient, as_of: date) -> StoredDocument:
    """Let the suite draft and check the document of the stay, and keep it as the facade does."""
    chart = chart_of(stay(ORDERS), as_of)
    request = ReconcileRequest(task="discharge-instructions", chart=chart, budget_ms=15_000)
    answer = await http.post("/reconciliation/v1/reconciliations", content=request.model_dump_json())
    event = json.loads(answer.raise_for_status().text.splitlines()[-1])
    assert event["event"] == "finished", event
    return StoredDocument(
        id=document_id("sandbox", "Encounter/e"),
        ehr_id="sandbox",
        encounter="Encounter/e",
        patient="Patient/p",
        status=DocumentStatus.PRELIMINARY,
        document=ReconciledDocument.model_validate(event["document"]),
        chart=chart,
        created_at=datetime.now(UTC),
    )


def shown(stored: StoredDocument) -> ShownDocument:
    """The document as an EHR's users see it: from the FHIR resources that are written."""
    parties = AuditParties("preceptor-backend", "http://localhost", "Sandbox EHR", "http://localhost/fhir")
    bundle = document_transaction(stored, parties, request_id="r-1").bundle
    resources = [entry["resource"] for entry in bundle["entry"]]
    issues = [one for one in resources if one["resourceType"] == "DetectedIssue"]
    return read_document(next(one for one in resources if one["resourceType"] == "Composition"), issues)


def coverage_claims(document: ReconciledDocument) -> dict[str, Claim]:
    return {claim.assertion.split()[0]: claim for claim in document.claims if claim.kind is ClaimKind.FORMULARY}


async def test_a_discharge_in_the_plans_year_cites_its_formulary(served: None, http: httpx.AsyncClient) -> None:
    stored = await discharge(http, SHIPPED)
    document, claims = stored.document, coverage_claims(stored.document)
    assert {name: claim.verdict for name, claim in claims.items()} == {
        "apixaban": Verdict.SUPPORTED,
        "oxycodone": Verdict.CONTRADICTED,
        "ivabradine": Verdict.SUPPORTED,
        "lisinopril": Verdict.NO_EVIDENCE,
    }, "every medicine has a verdict, and one the plan says nothing of is not said to be covered"
    facts = {fact.id: fact for fact in document.facts}
    for name, rxcui in (("apixaban", "1364447"), ("oxycodone", "1049621")):
        (cited,) = (facts[fact_id] for fact_id in claims[name].fact_ids)
        assert isinstance(cited.body, FormularyStatus)
        assert (cited.body.plan, cited.body.rxcui) == (PLAN, rxcui)
        assert (cited.source.effective_from, cited.source.superseded_on) == (date(2022, 1, 1), date(2023, 1, 1))
    (flag,) = [flag for flag in shown(stored).flags if flag.kind == "formulary"]
    assert "limits the quantity" in flag.finding and "another medicine to be tried first" in flag.finding
    assert flag.source and "lists oxycodone" in flag.source and PLAN in flag.source


async def test_a_flag_cites_the_label_that_was_ingested(served: None, http: httpx.AsyncClient, data: Path) -> None:
    stored = await discharge(http, SHIPPED)
    (flag,) = [one for one in stored.document.flags if one.kind is ClaimKind.DOSE]
    (cited,) = [fact for fact in stored.document.facts if fact.id == flag.fact_id]
    assert cited.id.startswith("label/") and cited.verbatim
    assert cited.statement in (data / "labels.jsonl").read_text(), "the flag quotes the label's own sentence"
    (issue,) = [one for one in shown(stored).flags if one.kind == "dose"]
    assert issue.source and cited.statement in issue.source and "ivabradine" in issue.says.lower()


async def test_after_the_plans_year_its_formulary_is_cited_no_more(served: None, http: httpx.AsyncClient) -> None:
    document = (await discharge(http, date(2023, 6, 15))).document
    assert {claim.verdict for claim in coverage_claims(document).values()} <= {Verdict.NO_EVIDENCE, Verdict.NOT_CHECKED}
    assert not [fact for fact in document.facts if isinstance(fact.body, FormularyStatus)]
