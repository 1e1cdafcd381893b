"""GET /smart/launch and /smart/standalone, where a launch begins, and /smart/callback, where the EHR answers."""

import logging
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

from litestar import Request, Response, Router, get, post
from service_runtime.log import LogCode, log
from service_runtime.secrets import SecretError
from sqlalchemy.exc import SQLAlchemyError

from facade.container import Container, ContainerOf
from facade.ehr.origins import origin_of
from facade.smart.cookies import FrameCookie
from facade.smart.errors import EhrRefused, LaunchRefused, NotAvailable
from facade.smart.launch_steps import AuthorizationRequest, OpenedSession, StayChoice
from facade.workbench.pages import any_registered_ehr, message_page, page

__all__ = ["route_handlers"]

_EXPECTED = (LaunchRefused, SecretError, SQLAlchemyError, OSError)
_MAX_FORM_BYTES = 4096


@get("/launch", name="smart-launch")
async def launch(request: Request[Any, Any, Any], container: ContainerOf) -> Response[Any]:
    """Begin an EHR launch (``iss`` and ``launch``) or a standalone one (``iss`` alone)."""
    try:
        query = _single_values(request)
        started = await container.launches.start(query.get("iss", ""), query.get("launch"))
    except _EXPECTED as error:
        return _refused(container, error)
    return _to_the_ehr(container, started)


@get("/standalone", name="smart-standalone")
async def standalone(request: Request[Any, Any, Any], container: ContainerOf) -> Response[Any]:
    """Begin a standalone launch at ``ehr`` (our short name) or ``iss``; without either, let the user choose the EHR."""
    try:
        query = _single_values(request)
        if not {"ehr", "iss"} & query.keys():
            return page("standalone.html", (), ehrs=tuple(container.ehrs))
        if "ehr" in query:
            started = await container.launches.start_standalone(query["ehr"])
        else:
            started = await container.launches.start(query["iss"], None)
    except _EXPECTED as error:
        return _refused(container, error)
    return _to_the_ehr(container, started)


@get("/callback", name="smart-callback")
async def callback(request: Request[Any, Any, Any], container: ContainerOf) -> Response[Any]:
    """Take the EHR's answer and open the page, or ask which stay it is about."""
    try:
        step = await container.launches.complete(_single_values(request), request.cookies)
    except _EXPECTED as error:
        return _refused(container, error)
    if isinstance(step, StayChoice):
        ancestors = container.ehrs.get(step.ehr_id).frame_ancestors
        answer = page("choose-stay.html", ancestors, handle=step.handle, stays=step.stays)
        answer.cookies.extend(step.cookies)
        return answer
    return _opened(step)


@post("/stay", status_code=200, name="smart-stay")
async def stay(request: Request[Any, Any, Any], container: ContainerOf) -> Response[Any]:
    """Take the stay that was chosen and open the page."""
    try:
        form = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
        return _opened(await container.launches.choose(form, request.cookies))
    except _EXPECTED as error:
        return _refused(container, error)


def _single_values(request: Request[Any, Any, Any]) -> dict[str, str]:
    """Return the query; a parameter sent twice could be read in two ways and is refused (RFC 6749, 3.1)."""
    pairs = parse_qsl(request.scope["query_string"].decode("ascii", errors="replace"), keep_blank_values=True)
    if len({name for name, _ in pairs}) != len(pairs):
        raise EhrRefused("parameter-repeated")
    return dict(pairs)


def _to_the_ehr(container: Container, started: AuthorizationRequest) -> Response[Any]:
    log(LogCode.LAUNCH_STARTED, ehr=started.ehr_id)
    if not started.by_post:
        return _redirect(302, started.url, [started.cookie])
    ehr = container.ehrs.get(started.ehr_id)
    # The answer to a form may redirect inside the EHR and at last to us; browsers hold all of it to form-action.
    targets = sorted({*ehr.allowed_origins, origin_of(started.endpoint)})
    answer = page(
        "authorize.html",
        ehr.frame_ancestors,
        form_targets=targets,
        endpoint=started.endpoint,
        parameters=started.parameters,
        ehr=ehr,
    )
    answer.cookies.append(started.cookie)
    return answer


def _opened(opened: OpenedSession) -> Response[Any]:
    log(LogCode.LAUNCH_COMPLETED, ehr=opened.ehr_id)
    return _redirect(303, f"/workbench/{opened.session.window}", opened.cookies)


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


route_handlers = [
    Router(
        path="/smart",
        route_handlers=[launch, standalone, callback, stay],
        request_max_body_size=_MAX_FORM_BYTES,
    )
]
