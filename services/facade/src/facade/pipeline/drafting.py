"""Drafting the document of an encounter: gather, reconcile, and keep it together with the write-back it causes.

One drafting runs per encounter in a process, however many ask for it: a clinician's page and an event of the EHR that
come together watch the same one. Between processes the first document that is kept wins.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from fhir_support.client import FhirClientError, FhirNotFound, FhirServerUnavailable
from fhir_support.r4 import ResourceInvalid
from service_contracts.chart import Chart
from service_contracts.reconciliation import (
    CheckedSentence,
    ReconciledDocument,
    ReconcileEvent,
    ReconcileRequest,
    ReconciliationFailed,
    ReconciliationFinished,
)
from service_contracts.tasks import task
from service_runtime.deadline import Deadline
from service_runtime.log import LogCode, log
from service_runtime.request_id import accept_request_id
from service_runtime.secrets import SecretError
from sqlalchemy.exc import SQLAlchemyError

from facade.ehr.connections import EhrConnections
from facade.ehr.registry import Ehr, EhrRegistry
from facade.fhir.results import Results
from facade.gather.reads import gather_chart
from facade.pipeline.reconciliation import DraftingFailed, Reconciliation
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
from facade.store.documents import Documents, DocumentStatus, StoredDocument
from facade.store.inbox import EventKind, Inbox, NewEvent
from facade.store.outbox import Effect, Outbox

__all__ = ["DOCUMENT_EFFECT", "FAILURE_EFFECT", "Drafting", "DraftingFailed", "audit_parties"]

TASK = task("discharge-instructions")
DOCUMENT_EFFECT = "document"
FAILURE_EFFECT = "task-failed"
_PAGE = "clinician's page"
"""Stands in the place of a subscription for what no EHR has notified."""


def audit_parties(ehr: Ehr, public_base_url: str) -> AuditParties:
    """Return the two ends of a write to ``ehr``."""
    return AuditParties(ehr.backend_client_id, public_base_url, ehr.name, ehr.fhir_base)


class Drafting:
    """Makes documents. ``written_back`` is set whenever there is something new to write to an EHR."""

    def __init__(
        self,
        *,
        ehrs: EhrRegistry,
        connections: EhrConnections,
        reconciliation: Reconciliation,
        database: Database,
        documents: Documents,
        inbox: Inbox,
        outbox: Outbox,
        results: Results,
        public_base_url: str,
        written_back: asyncio.Event,
    ) -> None:
        self._ehrs = ehrs
        self._connections = connections
        self._reconciliation = reconciliation
        self._database = database
        self._documents = documents
        self._inbox = inbox
        self._outbox = outbox
        self._results = results
        self._public_base_url = public_base_url
        self._written_back = written_back
        self._running: dict[str, _Run] = {}

    async def draft(self, ehr_id: str, encounter: str, request_id: str) -> StoredDocument:
        """Return the document of ``encounter`` (``Encounter/ID``), drafting it when there is none.

        Raises ``DraftingFailed`` and ``UnknownEhr``. The drafting goes on when the caller is cancelled.
        """
        stored = await self._documents.get(ehr_id, encounter)
        if stored is not None:
            return stored
        return await asyncio.shield(self._run(ehr_id, encounter, request_id).task)

    async def draft_for_event(self, ehr_id: str, encounter: str, request_id: str, *, version: str | None) -> str:
        """Draft the document of an encounter that is now ``version``, and again when it was made from another.

        A document that nobody has decided on is replaced, once the EHR has it and no page of the patient is open;
        until then this fails for the time being. Returns ``drafted``, ``unchanged`` or ``redrafted``. Raises
        ``DraftingFailed`` and ``UnknownEhr``.
        """
        stored = await self._documents.get(ehr_id, encounter)
        if stored is None:
            await self.draft(ehr_id, encounter, request_id)
            return "drafted"
        is_touched = stored.decisions or stored.signature or stored.status is not DocumentStatus.PRELIMINARY
        if version is None or stored.chart.encounter.version == version or is_touched:
            return "unchanged"
        if not stored.written or await self._documents.is_open(stored):
            raise DraftingFailed("document-in-use", "the document cannot be replaced now", temporary=True)
        await asyncio.shield(self._run(ehr_id, encounter, request_id, former=stored).task)
        return "redrafted"

    async def stream(self, ehr_id: str, encounter: str, request_id: str) -> AsyncIterator[ReconcileEvent]:
        """Yield checked sentences while they come and, last, the finished document or the failure.

        The document is stored before the last event is yielded. Raises ``UnknownEhr``.
        """
        stored = await self._documents.get(ehr_id, encounter)
        if stored is None:
            run = self._run(ehr_id, encounter, request_id)
            run.is_asked_for = True
            async for sentence in run.sentences():
                yield sentence
            try:
                stored = await asyncio.shield(run.task)
            except DraftingFailed as failure:
                yield ReconciliationFailed(code=failure.code, message=failure.message)
                return
        yield ReconciliationFinished(document=stored.document)

    async def close(self, limit_s: float) -> None:
        """Let what runs end within ``limit_s`` seconds; an event that is cut off is drafted after the next start."""
        tasks = [run.task for run in self._running.values()]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=limit_s)
            for running in late:
                running.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _run(self, ehr_id: str, encounter: str, request_id: str, former: StoredDocument | None = None) -> "_Run":
        ehr = self._ehrs.get(ehr_id)
        key = document_id(ehr_id, encounter)
        run = self._running.get(key)
        if run is None:
            run = _Run()
            run.task = asyncio.create_task(self._produced(run, ehr, encounter, request_id, former))
            run.task.add_done_callback(lambda done: self._ended(key, run, done))
            self._running[key] = run
        return run

    def _ended(self, key: str, run: "_Run", done: asyncio.Task[StoredDocument]) -> None:
        del self._running[key]
        run.wake()
        if not done.cancelled():
            done.exception()  # marks it as seen: those who wait get it, and if nobody waits it is in the log

    async def _produced(
        self, run: "_Run", ehr: Ehr, encounter: str, request_id: str, former: StoredDocument | None
    ) -> StoredDocument:
        try:
            return await self._produce(run, ehr, encounter, request_id, former)
        except DraftingFailed as failure:
            if failure.temporary and run.is_asked_for:
                await self._try_later(ehr, encounter, request_id)
            raise

    async def _try_later(self, ehr: Ehr, encounter: str, request_id: str) -> None:
        """Keep that a clinician waits for this document: no event of the EHR may ever ask for it again."""
        event = NewEvent(ehr.id, _PAGE, 0, f"asked-{uuid.uuid4()}", EventKind.DRAFT, encounter, request_id)
        try:
            await self._inbox.store(await self._inbox.not_waiting([event]))
        except (SecretError, SQLAlchemyError, OSError) as error:
            log(LogCode.DOCUMENT_FAILED, ehr=ehr.id, stage="try-later", error_type=type(error).__name__)

    async def _produce(
        self, run: "_Run", ehr: Ehr, encounter: str, request_id: str, former: StoredDocument | None
    ) -> StoredDocument:
        accept_request_id(request_id)
        deadline = Deadline(TASK.budget_ms)
        chart = await self._gather(ehr, encounter)
        gathered_ms = TASK.budget_ms - deadline.remaining_ms
        try:
            document = await self._reconcile(run, chart, deadline)
            stored = StoredDocument(
                id=document_id(ehr.id, encounter),
                ehr_id=ehr.id,
                encounter=encounter,
                patient=chart.patient.reference,
                status=DocumentStatus.PRELIMINARY,
                document=document,
                chart=chart,
                created_at=datetime.now(UTC),
            )
            kept = await self._keep(stored, ehr, request_id, former)
        except DraftingFailed as failure:
            log(LogCode.DOCUMENT_FAILED, ehr=ehr.id, reason=failure.code)
            if former is None:
                await self._record_failure(ehr, encounter, chart, request_id, failure)
            raise
        elapsed = TASK.budget_ms - deadline.remaining_ms
        log(LogCode.DOCUMENT_STAGE, ehr=ehr.id, stage="gather", elapsed_ms=gathered_ms)
        for timing in document.timings:
            log(LogCode.DOCUMENT_STAGE, ehr=ehr.id, stage=timing.stage, elapsed_ms=timing.elapsed_ms)
        log(
            LogCode.DOCUMENT_DRAFTED,
            ehr=ehr.id,
            flags=len(document.flags),
            claims=len(document.claims),
            elapsed_ms=elapsed,
        )
        return kept

    async def _gather(self, ehr: Ehr, encounter: str) -> Chart:
        """Read the chart; whose it is is not known before, so a failure here cannot be written to the EHR."""
        try:
            return await gather_chart(self._connections.client(ehr.id), encounter)
        except FhirNotFound:
            raise DraftingFailed("encounter-not-found", "the stay is not in the EHR", temporary=False) from None
        except FhirServerUnavailable:
            raise DraftingFailed("ehr-unavailable", "the EHR did not answer", temporary=True) from None
        except FhirClientError:
            raise DraftingFailed("ehr-refused", "the EHR did not let the chart be read", temporary=False) from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            # What an EHR sends can be wrong in ways no table lists; the error's text would repeat it.
            log(LogCode.DOCUMENT_FAILED, ehr=ehr.id, reason="chart-invalid", error_type=type(error).__name__)
            raise DraftingFailed("chart-invalid", "the chart cannot be understood", temporary=False) from None

    async def _reconcile(self, run: "_Run", chart: Chart, deadline: Deadline) -> ReconciledDocument:
        # A slow EHR must not leave so little that every attempt fails: half the budget is always drafting's.
        budget_ms = max(deadline.remaining_ms, TASK.budget_ms // 2)
        request = ReconcileRequest(task=TASK.name, chart=chart, budget_ms=budget_ms)
        async for event in self._reconciliation.reconcile(request):
            if isinstance(event, ReconciledDocument):
                return event
            run.add(event)
        raise DraftingFailed("draft-incomplete", "the draft ended before it was finished", temporary=True)

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

    async def _keep(
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

    async def _record_failure(
        self, ehr: Ehr, encounter: str, chart: Chart, request_id: str, failure: DraftingFailed
    ) -> None:
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


class _Run:
    """A drafting in progress, which any number may watch from its first sentence.

    ``is_asked_for`` says that a clinician waits for it.
    """

    task: "asyncio.Task[StoredDocument]"
    is_asked_for = False

    def __init__(self) -> None:
        self._sentences: list[CheckedSentence] = []
        self._changed = asyncio.Event()

    def add(self, sentence: CheckedSentence) -> None:
        """Keep a sentence and wake those who watch."""
        self._sentences.append(sentence)
        self.wake()

    def wake(self) -> None:
        """Wake those who watch."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def sentences(self) -> AsyncIterator[CheckedSentence]:
        """Yield every sentence, those of the past first, until the drafting has ended."""
        seen = 0
        while True:
            changed = self._changed
            while seen < len(self._sentences):
                yield self._sentences[seen]
                seen += 1
            if self.task.done():
                return
            await changed.wait()
