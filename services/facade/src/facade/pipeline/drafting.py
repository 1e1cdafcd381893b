"""Drafting the document of an encounter: gather, reconcile, keep.

One drafting runs per encounter in a process, however many ask for it: a clinician's page and an event of the EHR that
come together watch the same one. Between processes the first document that is kept wins.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from fhir_support.client import FhirClientError, FhirNotFound, FhirServerUnavailable
from service_contracts.chart import Chart
from service_contracts.reconciliation import (
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
from facade.pipeline.keeping import DraftKeeping
from facade.pipeline.reconciliation import DraftingFailed, Reconciliation
from facade.pipeline.run import Run
from facade.resources.ids import document_id
from facade.store.database import Database
from facade.store.documents import Documents, DocumentStatus, StoredDocument
from facade.store.inbox import EventKind, Inbox, NewEvent
from facade.store.outbox import Outbox

__all__ = ["Drafting", "DraftingFailed"]

TASK = task("discharge-instructions")
_PAGE = "clinician's page"
"""Stands in the place of a subscription for what no EHR has notified."""


class Drafting:
    """Makes documents, each within ``budget_ms``."""

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
        budget_ms: int = TASK.budget_ms,
    ) -> None:
        self._ehrs = ehrs
        self._connections = connections
        self._reconciliation = reconciliation
        self._documents = documents
        self._inbox = inbox
        self._budget_ms = budget_ms
        self._kept = DraftKeeping(
            database=database,
            documents=documents,
            outbox=outbox,
            results=results,
            public_base_url=public_base_url,
            written_back=written_back,
        )
        self._running: dict[str, Run] = {}

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

    def _run(self, ehr_id: str, encounter: str, request_id: str, former: StoredDocument | None = None) -> Run:
        ehr = self._ehrs.get(ehr_id)
        key = document_id(ehr_id, encounter)
        run = self._running.get(key)
        if run is None:
            run = Run()
            run.task = asyncio.create_task(self._produced(run, ehr, encounter, request_id, former))
            run.task.add_done_callback(lambda done: self._ended(key, run, done))
            self._running[key] = run
        return run

    def _ended(self, key: str, run: Run, done: asyncio.Task[StoredDocument]) -> None:
        del self._running[key]
        run.wake()
        if not done.cancelled():
            done.exception()  # marks it as seen: those who wait get it, and if nobody waits it is in the log

    async def _produced(
        self, run: Run, ehr: Ehr, encounter: str, request_id: str, former: StoredDocument | None
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
        self, run: Run, ehr: Ehr, encounter: str, request_id: str, former: StoredDocument | None
    ) -> StoredDocument:
        accept_request_id(request_id)
        deadline = Deadline(self._budget_ms)
        chart = await self._gather(ehr, encounter)
        gathered_ms = self._budget_ms - deadline.remaining_ms
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
            kept = await self._kept.document(stored, ehr, request_id, former)
        except DraftingFailed as failure:
            log(LogCode.DOCUMENT_FAILED, ehr=ehr.id, reason=failure.code)
            if former is None:
                await self._kept.failure(ehr, encounter, chart, request_id, failure)
            raise
        elapsed = self._budget_ms - deadline.remaining_ms
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

    async def _reconcile(self, run: Run, chart: Chart, deadline: Deadline) -> ReconciledDocument:
        # A slow EHR must not leave so little that every attempt fails: half the budget is always drafting's.
        budget_ms = max(deadline.remaining_ms, self._budget_ms // 2)
        request = ReconcileRequest(task=TASK.name, chart=chart, budget_ms=budget_ms)
        async for event in self._reconciliation.reconcile(request):
            if isinstance(event, ReconciledDocument):
                return event
            run.add(event)
        raise DraftingFailed("draft-incomplete", "the draft ended before it was finished", temporary=True)
