"""What a request that fails is answered with: an OperationOutcome that says what kind of failure it is, and no more."""

import logging
from typing import Any

from fhir_support.errors import (
    BadRequest,
    FhirError,
    InternalError,
    NotFound,
    PayloadTooLarge,
    Unauthorized,
    operation_outcome,
)
from fhir_support.r4 import dump
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap
from service_runtime.log import LogCode, log
from service_runtime.request_id import current_request_id

__all__ = ["EXCEPTION_HANDLERS", "outcome_response"]

_KINDS: dict[int, type[FhirError]] = {400: BadRequest, 401: Unauthorized, 404: NotFound, 413: PayloadTooLarge}


def outcome_response(error: FhirError, status: int | None = None) -> Response[bytes]:
    """Return the answer for ``error``; one of ours (500) names the request, so that it can be found in the log."""
    outcome = error.outcome()
    if isinstance(error, InternalError):
        outcome = operation_outcome(error.code, f"{error.text} Request {current_request_id()}.")
    headers = ({"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthorized) else {}) | error.headers
    return Response(
        dump(outcome),
        status_code=status or error.status,
        media_type="application/fhir+json; charset=utf-8",
        headers=headers,
    )


def _known(_: Request[Any, Any, Any], error: FhirError) -> Response[bytes]:
    log(LogCode.REQUEST_REFUSED, status=error.status, reason=error.code)
    return outcome_response(error)


def _refused(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """A refusal of the framework; its own words may hold what was sent."""
    log(LogCode.REQUEST_REFUSED, status=error.status_code)
    kind = _KINDS.get(error.status_code, BadRequest if error.status_code < 500 else InternalError)
    return outcome_response(kind(), error.status_code)


def _failed(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    log(LogCode.REQUEST_FAILED, level=logging.ERROR, status=500, error_type=type(error).__name__)
    return outcome_response(InternalError())


EXCEPTION_HANDLERS: ExceptionHandlersMap = {FhirError: _known, HTTPException: _refused, Exception: _failed}
