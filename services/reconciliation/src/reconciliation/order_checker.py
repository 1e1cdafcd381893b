"""One check of orders within its deadline: one question to retrieval for everything, then the checks."""

import asyncio
import time
from dataclasses import dataclass

from service_contracts.chart import Chart
from service_contracts.evidence import Evidence
from service_contracts.order_checks import OrderCheckAnswer, OrderCheckRequest
from service_contracts.reconciliation import NotCheckedReason, StageTiming
from service_runtime.deadline import Deadline

from reconciliation.clients import EvidenceSource, EvidenceUnavailable
from reconciliation.knowledge import Knowledge
from reconciliation.order_checks import check_draft_orders
from reconciliation.queries import chart_query

__all__ = ["OrderChecker"]


@dataclass(frozen=True)
class OrderChecker:
    """Checks orders. ``answer_reserve_ms`` of the budget is kept for the checks and the answer.

    Evidence that comes after the deadline is dropped: what it was needed for is *not checked*.
    """

    evidence: EvidenceSource
    answer_reserve_ms: int = 50

    async def check(self, request: OrderCheckRequest) -> OrderCheckAnswer:
        """Return every claim judged within the budget; never raises for evidence that is late or absent."""
        began = time.perf_counter()
        deadline = Deadline(max(1, request.budget_ms - self.answer_reserve_ms))
        whole = request.chart.model_copy(update={"medications": (*request.orders, *request.chart.medications)})
        answer, absent = await self._ask(whole, deadline)
        asked_ms = (time.perf_counter() - began) * 1000
        checked = check_draft_orders(request.chart, request.orders, Knowledge((answer,) if answer else (), absent))
        total_ms = (time.perf_counter() - began) * 1000
        return OrderCheckAnswer(
            claims=checked.claims,
            flags=checked.flags,
            facts=checked.facts,
            proposals=checked.proposals,
            evidence_version=answer.index_version if answer else None,
            timings=(
                StageTiming(stage="evidence", elapsed_ms=round(asked_ms, 3)),
                StageTiming(stage="check", elapsed_ms=round(total_ms - asked_ms, 3)),
            ),
        )

    async def _ask(self, chart: Chart, deadline: Deadline) -> tuple[Evidence | None, NotCheckedReason | None]:
        # Orders are judged by drugs and allergies; facts about conditions and procedures would only be carried about.
        query = chart_query(chart.model_copy(update={"conditions": (), "procedures": ()}), deadline.remaining_ms)
        try:
            return await asyncio.wait_for(self.evidence.evidence(query), deadline.remaining_s), None
        except EvidenceUnavailable:
            return None, NotCheckedReason.SERVICE_DOWN
        except TimeoutError:
            return None, NotCheckedReason.DEADLINE
