"""What the HTTP surfaces of our Serve applications share: who may call, how a body is read, how errors are answered.

Errors are ``{"code": ..., "message": ...}``. Only places of a body are named in them, never its values: those are
about a patient.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from litestar import Litestar, MediaType, Request, Response
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.handlers.base import BaseRouteHandler
from litestar.types import ExceptionHandlersMap, Guard
from pydantic import ValidationError
from service_contracts.model import Contract

from service_runtime.log import LogCode, log
from service_runtime.request_id import REQUEST_ID_HEADER, accept_request_id
from service_runtime.secrets import SecretError

__all__ = ["NDJSON", "Refused", "Verifier", "build_service", "only_services", "read_contract", "request_id_headers"]

NDJSON = "application/x-ndjson"
Verifier = Callable[[str | None], Awaitable[bool]]
"""Whether an ``Authorization`` header is that of a service of ours; raises ``SecretError`` when that cannot be told."""
_Contract = TypeVar("_Contract", bound=Contract)


class Refused(HTTPException):
    """A refusal with a code of ours; ``message`` holds no data of a request."""

    def __init__(self, status_code: int, code: str, message: str) -> None:
        super().__init__(status_code=status_code, detail=message)
        self.code = code


def only_services(accepts: Verifier) -> Guard:
    """Return the guard of routes that only our own services may call."""

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        try:
            accepted = await accepts(connection.headers.get("authorization"))
        except SecretError:
            raise Refused(503, "secret-store-unavailable", "the service token cannot be checked now") from None
        if not accepted:
            raise Refused(401, "unauthorized", "a valid service token is needed")

    return guard


def request_id_headers(request: Request[Any, Any, Any]) -> dict[str, str]:
    """Adopt the caller's X-Request-Id for the work at hand; return the header that repeats it."""
    return {REQUEST_ID_HEADER: accept_request_id(request.headers.get(REQUEST_ID_HEADER))}


def read_contract(of: type[_Contract], body: bytes, max_budget_ms: int) -> _Contract:
    """Read a body; raise ``Refused`` (400) when it is not an ``of`` or asks for more time than ``max_budget_ms``."""
    try:
        wanted = of.model_validate_json(body)
    except ValidationError as error:
        places = sorted(
            {".".join(str(part) for part in one["loc"]) or "body" for one in error.errors(include_input=False)}
        )
        raise Refused(400, "invalid-request", f"not a valid request: {', '.join(places[:5])}") from None
    if getattr(wanted, "budget_ms", 0) > max_budget_ms:
        raise Refused(400, "invalid-request", f"budget_ms is more than {max_budget_ms}")
    return wanted


def build_service(
    route_handlers: Sequence[HTTPRouteHandler],
    *,
    max_body_bytes: int,
    refusals: Mapping[type[Exception], Callable[[Any], Refused]] | None = None,
) -> Litestar:
    """Return an application with these routes, and with errors that hold no data.

    ``refusals`` says for exceptions of the service what the caller is told.
    """

    def refusal_of(of: Callable[[Any], Refused]) -> Callable[[Request[Any, Any, Any], Any], Response[dict[str, str]]]:
        return lambda _, error: _refused(of(error))

    handlers: ExceptionHandlersMap = {kind: refusal_of(of) for kind, of in (refusals or {}).items()}
    return Litestar(
        route_handlers=list(route_handlers),
        exception_handlers={**handlers, HTTPException: lambda _, error: _refused(error), Exception: _failed},
        request_max_body_size=max_body_bytes,
        openapi_config=None,
        logging_config=None,
    )


def _refused(error: HTTPException) -> Response[dict[str, str]]:
    code = error.code if isinstance(error, Refused) else "request-refused"
    message = error.detail if isinstance(error, Refused) else "the request was refused"
    level = logging.WARNING if error.status_code >= 500 else logging.INFO
    log(LogCode.REQUEST_REFUSED, level=level, status=error.status_code, reason=code)
    headers = {"WWW-Authenticate": "Bearer"} if error.status_code == 401 else None
    return Response(
        {"code": code, "message": message}, status_code=error.status_code, media_type=MediaType.JSON, headers=headers
    )


def _failed(_: Request[Any, Any, Any], error: Exception) -> Response[dict[str, str]]:
    log(LogCode.REQUEST_FAILED, level=logging.ERROR, status=500, error_type=type(error).__name__)
    return Response(
        {"code": "internal-error", "message": "the request failed"}, status_code=500, media_type=MediaType.JSON
    )
