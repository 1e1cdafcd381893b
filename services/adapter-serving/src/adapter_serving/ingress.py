"""The HTTP surface: POST /v1/drafts streams events as NDJSON, GET /healthz answers without a token."""

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from litestar import Litestar, MediaType, Request, Response, get, post
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException
from litestar.handlers.base import BaseRouteHandler
from litestar.response import Stream
from pydantic import ValidationError
from service_contracts.drafts import DraftRequest
from service_runtime.log import LogCode, log
from service_runtime.request_id import REQUEST_ID_HEADER, accept_request_id
from service_runtime.secrets import SecretError

from adapter_serving.adapters import AdapterError
from adapter_serving.batcher import EngineFailed
from adapter_serving.drafting import Drafter

__all__ = ["NDJSON", "Verifier", "build_ingress", "events"]

NDJSON = "application/x-ndjson"
Verifier = Callable[[str | None], Awaitable[bool]]
"""Whether an ``Authorization`` header is that of a service of ours; raises ``SecretError`` when that cannot be told."""


class _Refused(HTTPException):
    """A refusal with a code of ours."""

    def __init__(self, status_code: int, code: str, message: str) -> None:
        super().__init__(status_code=status_code, detail=message)
        self.code = code


def build_ingress(
    drafter: Drafter, accepts: Verifier, ready: Callable[[], bool], *, max_body_bytes: int, max_budget_ms: int
) -> Litestar:
    """Return the application; every route is listed here."""

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        try:
            accepted = await accepts(connection.headers.get("authorization"))
        except SecretError:
            raise _Refused(503, "secret-store-unavailable", "the service token cannot be checked now") from None
        if not accepted:
            raise _Refused(401, "unauthorized", "a valid service token is needed")

    @get("/healthz", sync_to_thread=False)
    def healthz() -> dict[str, str]:
        if not ready():
            raise _Refused(503, "not-ready", "no promoted adapter is served")
        return {"status": "ok"}

    @post("/v1/drafts", guards=[guard], status_code=200)
    async def drafts(request: Request[Any, Any, Any]) -> Stream:
        request_id = accept_request_id(request.headers.get(REQUEST_ID_HEADER))
        wanted = _read(await request.body(), max_budget_ms)
        return Stream(_lines(drafter, wanted), media_type=NDJSON, headers={REQUEST_ID_HEADER: request_id})

    return Litestar(
        route_handlers=[healthz, drafts],
        exception_handlers={HTTPException: _refusal, Exception: _failure},
        request_max_body_size=max_body_bytes,
        openapi_config=None,
        logging_config=None,
    )


def _read(body: bytes, max_budget_ms: int) -> DraftRequest:
    try:
        wanted = DraftRequest.model_validate_json(body)
    except ValidationError as error:
        # Only places are named: the values of a chart never go into an answer about an error.
        places = sorted(
            {".".join(str(part) for part in one["loc"]) or "body" for one in error.errors(include_input=False)}
        )
        raise _Refused(400, "invalid-request", f"not a valid request: {', '.join(places[:5])}") from None
    if wanted.budget_ms > max_budget_ms:
        raise _Refused(400, "invalid-request", f"budget_ms is more than {max_budget_ms}")
    return wanted


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


def _refusal(_: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, str]]:
    code = error.code if isinstance(error, _Refused) else "request-refused"
    message = error.detail if isinstance(error, _Refused) else "the request was refused"
    log(LogCode.REQUEST_REFUSED, status=error.status_code, reason=code)
    headers = {"WWW-Authenticate": "Bearer"} if error.status_code == 401 else None
    return Response(
        {"code": code, "message": message}, status_code=error.status_code, media_type=MediaType.JSON, headers=headers
    )


def _failure(_: Request[Any, Any, Any], error: Exception) -> Response[dict[str, str]]:
    log(LogCode.REQUEST_FAILED, level=logging.ERROR, status=500, error_type=type(error).__name__)
    return Response(
        {"code": "internal-error", "message": "the request failed"}, status_code=500, media_type=MediaType.JSON
    )
