"""The HTTP surface: POST /v1/evidence and POST /v1/passages, GET /healthz without a token."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from litestar import Litestar, MediaType, Request, Response, get, post
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException
from litestar.handlers.base import BaseRouteHandler
from pydantic import TypeAdapter, ValidationError
from service_contracts.evidence import Evidence, EvidenceQuery, Passage, PassageQuery
from service_contracts.model import Contract
from service_runtime.log import LogCode, log
from service_runtime.request_id import REQUEST_ID_HEADER, accept_request_id
from service_runtime.secrets import SecretError

__all__ = ["NotReady", "Searcher", "Verifier", "build_ingress"]

Verifier = Callable[[str | None], Awaitable[bool]]
"""Whether an ``Authorization`` header is that of a service of ours; raises ``SecretError`` when that cannot be told."""
_Query = TypeVar("_Query", bound=Contract)
_PASSAGES = TypeAdapter(list[Passage])


class NotReady(Exception):
    """The index is not open; ``reason`` is one of ours and holds no data."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Searcher(Protocol):
    """What the ingress serves. Each method raises ``NotReady`` while there is no index to ask."""

    def check(self) -> None:
        """Return when queries can be answered."""
        ...

    async def evidence_for(self, query: EvidenceQuery) -> Evidence:
        """Return the facts about the subjects of a query."""
        ...

    async def passages_for(self, query: PassageQuery) -> list[Passage]:
        """Return the best passages for a text."""
        ...


class _Refused(HTTPException):
    """A refusal with a code of ours."""

    def __init__(self, status_code: int, code: str, message: str) -> None:
        super().__init__(status_code=status_code, detail=message)
        self.code = code


def build_ingress(
    searcher: Callable[[], Searcher], accepts: Verifier, *, max_body_bytes: int, max_budget_ms: int
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
        searcher().check()
        return {"status": "ok"}

    @post("/v1/evidence", guards=[guard], status_code=200)
    async def evidence(request: Request[Any, Any, Any]) -> Response[bytes]:
        started = _begin(request)
        query = _read(EvidenceQuery, await request.body(), max_budget_ms)
        found = await searcher().evidence_for(query)
        return _answer(found.model_dump_json().encode(), "/v1/evidence", len(found.facts), *started)

    @post("/v1/passages", guards=[guard], status_code=200)
    async def passages(request: Request[Any, Any, Any]) -> Response[bytes]:
        started = _begin(request)
        query = _read(PassageQuery, await request.body(), max_budget_ms)
        found = await searcher().passages_for(query)
        return _answer(_PASSAGES.dump_json(found), "/v1/passages", len(found), *started)

    return Litestar(
        route_handlers=[healthz, evidence, passages],
        exception_handlers={HTTPException: _refusal, NotReady: _not_ready, Exception: _failure},
        request_max_body_size=max_body_bytes,
        openapi_config=None,
        logging_config=None,
    )


def _begin(request: Request[Any, Any, Any]) -> tuple[str, float]:
    return accept_request_id(request.headers.get(REQUEST_ID_HEADER)), time.monotonic()


def _answer(body: bytes, route: str, count: int, request_id: str, started: float) -> Response[bytes]:
    elapsed_ms = round((time.monotonic() - started) * 1000, 1)
    log(LogCode.REQUEST_SERVED, route=route, count=count, elapsed_ms=elapsed_ms)
    return Response(body, media_type=MediaType.JSON, headers={REQUEST_ID_HEADER: request_id})


def _read(of: type[_Query], body: bytes, max_budget_ms: int) -> _Query:
    try:
        query = of.model_validate_json(body)
    except ValidationError as error:
        # Only places are named: what a query asks about a patient never goes into an answer about an error.
        places = sorted(
            {".".join(str(part) for part in one["loc"]) or "body" for one in error.errors(include_input=False)}
        )
        raise _Refused(400, "invalid-request", f"not a valid request: {', '.join(places[:5])}") from None
    if getattr(query, "budget_ms", 0) > max_budget_ms:
        raise _Refused(400, "invalid-request", f"budget_ms is more than {max_budget_ms}")
    return query


def _refusal(_: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, str]]:
    code = error.code if isinstance(error, _Refused) else "request-refused"
    message = error.detail if isinstance(error, _Refused) else "the request was refused"
    log(LogCode.REQUEST_REFUSED, status=error.status_code, reason=code)
    headers = {"WWW-Authenticate": "Bearer"} if error.status_code == 401 else None
    return Response(
        {"code": code, "message": message}, status_code=error.status_code, media_type=MediaType.JSON, headers=headers
    )


def _not_ready(_: Request[Any, Any, Any], error: NotReady) -> Response[dict[str, str]]:
    log(LogCode.REQUEST_REFUSED, level=logging.WARNING, status=503, reason=error.reason)
    return Response(
        {"code": error.reason, "message": "the index cannot be searched now"},
        status_code=503,
        media_type=MediaType.JSON,
    )


def _failure(_: Request[Any, Any, Any], error: Exception) -> Response[dict[str, str]]:
    log(LogCode.REQUEST_FAILED, level=logging.ERROR, status=500, error_type=type(error).__name__)
    return Response(
        {"code": "internal-error", "message": "the request failed"}, status_code=500, media_type=MediaType.JSON
    )
