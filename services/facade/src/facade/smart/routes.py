"""GET /smart/launch, where an EHR sends the browser, and GET /smart/callback, where it sends it back."""

import logging
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

from litestar import Request, Response, Router, get
from service_runtime.log import LogCode, log
from service_runtime.secrets import SecretError
from sqlalchemy.exc import SQLAlchemyError

from facade.container import Container, ContainerOf
from facade.smart.cookies import FrameCookie
from facade.smart.errors import EhrRefused, LaunchRefused, NotAvailable
from facade.workbench.pages import any_registered_ehr, message_page

__all__ = ["route_handlers"]


@get("/launch", name="smart-launch")
async def launch(request: Request[Any, Any, Any], container: ContainerOf) -> Response[Any]:
    """Begin an EHR launch (``iss`` and ``launch``) or a standalone one (``iss`` alone)."""
    try:
        query = _single_values(request)
        redirect = await container.launches.start(query.get("iss", ""), query.get("launch"))
    except (LaunchRefused, SecretError, SQLAlchemyError, OSError) as error:
        return _refused(container, error)
    log(LogCode.LAUNCH_STARTED, ehr=redirect.ehr_id)
    return _redirect(302, redirect.url, [redirect.cookie])


@get("/callback", name="smart-callback")
async def callback(request: Request[Any, Any, Any], container: ContainerOf) -> Response[Any]:
    """Take the EHR's answer and open the page."""
    try:
        opened = await container.launches.complete(_single_values(request), request.cookies)
    except (LaunchRefused, SecretError, SQLAlchemyError, OSError) as error:
        return _refused(container, error)
    log(LogCode.LAUNCH_COMPLETED, ehr=opened.ehr_id)
    return _redirect(303, f"/workbench/{opened.session.window}", opened.cookies)


def _single_values(request: Request[Any, Any, Any]) -> dict[str, str]:
    """Return the query; a parameter sent twice could be read in two ways and is refused (RFC 6749, 3.1)."""
    pairs = parse_qsl(request.scope["query_string"].decode("ascii", errors="replace"), keep_blank_values=True)
    if len({name for name, _ in pairs}) != len(pairs):
        raise EhrRefused("parameter-repeated")
    return dict(pairs)


def _redirect(status_code: int, url: str, cookies: Sequence[FrameCookie]) -> Response[None]:
    headers = {"Location": url, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return Response(None, status_code=status_code, headers=headers, cookies=list(cookies))


def _refused(container: Container, error: Exception) -> Response[str]:
    refused = error if isinstance(error, LaunchRefused) else NotAvailable(type(error).__name__)
    log(LogCode.LAUNCH_REFUSED, level=logging.WARNING, reason=refused.reason, status=refused.status)
    return message_page(
        any_registered_ehr(container.ehrs),
        status_code=refused.status,
        title=refused.title,
        advice=refused.shown_advice,
    )


route_handlers = [Router(path="/smart", route_handlers=[launch, callback])]
