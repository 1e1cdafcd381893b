"""The HTTP surface: /v1/reconciliations streams events, /v1/checks and /v1/order-checks answer at once.

/healthz needs no token.
"""

from collections.abc import AsyncIterator
from typing import Any

from litestar import Litestar, MediaType, Request, Response, get, post
from litestar.response import Stream
from service_contracts.checks import CheckRequest
from service_contracts.order_checks import OrderCheckRequest
from service_contracts.reconciliation import ReconcileRequest, ReconciliationFinished
from service_contracts.tasks import Approach, choose, task
from service_runtime.ingress import (
    NDJSON,
    Refused,
    Verifier,
    build_service,
    only_services,
    read_contract,
    request_id_headers,
)
from service_runtime.log import LogCode, log

from reconciliation.order_checker import OrderChecker
from reconciliation.reconcile import Reconciler
from reconciliation.text_checker import TextChecker

__all__ = ["build_ingress"]


def build_ingress(reconciler: Reconciler, accepts: Verifier, *, max_body_bytes: int, max_budget_ms: int) -> Litestar:
    """Return the application; every route is listed here."""
    guards = [only_services(accepts)]
    orders, texts = OrderChecker(reconciler.evidence), TextChecker(reconciler.evidence)

    @get("/healthz", sync_to_thread=False)
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @post("/v1/reconciliations", guards=guards, status_code=200)
    async def reconciliations(request: Request[Any, Any, Any]) -> Stream:
        headers = request_id_headers(request)
        wanted = read_contract(ReconcileRequest, await request.body(), max_budget_ms)
        _require_hybrid(wanted)
        return Stream(_lines(reconciler, wanted), media_type=NDJSON, headers=headers)

    @post("/v1/order-checks", guards=guards, status_code=200)
    async def order_checks(request: Request[Any, Any, Any]) -> Response[bytes]:
        headers = request_id_headers(request)
        wanted = read_contract(OrderCheckRequest, await request.body(), max_budget_ms)
        answer = await orders.check(wanted)
        log(
            LogCode.ORDERS_CHECKED,
            count=len(wanted.orders),
            claims=len(answer.claims),
            flags=len(answer.flags),
            elapsed_ms=round(sum(one.elapsed_ms for one in answer.timings)),
        )
        return Response(answer.model_dump_json().encode(), media_type=MediaType.JSON, headers=headers)

    @post("/v1/checks", guards=guards, status_code=200)
    async def checks(request: Request[Any, Any, Any]) -> Response[bytes]:
        headers = request_id_headers(request)
        wanted = read_contract(CheckRequest, await request.body(), max_budget_ms)
        answer = await texts.check(wanted)
        log(
            LogCode.TEXT_CHECKED,
            count=len(wanted.sections),
            claims=len(answer.claims),
            flags=len(answer.flags),
            elapsed_ms=round(sum(one.elapsed_ms for one in answer.timings)),
        )
        return Response(answer.model_dump_json().encode(), media_type=MediaType.JSON, headers=headers)

    return build_service([healthz, reconciliations, order_checks, checks], max_body_bytes=max_body_bytes)


def _require_hybrid(wanted: ReconcileRequest) -> None:
    try:
        hybrid = choose(task(wanted.task)).approach is Approach.HYBRID
    except KeyError:
        hybrid = False
    if not hybrid:
        raise Refused(400, "task-not-reconciled", "this task is not one that is drafted and checked")


async def _lines(reconciler: Reconciler, wanted: ReconcileRequest) -> AsyncIterator[bytes]:
    async for event in reconciler.reconcile(wanted):
        if isinstance(event, ReconciliationFinished):
            total = next((one.elapsed_ms for one in event.document.timings if one.stage == "total"), None)
            log(
                LogCode.RECONCILIATION_FINISHED,
                task=wanted.task,
                claims=len(event.document.claims),
                flags=len(event.document.flags),
                elapsed_ms=total,
            )
        yield event.model_dump_json().encode() + b"\n"
