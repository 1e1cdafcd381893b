"""order-sign and order-select: draft orders checked against the chart within half a second, or said not to be."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import httpx
from fhir_support.client import FhirClient
from fhir_support.errors import BadRequest, PreconditionFailed
from service_contracts.order_checks import OrderCheckRequest
from service_runtime.deadline import Deadline

from facade.cds_hooks.alerts import Alert, Listener
from facade.cds_hooks.checking import ChecksUnavailable, OrderChecks
from facade.cds_hooks.client_jwt import Caller
from facade.cds_hooks.order_cards import nothing_checked, order_alerts
from facade.cds_hooks.order_chart import DraftOrder, draft_orders, order_chart
from facade.cds_hooks.prefetch import Found, complete
from facade.cds_hooks.request import HookRequest
from facade.cds_hooks.services import CORE, CdsService
from facade.smart.launch_context import user_client

__all__ = ["BUDGET_MS", "OrderHooks"]

_T = TypeVar("_T")

BUDGET_MS = 500
"""CDS Hooks 2.0: services should answer in the order of 500 ms."""
_ANSWER_MS = 40
"""What is kept for keeping the cards and sending them."""
_LEAST_CHECK_MS = 100
"""So much time of the budget is reconciliation's, whatever completing the prefetch takes."""

_MAX_AT_ONCE = 40
"""More orders than this are not checked at the same time by one process: each more would make all of them late."""

_WHY: Mapping[str, str] = {
    "deadline": "the time ran out",
    "service-down": "the checks could not be reached",
    "overloaded": "too many orders are being checked now",
}
_CHECKS_WITHOUT: Mapping[str, str] = {
    "conditions": "dose by indication",
    "observations": "kidney dosing",
    "coverage": "coverage",
}


class OrderHooks:
    """Answers for both services."""

    def __init__(self, http: httpx.AsyncClient, checks: OrderChecks) -> None:
        self._http = http
        self._checks = checks
        self._at_work = 0

    async def alerts(
        self, caller: Caller, service: CdsService, request: HookRequest, deadline: Deadline
    ) -> list[Alert]:
        """Return the alerts about the orders; none only when all of them were checked and nothing was found.

        Raises ``BadRequest``, or ``PreconditionFailed`` (412) when what every check needs cannot be had.
        """
        drafts = _understood(lambda: draft_orders(request))
        asked = [draft for draft in drafts if draft.selected]
        if not asked:
            return []
        listener = Listener(caller.ehr.id, caller.issuer, request.user, request.patient_id, service.id)
        if self._at_work >= _MAX_AT_ONCE:
            return [nothing_checked(_WHY["overloaded"], asked, listener)]
        self._at_work += 1
        try:
            return await self._gathered(caller, service, request, drafts, deadline, listener)
        finally:
            self._at_work -= 1

    async def _gathered(
        self,
        caller: Caller,
        service: CdsService,
        request: HookRequest,
        drafts: Sequence[DraftOrder],
        deadline: Deadline,
        listener: Listener,
    ) -> list[Alert]:
        found = await complete(
            request.prefetch,
            service.prefetch,
            request.patient_id,
            self._client(caller, request),
            Deadline(max(1, deadline.remaining_ms - _LEAST_CHECK_MS - _ANSWER_MS)),
        )
        if CORE & found.unavailable:
            raise PreconditionFailed(f"Needed to check orders: {', '.join(sorted(CORE & found.unavailable))}.")
        return await self._checked(request, drafts, found, deadline, listener)

    async def _checked(
        self,
        request: HookRequest,
        drafts: Sequence[DraftOrder],
        found: Found,
        deadline: Deadline,
        listener: Listener,
    ) -> list[Alert]:
        asked = [draft for draft in drafts if draft.selected]
        chart = _understood(lambda: order_chart(request, drafts, found, datetime.now(UTC).date()))
        wanted = OrderCheckRequest(
            chart=chart,
            orders=tuple(draft.medication for draft in asked),
            budget_ms=max(1, deadline.remaining_ms - _ANSWER_MS),
        )
        try:
            answer = await self._checks.check(wanted)
        except ChecksUnavailable as failure:
            return [nothing_checked(_WHY[failure.reason], asked, listener)]
        not_read = [_CHECKS_WITHOUT[key] for key in _CHECKS_WITHOUT if key in found.unavailable]
        return order_alerts(answer, asked, listener, not_read)

    def _client(self, caller: Caller, request: HookRequest) -> FhirClient | None:
        """Return a client with the token that was sent along, for the registered FHIR base and no other.

        A request that names another server, or a token for another patient, is one without authorization: nothing is
        sent anywhere with it.
        """
        access, server = request.access, (request.unverified_fhir_server or "").removesuffix("/")
        if access is None or server != caller.ehr.fhir_base:
            return None
        if access.patient is not None and access.patient != request.patient_id:
            return None
        return user_client(caller.ehr, self._http, access.token)


def _understood(read: Callable[[], _T]) -> _T:
    try:
        return read()
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, IndexError):
        # What an EHR sends can be wrong in ways no table lists; the error's text would repeat it.
        raise BadRequest("The orders or the prefetched data are not valid FHIR R4.") from None
