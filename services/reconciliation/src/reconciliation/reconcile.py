"""One reconciliation: draft and evidence in parallel, sentences checked as they come, an answer within the deadline."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import Any

from service_contracts.drafts import DraftEvent, DraftFinished, DraftRequest
from service_contracts.evidence import Evidence, EvidenceQuery
from service_contracts.reconciliation import (
    ReconcileEvent,
    ReconcileRequest,
    ReconciliationFailed,
    ReconciliationFinished,
)
from service_runtime.deadline import Deadline

from reconciliation.clients import Drafting, DraftingFailed, EvidenceSource, EvidenceUnavailable
from reconciliation.progress import Progress
from reconciliation.queries import chart_query, draft_query

__all__ = ["Reconciler", "Timeouts"]


@dataclass(frozen=True)
class Timeouts:
    """What of the budget is kept back, in milliseconds: ``answer_reserve_ms`` to check and send the answer,
    ``draft_reserve_ms`` more so that drafting ends its own document; ``evidence_ms`` bounds one evidence query."""

    answer_reserve_ms: int = 100
    draft_reserve_ms: int = 50
    evidence_ms: int = 2_000


@dataclass(frozen=True)
class _DraftEnded:
    failure: DraftingFailed | None


@dataclass(frozen=True)
class _EvidenceEnded:
    names: frozenset[str]
    answer: Evidence | None


_News = DraftEvent | _DraftEnded | _EvidenceEnded


class Reconciler:
    """Runs reconciliations. Evidence that comes after the deadline is dropped, never merged as if it were checked."""

    def __init__(self, drafting: Drafting, evidence: EvidenceSource, timeouts: Timeouts | None = None) -> None:
        self._drafting = drafting
        self.evidence = evidence
        self._timeouts = timeouts or Timeouts()

    async def reconcile(self, request: ReconcileRequest) -> AsyncIterator[ReconcileEvent]:
        """Stream checked sentences and then the document, or a failure; the last event comes within the budget."""
        deadline = Deadline(max(1, request.budget_ms - self._timeouts.answer_reserve_ms))
        news: asyncio.Queue[_News] = asyncio.Queue()
        progress = Progress(request.chart)
        tasks: set[asyncio.Task[None]] = set()

        def start(work: Coroutine[Any, Any, None]) -> None:
            tasks.add(asyncio.create_task(work))

        try:
            start(self._ask(chart_query(request.chart, self._evidence_ms(deadline)), frozenset(), news))
            start(self._draft(request, deadline, news))
            failure: DraftingFailed | None = None
            while not progress.done and failure is None:
                try:
                    item = await asyncio.wait_for(news.get(), deadline.remaining_s)
                except TimeoutError:
                    progress.cut_off()
                    break
                failure = item.failure if isinstance(item, _DraftEnded) else None
                new_names = progress.take(item) if not isinstance(item, _DraftEnded | _EvidenceEnded) else frozenset()
                if isinstance(item, _DraftEnded):
                    progress.draft_ended()
                elif isinstance(item, _EvidenceEnded):
                    progress.take_evidence(item.names, item.answer)
                if new_names:
                    query = draft_query(request.chart, sorted(new_names), self._evidence_ms(deadline))
                    start(self._ask(query, new_names, news))
                for sentence in progress.checked_sentences():
                    yield sentence
            yield self._last(request, progress, failure)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _last(
        self, request: ReconcileRequest, progress: Progress, failure: DraftingFailed | None
    ) -> ReconciliationFinished | ReconciliationFailed:
        if failure is not None:
            return ReconciliationFailed(code=failure.code, message=failure.message)
        document = progress.document(request.task)
        if document is None:
            return ReconciliationFailed(code="draft-incomplete", message="no part of the draft was ready in time")
        return ReconciliationFinished(document=document)

    async def _ask(self, query: EvidenceQuery, names: frozenset[str], news: asyncio.Queue[_News]) -> None:
        answer: Evidence | None = None
        try:
            answer = await asyncio.wait_for(self.evidence.evidence(query), self._timeouts.evidence_ms / 1000)
        except (EvidenceUnavailable, TimeoutError):
            answer = None
        await news.put(_EvidenceEnded(names, answer))

    async def _draft(self, request: ReconcileRequest, deadline: Deadline, news: asyncio.Queue[_News]) -> None:
        wanted = DraftRequest(
            task=request.task,
            chart=request.chart,
            adapter=request.adapter,
            budget_ms=max(1, deadline.remaining_ms - self._timeouts.draft_reserve_ms),
        )
        failure: DraftingFailed | None = DraftingFailed("draft-incomplete", "the draft ended before it was finished")
        try:
            async for event in self._drafting.draft(wanted):
                await news.put(event)
                if isinstance(event, DraftFinished):
                    failure = None
        except DraftingFailed as error:
            failure = error
        await news.put(_DraftEnded(failure))

    def _evidence_ms(self, deadline: Deadline) -> int:
        return min(deadline.remaining_ms, self._timeouts.evidence_ms)
