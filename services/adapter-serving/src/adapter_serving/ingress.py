"""The HTTP surface: POST /v1/drafts streams events as NDJSON, GET /healthz answers without a token."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from litestar import Litestar, Request, get, post
from litestar.response import Stream
from service_contracts.drafts import DraftRequest
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

from adapter_serving.adapters import AdapterError
from adapter_serving.batcher import EngineFailed
from adapter_serving.drafting import Drafter

__all__ = ["build_ingress", "events"]


def build_ingress(
    drafter: Drafter, accepts: Verifier, ready: Callable[[], bool], *, max_body_bytes: int, max_budget_ms: int
) -> Litestar:
    """Return the application; every route is listed here."""

    @get("/healthz", sync_to_thread=False)
    def healthz() -> dict[str, str]:
        if not ready():
            raise Refused(503, "not-ready", "no promoted adapter is served")
        return {"status": "ok"}

    @post("/v1/drafts", guards=[only_services(accepts)], status_code=200)
    async def drafts(request: Request[Any, Any, Any]) -> Stream:
        headers = request_id_headers(request)
        wanted = read_contract(DraftRequest, await request.body(), max_budget_ms)
        return Stream(_lines(drafter, wanted), media_type=NDJSON, headers=headers)

    return build_service([healthz, drafts], max_body_bytes=max_body_bytes)


async def events(drafter: Drafter, request: DraftRequest) -> AsyncIterator[Mapping[str, Any]]:
    """Stream a draft as plain values; the last is ``finished`` or ``failed`` with a code."""
    try:
        async for event in drafter.draft(request):
            yield event.model_dump(mode="json")
    except AdapterError as error:
        log(LogCode.REQUEST_REFUSED, task=request.task, reason=error.code)
        yield {"event": "failed", "code": error.code, "message": str(error)}
    except EngineFailed:
        yield {"event": "failed", "code": "drafting-unavailable", "message": "the model failed"}


async def _lines(drafter: Drafter, request: DraftRequest) -> AsyncIterator[bytes]:
    async for event in events(drafter, request):
        yield json.dumps(event, separators=(",", ":")).encode() + b"\n"
