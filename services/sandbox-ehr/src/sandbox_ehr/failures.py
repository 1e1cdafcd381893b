"""What a request that fails is answered with: an OperationOutcome, an OAuth error or a page, by where it came in."""

import logging
from http import HTTPStatus
from typing import Any

from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap
from service_runtime.log import LogCode, log

from sandbox_ehr.fhir.outcome import FhirRefusal
from sandbox_ehr.pages.choice import error_page

__all__ = ["EXCEPTION_HANDLERS"]

_ISSUE_CODES = {404: "not-found", 405: "not-supported", 413: "too-long"}
_OAUTH_JSON = ("/auth/token", "/auth/introspect", "/auth/revoke")


def _refused(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    return _answer(request, error.status_code)


def _failed(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    log(LogCode.REQUEST_FAILED, level=logging.ERROR, status=500, error_type=type(error).__name__)
    return _answer(request, 500)


def _answer(request: Request[Any, Any, Any], status: int) -> Response[Any]:
    """Say only what kind of failure it is: the words of an exception may hold what was sent."""
    path, phrase = request.scope["path"], HTTPStatus(status).phrase
    if path == "/fhir" or path.startswith("/fhir/"):
        refusal = FhirRefusal(status, _ISSUE_CODES.get(status, "exception" if status >= 500 else "invalid"), phrase)
        return Response(refusal.outcome, status_code=status, media_type="application/fhir+json; charset=utf-8")
    if path in _OAUTH_JSON:
        code = "server_error" if status >= 500 else "invalid_request"
        return Response({"error": code, "error_description": phrase}, status_code=status, media_type=MediaType.JSON)
    return error_page(f"{phrase}.", status)


EXCEPTION_HANDLERS: ExceptionHandlersMap = {HTTPException: _refused, Exception: _failed}
