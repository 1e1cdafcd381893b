"""Keeping what a drafting made, or why it made nothing, together with the write-back that this causes."""

import asyncio
from datetime import UTC, datetime

from fhir_support.r4 import ResourceInvalid
from service_contracts.chart import Chart
from service_runtime.log import LogCode, log
from service_runtime.secrets import SecretError
from sqlalchemy.exc import SQLAlchemyError

from facade.ehr.registry import Ehr
from facade.fhir.results import Results
from facade.pipeline.reconciliation import DraftingFailed
from facade.resources.audit_event import AuditParties
from facade.resources.composition import DocumentContext
from facade.resources.ids import document_id, effect_id, patient_scope
from facade.resources.transaction import (
    Transaction,
    document_transaction,
    failure_transaction,
    revision_transaction,
)
from facade.store.database import Database
from facade.store.documents import Documents, StoredDocument
from facade.store.outbox import Effect, Outbox

__all__ = ["DOCUMENT_EFFECT", "FAILURE_EFFECT", "DraftKeeping", "audit_parties"]

DOCUMENT_EFFECT = "document"
FAILURE_EFFECT = "task-failed"


def audit_parties(ehr: Ehr, public_base_url: str) -> AuditParties:
    """Return the two ends of a write to ``ehr``."""
    return AuditParties(ehr.backend_client_id, public_base_url, ehr.name, ehr.fhir_base)


class DraftKeeping:
    """Keeps documents and failures. ``written_back`` is set whenever there is something new to write to an EHR."""

    def __init__(
        self,
        *,
        database: Database,
        documents: Documents,
        outbox: Outbox,
        results: Results,
        public_base_url: str,
        written_back: asyncio.Event,
    ) -> None:
        self._database = database
        self._documents = documents
        self._outbox = outbox
        self._results = results
        self._public_base_url = public_base_url
        self._written_back = written_back

    async def document(
        self, stored: StoredDocument, ehr: Ehr, request_id: str, former: StoredDocument | None
    ) -> StoredDocument:
        """Keep document, effect and our own resources in one transaction, so that none ever exists alone."""
        revision = str(stored.chart.encounter.version) if former is not None else ""
        transaction = self._transaction(ehr, stored, request_id, former, revision)
        effect = self._effect(DOCUMENT_EFFECT, stored, transaction, request_id, revision)
        try:
            document_row = await self._documents.sealed_row(stored)
            effect_row = await self._outbox.sealed_row(effect)
            results = await self._results.of_document(stored, transaction, at=stored.created_at)
        except SecretError:
            raise DraftingFailed(
                "secret-store-unavailable", "the document cannot be kept now", temporary=True
            ) from None
        async with self._database.session() as session:
            if former is None:
                new = await self._documents.add_row(session, document_row)
            else:
                new = await self._documents.revise_row(session, document_row, former)
            if new:
                await self._outbox.add_row(session, effect_row)
                await self._results.add(session, results)
        if not new:
            return await self._documents.get(stored.ehr_id, stored.encounter) or stored
        self._written_back.set()
        return stored

    async def failure(self, ehr: Ehr, encounter: str, chart: Chart, request_id: str, failure: DraftingFailed) -> None:
        """Tell the EHR, once, that there is no document and why; the Task is completed when there is one."""
        own_id = document_id(ehr.id, encounter)
        context = DocumentContext(own_id, chart.patient.reference, encounter, request_id, datetime.now(UTC))
        transaction = failure_transaction(context, audit_parties(ehr, self._public_base_url), failure.message)
        effect = Effect(
            id=effect_id(own_id, FAILURE_EFFECT),
            ehr_id=ehr.id,
            document_id=own_id,
            patient_key=patient_scope(ehr.id, chart.patient.reference),
            kind=FAILURE_EFFECT,
            encounter=encounter,
            bundle=transaction.bundle,
            names=transaction.names,
            request_id=request_id,
        )
        patient = chart.patient.reference
        try:
            effect_row = await self._outbox.sealed_row(effect)
            results = await self._results.of_failure(ehr.id, own_id, patient, transaction, at=context.at)
            async with self._database.session() as session:
                new = await self._outbox.add_row(session, effect_row)
                if new:
                    await self._results.add(session, results)
            if new:
                self._written_back.set()
        except (SecretError, SQLAlchemyError, OSError) as error:
            # The next attempt fails in the same way and records it then.
            log(LogCode.DOCUMENT_FAILED, ehr=ehr.id, stage="task", error_type=type(error).__name__)

    def _transaction(
        self, ehr: Ehr, stored: StoredDocument, request_id: str, former: StoredDocument | None, revision: str
    ) -> Transaction:
        parties = audit_parties(ehr, self._public_base_url)
        try:
            if former is not None:
                return revision_transaction(stored, former, parties, revision=revision, request_id=request_id)
            return document_transaction(stored, parties, request_id=request_id)
        except ResourceInvalid:
            raise DraftingFailed("document-invalid", "the document is not valid FHIR", temporary=False) from None

    @staticmethod
    def _effect(kind: str, stored: StoredDocument, transaction: Transaction, request_id: str, revision: str) -> Effect:
        return Effect(
            id=effect_id(stored.id, f"{kind}-{revision}" if revision else kind),
            ehr_id=stored.ehr_id,
            document_id=stored.id,
            patient_key=patient_scope(stored.ehr_id, stored.patient),
            kind=kind,
            encounter=stored.encounter,
            bundle=transaction.bundle,
            names=transaction.names,
            request_id=request_id,
        )
