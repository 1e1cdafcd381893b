"""/cds-services: discovery, the four services, and feedback on their cards (CDS Hooks 2.0)."""

import json
import time
from collections.abc import Mapping
from typing import Any

from fhir_support.errors import BadRequest, FhirError, PayloadTooLarge, ServiceUnavailable
from litestar import MediaType, Request, Response, Router, get, post, route
from litestar.enums import HttpMethod
from litestar.exceptions import HTTPException
from litestar.params import FromPath
from service_runtime.secrets import SecretError
from sqlalchemy.exc import SQLAlchemyError

from facade.cds_hooks.client_jwt import ClientRefused
from facade.cds_hooks.services import discovery
from facade.container import ContainerOf, RequestId
from facade.failures import EXCEPTION_HANDLERS

__all__ = ["route_handlers"]

_JSON = "application/json"
_MAX_BYTES = 8_388_608
"""A prefetch of everything about a patient is larger than other bodies we take; who may send it is known before."""

_CORS: Mapping[str, str] = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "X-Request-Id",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
"""Any page may call: what lets it in is the JWT it must have, never something that a browser adds by itself."""
_PREFLIGHT: Mapping[str, str] = {
    **_CORS,
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, X-Request-Id",
    "Access-Control-Max-Age": "600",
}
_DISCOVERY = json.dumps(discovery(), separators=(",", ":")).encode()


@get("/", name="cds-discovery", sync_to_thread=False)
def discover() -> Response[bytes]:
    """Answer which services there are; anybody may ask."""
    return Response(_DISCOVERY, media_type=_JSON, headers={**_CORS, "Cache-Control": "public, max-age=300"})


@post("/{service_id:str}", status_code=200, name="cds-service")
async def call(
    request: Request[Any, Any, Any], service_id: FromPath[str], container: ContainerOf, request_id: RequestId
) -> Response[bytes]:
    """Answer a hook: who calls is known before anything of the body is read."""
    began = time.monotonic()
    service = container.cds_hooks.service(service_id)
    caller = await container.cds_hooks.caller(_authorization(request), service_id)
    body = await _body(request)
    answer = await container.cds_hooks.answer(caller, service, body, request_id, began)
    return Response(json.dumps(answer, separators=(",", ":")).encode(), media_type=_JSON, headers=dict(_CORS))


@post("/{service_id:str}/feedback", status_code=200, name="cds-feedback")
async def feedback(
    request: Request[Any, Any, Any], service_id: FromPath[str], container: ContainerOf
) -> Response[bytes]:
    """Keep what was done with cards."""
    service = container.cds_hooks.service(service_id)
    caller = await container.cds_hooks.caller(_authorization(request), service_id, "feedback")
    body = await _body(request)
    try:
        await container.cds_hooks.feedback(caller, service, body)
    except (SQLAlchemyError, SecretError, OSError):
        raise ServiceUnavailable from None
    return _empty(200, _CORS)


@route(
    ["/", "/{service_id:str}", "/{service_id:str}/feedback"],
    http_method=[HttpMethod.OPTIONS],
    status_code=204,
    name="cds-preflight",
    sync_to_thread=False,
)
def preflight() -> Response[None]:
    """Answer a browser that asks before it calls."""
    return Response(None, status_code=204, headers=dict(_PREFLIGHT))


def _authorization(request: Request[Any, Any, Any]) -> str | None:
    values = request.headers.getall("authorization", [])
    return values[0] if len(values) == 1 else None


async def _body(request: Request[Any, Any, Any]) -> bytes:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != _JSON:
        raise BadRequest("The body must be application/json.")
    announced = request.headers.get("content-length") or "0"
    if not (announced.isascii() and announced.isdecimal()):
        raise BadRequest
    if int(announced) > _MAX_BYTES:
        raise PayloadTooLarge
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BYTES:
            raise PayloadTooLarge
    return bytes(body)


def _empty(status: int, headers: Mapping[str, str]) -> Response[bytes]:
    return Response(b"", status_code=status, media_type=MediaType.TEXT, headers=dict(headers))


def _refused(_: Request[Any, Any, Any], __: ClientRefused) -> Response[bytes]:
    """Say no and nothing else: a caller that is not known learns nothing from how it was refused."""
    return _empty(401, {**_CORS, "WWW-Authenticate": "Bearer"})


def _failed(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Answer as everywhere else; a page of another origin may read it."""
    kinds = (kind for kind in (FhirError, HTTPException, Exception) if isinstance(error, kind))
    response: Response[Any] = EXCEPTION_HANDLERS[next(kinds)](request, error)
    response.headers.update(_CORS)
    return response


route_handlers = [
    Router(
        path="/cds-services",
        route_handlers=[preflight, discover, call, feedback],
        exception_handlers={ClientRefused: _refused, FhirError: _failed, HTTPException: _failed, Exception: _failed},
        request_max_body_size=_MAX_BYTES,
    )
]
