"""One FHIR base per registered EHR, and the short form ``/fhir`` where there is only one."""

import re
from typing import Any

from fhir_support.errors import NotFound
from litestar import Request
from litestar.types import ASGIApp, Receive, Scope, Send

from facade.ehr.registry import EhrRegistry, UnknownEhr
from facade.fhir.home import Home

__all__ = ["home_of", "request_base", "tenants"]

_PREFIX = "/fhir"
# An EHR's id is lower case; ``metadata`` alone could be taken for one.
_TENANT = re.compile(r"/fhir/(?!metadata(?:/|$))([a-z0-9][a-z0-9-]{0,31})(?=/|$)", re.ASCII)
_SHORT = "facade.fhir.short"


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
    only = next(iter(ehrs)).id if len(list(ehrs)) == 1 else None

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and only is not None:
            path = scope["path"]
            if (path == _PREFIX or path.startswith(f"{_PREFIX}/")) and not _TENANT.match(path):
                written_out = f"{_PREFIX}/{only}{path[len(_PREFIX) :]}"
                copy: dict[str, Any] = {**scope, "path": written_out, "raw_path": written_out.encode(), _SHORT: True}
                await app(copy, receive, send)  # type: ignore[arg-type]  # a scope with one key of our own
                return
        await app(scope, receive, send)

    return wrapped
