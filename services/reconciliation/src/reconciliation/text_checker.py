"""One check of a text that was given, within its deadline: what it says is judged as a draft is, and nothing is
drafted."""

import asyncio
import time
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass

from service_contracts.checks import CheckedText, CheckRequest
from service_contracts.evidence import Evidence
from service_contracts.reconciliation import NotCheckedReason, StageTiming
from service_runtime.deadline import Deadline

from reconciliation.case import drug_names_in
from reconciliation.check import check_document
from reconciliation.clients import EvidenceSource, EvidenceUnavailable
from reconciliation.given_text import GivenText
from reconciliation.knowledge import Knowledge
from reconciliation.queries import chart_query, draft_query, known_names

__all__ = ["TextChecker"]

_NOT_GIVEN = ("sections that were not given",)
_Asked = tuple[Evidence | None, NotCheckedReason | None]


@dataclass(frozen=True)
class TextChecker:
    """Checks texts. ``answer_reserve_ms`` of the budget is kept for the checks and the answer.

    Evidence that comes after the deadline is dropped: what it was needed for is *not checked*.
    """

    evidence: EvidenceSource
    answer_reserve_ms: int = 50

    async def check(self, request: CheckRequest) -> CheckedText:
        """Return every claim judged within the budget; never raises for evidence that is late or absent."""
        began = time.perf_counter()
        deadline = Deadline(max(1, request.budget_ms - self.answer_reserve_ms))
        given = GivenText(request.sections)
        named = {name.strip().lower() for one in given.sentences for name in drug_names_in(request.chart, one)}
        queries = [chart_query(request.chart, deadline.remaining_ms)]
        if new := sorted(named - known_names(request.chart)):
            queries.append(draft_query(request.chart, new, deadline.remaining_ms))
        asked = await asyncio.gather(*(_within(deadline, self.evidence.evidence(query)) for query in queries))
        asked_ms = (time.perf_counter() - began) * 1000
        knowledge = _knowledge(asked)
        missing = () if request.whole else _NOT_GIVEN
        checked = await asyncio.to_thread(check_document, request.chart, given.sentences, knowledge, missing)
        total_ms = (time.perf_counter() - began) * 1000
        return CheckedText(
            claims=given.placed_claims(checked.claims),
            flags=given.placed_flags(checked.flags),
            facts=checked.facts,
            unread=given.unread(checked.claims),
            evidence_version=knowledge.version,
            timings=(
                StageTiming(stage="evidence", elapsed_ms=round(asked_ms, 3)),
                StageTiming(stage="check", elapsed_ms=round(total_ms - asked_ms, 3)),
            ),
        )


async def _within(deadline: Deadline, answer: Awaitable[Evidence]) -> _Asked:
    try:
        return await asyncio.wait_for(answer, deadline.remaining_s), None
    except EvidenceUnavailable:
        return None, NotCheckedReason.SERVICE_DOWN
    except TimeoutError:
        return None, NotCheckedReason.DEADLINE


def _knowledge(asked: Iterable[_Asked]) -> Knowledge:
    """Arrange the answers; one about names of the text counts only beside the answer about the chart."""
    of_chart, *of_text = asked
    absent = next((reason for _, reason in (of_chart, *of_text) if reason is not None), None)
    answers = [evidence for evidence, _ in (of_chart, *of_text) if evidence is not None]
    return Knowledge(answers if of_chart[0] is not None else (), absent)
