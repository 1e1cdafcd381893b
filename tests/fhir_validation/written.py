"""Every resource the facade writes, made by its own functions, for a document in which everything occurs."""

import copy
from datetime import UTC, date, datetime
from typing import Any

from facade.decisions import Decision, DecisionAction, corrected_sections
from facade.resources.audit_event import AuditParties
from facade.resources.composition import DocumentContext
from facade.resources.ids import document_id
from facade.resources.signing import Signer, sign_transaction
from facade.resources.transaction import document_transaction, failure_transaction
from facade.store.documents import DocumentStatus, StoredDocument
from service_contracts.chart import Chart, ChartCondition, ChartMedication, ChartOrder, ChartReference, OrderKind
from service_contracts.drafts import SECTION_TITLES, ModelIdentity, SectionKey
from service_contracts.evidence import DoseLimit, Fact, Severity, Source
from service_contracts.quantity import Quantity
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

__all__ = ["Bundle", "failed_drafting", "preliminary", "signed", "stored_document"]

Bundle = dict[str, Any]

_AT = datetime(2026, 3, 1, 10, 30, 15, 123_000, tzinfo=UTC)
_ENCOUNTER = "Encounter/enc-1"
_PARTIES = AuditParties("preceptor-backend", "https://preceptor.test", "Sandbox EHR", "https://ehr.test/fhir")
_SIGNER = Signer("Practitioner/pr-1", "A. Clinician")
_LINE = 'Take 500 mg of naproxen & rest; call if > 38 °C <or> "worse".'

# One fact with an address, one without: only an address may become DetectedIssue.reference.
_SOURCES = ("https://labels.test/spl?set=1&v=2", "set 8f2d")


def _fact(number: int, identifier: str) -> Fact:
    return Fact(
        id=f"fact-{number}",
        body=DoseLimit(ingredient="naproxen", max_daily=Quantity(value=1000, unit="mg")),
        statement='The daily dose should not exceed 1000 mg <"in adults">.',
        verbatim=True,
        source=Source(
            title="Naproxen tablets & suspension",
            publisher="A publisher",
            identifier=identifier,
            version="7",
            section="2.1",
            published=date(2025, 1, 1),
        ),
    )


def _model() -> ModelIdentity:
    return ModelIdentity(
        base="SmolLM2-135M-Instruct",
        base_digest=f"sha256:{'a' * 64}",
        adapter="discharge-instructions",
        adapter_version="1.0.0",
        adapter_digest=f"sha256:{'b' * 64}",
        template="discharge-instructions",
        template_version="1",
    )


def _chart() -> Chart:
    return Chart(
        patient=ChartReference(reference="Patient/pat-1", version="1"),
        encounter=ChartReference(reference=_ENCOUNTER, version="3"),
        conditions=(ChartCondition(source=ChartReference(reference="Condition/c-1", version="2"), name="Pain"),),
        medications=(ChartMedication(source=ChartReference(reference="MedicationRequest/m-1"), name="naproxen"),),
        orders=(
            ChartOrder(
                source=ChartReference(reference="ServiceRequest/s-1", version="1"),
                kind=OrderKind.ACTIVITY,
                text="No lifting",
            ),
        ),
        as_of=date(2026, 3, 1),
    )


