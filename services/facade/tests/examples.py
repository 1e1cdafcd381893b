"""Made-up charts and documents, and an example of every resource the facade writes: for these tests and for validators.

``resources()`` yields resources as they leave us; ``bundles()`` the transactions they travel in.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from facade.decisions import Decision, DecisionAction, corrected_sections
from facade.ehr.registry import Ehr
from facade.resources.access_event import AccessParties
from facade.resources.audit_event import AuditParties
from facade.resources.composition import DocumentContext
from facade.resources.detected_issue import issue_name
from facade.resources.ids import document_id
from facade.resources.signing import Signer, sign_transaction
from facade.resources.transaction import Transaction, document_transaction, failure_transaction
from facade.resources.viewed_document import view_transaction
from facade.store.documents import DocumentStatus, StoredDocument
from facade.subscriptions.subscription import subscription_resource
from service_contracts.chart import (
    Chart,
    ChartAllergy,
    ChartCondition,
    ChartMedication,
    ChartObservation,
    ChartOrder,
    ChartProcedure,
    ChartReference,
    OrderKind,
)
from service_contracts.drafts import SECTION_TITLES, ModelIdentity, SectionKey
from service_contracts.evidence import DoseLimit, Fact, FollowUpInterval, Severity, Source
from service_contracts.quantity import Coding, Quantity
from service_contracts.reconciliation import (
    Claim,
    ClaimKind,
    Flag,
    NotCheckedReason,
    ReconciledDocument,
    Section,
    Span,
    Verdict,
)

__all__ = ["AT", "EHR_ID", "ENCOUNTER", "PARTIES", "bundles", "chart", "reconciled", "resources", "stored_document"]

AT = datetime(2026, 11, 24, 10, 30, tzinfo=UTC)
EHR_ID = "sandbox"
ENCOUNTER = "Encounter/stay-1"
PATIENT = "Patient/patient-1"
PARTIES = AuditParties("preceptor-backend", "https://preceptor.example.org", "An EHR", "https://ehr.example.org/fhir")
EHR = Ehr(
    id=EHR_ID,
    name="An EHR",
    issuer="https://ehr.example.org/fhir",
    fhir_base="https://ehr.example.org/fhir",
    backend_client_id="preceptor-backend",
    backend_scopes="system/Encounter.rs",
    launch_client_id="preceptor",
    launch_scopes="openid",
    encounter_topic="https://ehr.example.org/topics/encounter-complete",
    encounter_filters=("Encounter?class=IMP",),
)

_MEDICATIONS = (
    "Take simvastatin 80 mg once a day.\nTake aspirin 81 mg once a day & keep <all> pills away from children."
)
_FOLLOW_UP = "See your heart doctor in 6 weeks."


def _reference(text: str, version: str | None = "1") -> ChartReference:
    return ChartReference(reference=text, version=version)


def chart() -> Chart:
    """Return the chart of a made-up stay that holds something of every kind."""
    return Chart(
        patient=_reference(PATIENT),
        encounter=_reference(ENCOUNTER, "3"),
        age_years=64,
        sex="female",
        admitted=datetime(2026, 11, 20, 8, tzinfo=UTC),
        discharged=AT,
        reason="Shortness of breath",
        conditions=(ChartCondition(source=_reference("Condition/c-1"), name="Heart failure", principal=True),),
        procedures=(ChartProcedure(source=_reference("Procedure/p-1"), name="Pacemaker implantation"),),
        medications=(
            ChartMedication(
                source=_reference("MedicationRequest/m-1"),
                name="Simvastatin",
                codes=(Coding(system="http://www.nlm.nih.gov/research/umls/rxnorm", code="36567"),),
                dose=Quantity(value=80, unit="mg"),
                times_per_day=1,
            ),
            ChartMedication(source=_reference("MedicationRequest/m-2", None), name="Aspirin"),
        ),
        allergies=(ChartAllergy(source=_reference("AllergyIntolerance/a-1"), name="Penicillin"),),
        observations=(
            ChartObservation(
                source=_reference("Observation/o-1"), name="creatinine", value=Quantity(value=1.1, unit="mg/dL")
            ),
        ),
        orders=(ChartOrder(source=_reference("ServiceRequest/s-1"), kind=OrderKind.FOLLOW_UP, text=_FOLLOW_UP),),
        as_of=date(2026, 11, 24),
    )


def _source(identifier: str) -> Source:
    return Source(
        title="Simvastatin tablets", publisher="A publisher", identifier=identifier, version="7", section="Dosage"
    )


def reconciled() -> ReconciledDocument:
    """Return a document with claims of every verdict and flags with and without span, fact and correction."""
    facts = (
        Fact(
            id="fact-1",
            body=DoseLimit(ingredient="simvastatin", max_daily=Quantity(value=40, unit="mg")),
            statement='The recommended range is "5 to 40 mg" a day & not more.',
            verbatim=True,
            source=_source("https://example.org/label/1"),
        ),
        Fact(
            id="fact-2",
            body=FollowUpInterval(
                subject="heart failure",
                terms=("heart failure",),
                visit="cardiology",
                within=Quantity(value=14, unit="d"),
            ),
            statement="A visit within 7 to 14 days is recommended.",
            verbatim=False,
            source=_source("set-id-2"),
        ),
    )
    dose = Span(section=SectionKey.MEDICATIONS, start=0, end=34, quote=_MEDICATIONS[:34])
    visit = Span(section=SectionKey.FOLLOW_UP, start=0, end=len(_FOLLOW_UP), quote=_FOLLOW_UP)
    cited = _reference("MedicationRequest/m-1")

    def claim(identifier: str, kind: ClaimKind, verdict: Verdict, span: Span | None, **more: Any) -> Claim:
        return Claim(id=identifier, kind=kind, assertion=f"what {identifier} says", span=span, verdict=verdict, **more)

    return ReconciledDocument(
        task="discharge-instructions",
        model=ModelIdentity(
            base="a base", base_digest=f"sha256:{'0' * 64}", adapter="discharge-instructions", adapter_version="1",
            adapter_digest=f"sha256:{'1' * 64}", template="a template", template_version="1",
        ),
        sections=(
            Section(key=SectionKey.REASON, title=SECTION_TITLES[SectionKey.REASON], text="You had heart failure."),
            Section(key=SectionKey.MEDICATIONS, title=SECTION_TITLES[SectionKey.MEDICATIONS], text=_MEDICATIONS),
            Section(key=SectionKey.ACTIVITY, title=SECTION_TITLES[SectionKey.ACTIVITY], text=""),
            Section(key=SectionKey.DIET, title=SECTION_TITLES[SectionKey.DIET], text="Eat less salt."),
            Section(key=SectionKey.FOLLOW_UP, title=SECTION_TITLES[SectionKey.FOLLOW_UP], text=_FOLLOW_UP),
            Section(key=SectionKey.WARNING_SIGNS, title=SECTION_TITLES[SectionKey.WARNING_SIGNS], text="Call us."),
        ),
        claims=(
            claim("c-dose", ClaimKind.DOSE, Verdict.CONTRADICTED, dose, fact_ids=("fact-1",), chart=(cited,)),
            claim("c-visit", ClaimKind.FOLLOW_UP, Verdict.CONTRADICTED, visit, fact_ids=("fact-2",)),
            claim("c-missing", ClaimKind.CHART_FACT, Verdict.CONTRADICTED, None, chart=(cited,)),
            claim("c-fine", ClaimKind.INTERACTION, Verdict.SUPPORTED, dose),
            claim("c-unknown", ClaimKind.ALLERGY, Verdict.NO_EVIDENCE, dose),
            claim("c-late", ClaimKind.RENAL, Verdict.NOT_CHECKED, dose, reason=NotCheckedReason.DEADLINE),
        ),
        flags=(
            Flag(
                id="f-dose", claim_id="c-dose", kind=ClaimKind.DOSE, severity=Severity.HIGH, span=dose,
                says="The draft says simvastatin 80 mg a day.", finding="The label's maximum is 40 mg a day.",
                fact_id="fact-1", chart=(cited,), correction="Take simvastatin 40 mg once a day.",
            ),
            Flag(
                id="f-visit", claim_id="c-visit", kind=ClaimKind.FOLLOW_UP, severity=Severity.MODERATE, span=visit,
                says="The draft says 6 weeks.", finding="A visit within 14 days is due.", fact_id="fact-2",
            ),
            Flag(
                id="f-missing", claim_id="c-missing", kind=ClaimKind.CHART_FACT, severity=Severity.LOW, span=None,
                says="The draft does not name aspirin's dose.", finding="The discharge list has it.", chart=(cited,),
                correction="Take aspirin 81 mg.",
            ),
        ),
        facts=facts,
        missing=("activity",),
        evidence_version="v1",
    )  # fmt: skip


def stored_document() -> StoredDocument:
    """Return the document as it is kept before anything is written to an EHR."""
    return StoredDocument(
        id=document_id(EHR_ID, ENCOUNTER),
        ehr_id=EHR_ID,
        encounter=ENCOUNTER,
        patient=PATIENT,
        status=DocumentStatus.PRELIMINARY,
        document=reconciled(),
        chart=chart(),
        created_at=AT,
    )


def decisions() -> tuple[Decision, ...]:
    """Return one decision of each kind on the flags of ``reconciled``."""
    who = "Practitioner/dr-1"
    return (
        Decision("f-dose", DecisionAction.ACCEPT, who, AT),
        Decision("f-visit", DecisionAction.OVERRIDE, who, AT, reason="The clinic has no earlier visit <yet>."),
        Decision("f-missing", DecisionAction.EDIT, who, AT, replacement="Take aspirin 81 mg in the morning."),
    )


def bundles() -> dict[str, Transaction]:
    """Return every transaction the facade sends: a document, a failure and a signature."""
    stored = stored_document()
    context = DocumentContext(stored.id, PATIENT, ENCOUNTER, "r-1", AT)
    written = document_transaction(stored, PARTIES, request_id="r-1")
    decided = replace(stored, decisions=decisions())
    held = {
        name: {
            **entry["resource"],
            "id": f"r-{number}",
            "meta": {**entry["resource"].get("meta", {}), "versionId": "1"},
        }
        for number, (name, entry) in enumerate(zip(written.names, written.bundle["entry"], strict=True))
    }
    kept = ("composition", "document-reference", *(issue_name(flag.id) for flag in stored.document.flags))
    signed = sign_transaction(
        decided,
        sections=corrected_sections(decided.document, decided.decisions),
        signer=Signer("Practitioner/dr-1", "Dr. Example"),
        current={name: held[name] for name in kept},
        parties=PARTIES,
        request_id="r-2",
        signed_at=AT,
    )
    failure = failure_transaction(context, PARTIES, "the drafting service does not answer")
    return {"document": written, "failure": failure, "signature": signed}


def resources() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every resource the facade writes, with a name that says when."""
    for when, transaction in bundles().items():
        yield f"{when}: Bundle", transaction.bundle
        for name, entry in zip(transaction.names, transaction.bundle["entry"], strict=True):
            yield f"{when}: {name}", entry["resource"]
    parties = AccessParties("preceptor", None, "Practitioner/dr-1", "https://preceptor.example.org/fhir/sandbox")
    _, viewed = view_transaction(
        parties, document_id=document_id(EHR_ID, ENCOUNTER), patient=PATIENT, request_id="request-1", at=AT
    )
    yield "looked at: Bundle", viewed
    yield "looked at: audit-event", viewed["entry"][0]["resource"]
    yield "subscription", subscription_resource(EHR, "https://preceptor.example.org", "a-secret")
