"""One FHIR base per registered EHR, the short form ``/fhir`` where there is only one, and CORS for all of them.

Any origin may call: nothing here is opened by a cookie, and a page that holds a token could use it from anywhere.
"""

import re
from collections.abc import Iterable
from typing import Any, cast
from urllib.parse import quote

from fhir_support.errors import NotFound
from litestar import Request
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from facade.ehr.registry import EhrRegistry, UnknownEhr
from facade.fhir.home import Home

__all__ = ["home_of", "request_base", "tenants"]

_PREFIX = "/fhir"
# An EHR's id is lower case; ``metadata`` alone could be taken for one.
_TENANT = re.compile(r"/fhir/(?!metadata(?:/|$))([a-z0-9][a-z0-9-]{0,31})(?=/|$)", re.ASCII)
_SHORT = "facade.fhir.short"
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD, POST, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": (
        "Accept, Authorization, Content-Type, If-Modified-Since, If-None-Match, Prefer, X-Request-Id"
    ),
    "Access-Control-Expose-Headers": (
        "Content-Location, ETag, Last-Modified, Location, Retry-After, WWW-Authenticate, X-Progress, X-Request-Id"
    ),
    "Access-Control-Max-Age": "600",
}


def home_of(ehrs: EhrRegistry, public_base_url: str, ehr_id: str) -> Home:
    """Return the tenant called ``ehr_id``; raise ``NotFound``. The first of its bases is the one of its own name."""
    try:
        ehr = ehrs.get(ehr_id)
    except UnknownEhr:
        raise NotFound("There is no FHIR base of that name.") from None
    own = f"{public_base_url}{_PREFIX}/{ehr.id}"
    only = len(list(ehrs)) == 1
    return Home(ehr.id, ehr.fhir_base, (own, f"{public_base_url}{_PREFIX}") if only else (own,))


def request_base(request: Request[Any, Any, Any], public_base_url: str) -> str:
    """Return the FHIR base under which the request came, as the client wrote it."""
    ehr_id = request.path_params["ehr_id"]
    return f"{public_base_url}{_PREFIX}" if request.scope.get(_SHORT) else f"{public_base_url}{_PREFIX}/{ehr_id}"


def tenants(app: ASGIApp, ehrs: EhrRegistry) -> ASGIApp:
    """Return ``app`` with the short form written out: ``/fhir/Composition/1`` of the only EHR is
    ``/fhir/{ehr_id}/Composition/1``. With several EHRs it stays as it is, and nothing is there."""
    if any(ehr.id == "metadata" for ehr in ehrs):
        raise ValueError("no EHR can be called metadata: its base would have the address of the CapabilityStatement")
    only = next(iter(ehrs)).id if len(list(ehrs)) == 1 else None

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != ScopeType.HTTP or (path != _PREFIX and not path.startswith(f"{_PREFIX}/")):
            await app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableScopeHeaders.from_message(message)
                for name, value in _CORS.items():
                    headers.setdefault(name, value)
            await send(message)

        if only is not None and not _TENANT.match(path):
            written_out = f"{_PREFIX}/{only}{path[len(_PREFIX) :]}"
            # A scope may hold keys of ours; the outer one stays as it is, for it is what is logged.
            scope = cast(
                "HTTPScope", {**scope, "path": written_out, "raw_path": quote(written_out).encode(), _SHORT: True}
            )
        if scope["method"] == "OPTIONS" and _is_preflight(scope["headers"]):
            await sending({"type": "http.response.start", "status": 204, "headers": []})
            await sending({"type": "http.response.body", "body": b"", "more_body": False})
            return
        await app(scope, receive, sending)

    return wrapped


def _is_preflight(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name == b"access-control-request-method" for name, _ in headers)