def _document() -> ReconciledDocument:
    facts = tuple(_fact(number, identifier) for number, identifier in enumerate(_SOURCES))
    span = Span(section=SectionKey.MEDICATIONS, start=5, end=11, quote=_LINE[5:11])
    flags = tuple(
        Flag(
            id=f"flag-{number}",
            claim_id=f"claim-{number}",
            kind=kind,
            severity=list(Severity)[number % len(Severity)],
            span=span if number == 0 else None,
            says='The draft says "500 mg".',
            finding="That is more than the source allows.",
            fact_id=(facts[0].id, facts[1].id, None)[number % 3],
            chart=(ChartReference(reference="MedicationRequest/m-1", version="4"),) if number % 2 else (),
            correction="250 mg",
        )
        for number, kind in enumerate(ClaimKind)
    )
    verdicts = [(Verdict.SUPPORTED, None), (Verdict.NO_EVIDENCE, None)]
    verdicts += [(Verdict.NOT_CHECKED, reason) for reason in NotCheckedReason]
    claims = tuple(
        Claim(
            id=f"other-{number}",
            kind=ClaimKind.CHART_FACT,
            assertion="naproxen <500 mg> & more",
            span=None,
            verdict=verdict,
            reason=reason,
        )
        for number, (verdict, reason) in enumerate(verdicts)
    )
    flagged = tuple(
        Claim(id=flag.claim_id, kind=flag.kind, assertion=flag.says, span=flag.span, verdict=Verdict.CONTRADICTED)
        for flag in flags
    )
    return ReconciledDocument(
        task="discharge-instructions",
        model=_model(),
        sections=tuple(
            # The last section is empty: the deadline came before it.
            Section(key=key, title=SECTION_TITLES[key], text="" if key is SectionKey.WARNING_SIGNS else _LINE)
            for key in SectionKey
        ),
        claims=claims + flagged,
        flags=flags,
        facts=facts,
        missing=("warning-signs",),
        evidence_version="1",
    )


def stored_document(*, decided: bool = False) -> StoredDocument:
    """Return a document with a flag of every kind; ``decided`` gives each a decision, of all three actions."""
    document = _document()
    actions = list(DecisionAction)
    decisions = tuple(
        Decision(
            flag.id,
            actions[number % len(actions)],
            _SIGNER.reference,
            _AT,
            reason="The patient weighs 120 kg & tolerates it",
            replacement="other words",
        )
        for number, flag in enumerate(document.flags)
    )
    return StoredDocument(
        id=document_id("sandbox", _ENCOUNTER),
        ehr_id="sandbox",
        encounter=_ENCOUNTER,
        patient="Patient/pat-1",
        status=DocumentStatus.PRELIMINARY,
        document=document,
        chart=_chart(),
        created_at=_AT,
        decisions=decisions if decided else (),
    )


def preliminary() -> Bundle:
    """Return the transaction that writes a preliminary document."""
    return document_transaction(stored_document(), _PARTIES, request_id="request-1").bundle


def signed() -> Bundle:
    """Return the transaction that signs the document, from the resources as an EHR would have stored them."""
    stored = stored_document(decided=True)
    first = document_transaction(stored, _PARTIES, request_id="request-1")
    urns: dict[str, str] = {}
    current: dict[str, dict[str, Any]] = {}
    for number, (name, entry) in enumerate(zip(first.names, first.bundle["entry"], strict=True)):
        resource = copy.deepcopy(entry["resource"])
        resource["id"] = f"r-{number}"
        resource.setdefault("meta", {}).update(versionId="1", lastUpdated="2026-03-01T10:31:00.000Z")
        urns[entry["fullUrl"]] = f"{resource['resourceType']}/{resource['id']}"
        current[name] = resource
    resolved = {name: _resolved(resource, urns) for name, resource in current.items()}
    sections = corrected_sections(stored.document, stored.decisions)
    return sign_transaction(
        stored,
        sections=sections,
        signer=_SIGNER,
        current=resolved,
        parties=_PARTIES,
        request_id="request-2",
        signed_at=_AT,
    ).bundle


def failed_drafting() -> Bundle:
    """Return the transaction that says that no document could be drafted."""
    stored = stored_document()
    context = DocumentContext(stored.id, stored.patient, stored.encounter, "request-3", _AT)
    return failure_transaction(context, _PARTIES, "Drafting is not available; it is tried again.").bundle


def _resolved(value: Any, urns: dict[str, str]) -> Any:
    """Return ``value`` with every ``urn:uuid`` reference replaced, as a server does when it stores a transaction."""
    if isinstance(value, dict):
        return {
            key: urns.get(item, item) if key == "reference" and isinstance(item, str) else _resolved(item, urns)
            for key, item in value.items()
        }
    return [_resolved(item, urns) for item in value] if isinstance(value, list) else value
