"""/workbench/{window}: the clinician's page. ``window`` names a session and means nothing without its cookie."""

from datetime import UTC, datetime
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.di import Provide
from litestar.params import FromPath
from litestar.response import Stream
from litestar.types import ControllerRouterHandler

from facade.container import Container, RequestId
from facade.decisions import corrected_sections
from facade.smart.cookies import FrameCookie, cookie_name
from facade.smart.sessions import Session
from facade.store.documents import DocumentStatus, StoredDocument
from facade.workbench.access import ContainerOf, SessionOf, open_session
from facade.workbench.answers import ancestors_of, form_of, page_of, see, undecided
from facade.workbench.drafting_stream import NDJSON, draft_lines
from facade.workbench.failures import PageRefused, refusal, told
from facade.workbench.forms import MAX_FORM_BYTES, changed_keys, decision_of
from facade.workbench.opened_flag import opened_flag
from facade.workbench.pages import security_headers
from facade.workbench.review import review
from facade.workbench.signature import sign
from facade.workbench.static_files import static_file
from facade.workbench.viewed import record_view

__all__ = ["route_handlers"]


@get("/", name="workbench")
async def show(
    window: FromPath[str], container: ContainerOf, session: SessionOf, request_id: RequestId
) -> Response[str]:
    """Show the document where it stands: being drafted, to be reviewed, or signed."""
    stored = await _seen(window, container, session, request_id)
    if stored is None:
        return page_of(container, session, "drafting.html")
    if stored.status is DocumentStatus.FINAL:
        corrected = corrected_sections(stored.document, stored.decisions)
        signed = stored.signed_sections or corrected
        return page_of(
            container,
            session,
            "signed.html",
            stored=stored,
            sections=signed,
            edited=changed_keys(corrected, signed),
            review=review(stored),
        )
    shown = review(stored)
    opened, elsewhere = opened_flag(stored, session.context, shown)
    return page_of(container, session, "review.html", stored=stored, review=shown, opened=opened, elsewhere=elsewhere)


@post("/draft", status_code=200, name="workbench-draft")
async def draft(
    request: Request[Any, Any, Any],
    window: FromPath[str],
    container: ContainerOf,
    session: SessionOf,
    request_id: RequestId,
) -> Response[Any] | Stream:
    """Write the draft: line by line to the page's script, else go back to the page when it is there."""
    await form_of(request, container, session)
    ancestors = ancestors_of(container, session)
    encounter = session.context.encounter
    if NDJSON in request.headers.get("accept", ""):
        lines = draft_lines(container.drafting, session.ehr_id, encounter, request_id)
        headers = {**security_headers(ancestors), "X-Accel-Buffering": "no"}
        return Stream(lines, media_type=NDJSON, headers=headers)
    with told(ancestors, f"/workbench/{window}"):
        await container.drafting.draft(session.ehr_id, encounter, request_id)
    return see(f"/workbench/{window}")


@post("/decisions", status_code=200, name="workbench-decisions")
async def decide(
    request: Request[Any, Any, Any], window: FromPath[str], container: ContainerOf, session: SessionOf
) -> Response[Any]:
    """Keep a decision on one flag."""
    form = await form_of(request, container, session)
    with told(ancestors_of(container, session), f"/workbench/{window}"):
        decision = decision_of(form, who=session.context.practitioner, at=datetime.now(UTC))
        await container.documents.record_decision(session.ehr_id, session.context.encounter, decision)
    return see(f"/workbench/{window}")


@get("/final", name="workbench-final")
async def final(
    window: FromPath[str], container: ContainerOf, session: SessionOf, request_id: RequestId
) -> Response[Any]:
    """Show the text as it will be signed, every decision applied, for a last edit."""
    stored = await _seen(window, container, session, request_id)
    if stored is None or stored.status is DocumentStatus.FINAL:
        return see(f"/workbench/{window}")
    shown = review(stored)
    if shown.undecided:
        raise undecided(container, session, shown)
    sections = corrected_sections(stored.document, stored.decisions)
    return page_of(container, session, "final.html", stored=stored, review=shown, sections=sections)


@post("/end", status_code=200, name="workbench-end")
async def end(
    request: Request[Any, Any, Any], window: FromPath[str], container: ContainerOf, session: SessionOf
) -> Response[Any]:
    """End the session."""
    await form_of(request, container, session)
    with told(ancestors_of(container, session), f"/workbench/{window}"):
        await container.sessions.end(session.window)
    answer = page_of(container, session, "ended.html")
    answer.cookies.append(FrameCookie(cookie_name("session", window, container.settings.public_base_url)))
    return answer


async def _seen(window: str, container: Container, session: Session, request_id: str) -> StoredDocument | None:
    """Return the document of the stay, after it was recorded that this clinician sees it."""
    with told(ancestors_of(container, session), f"/workbench/{window}"):
        stored = await container.documents.get(session.ehr_id, session.context.encounter)
        if stored is not None:
            await record_view(container, session, stored, request_id)
    return stored


route_handlers: list[ControllerRouterHandler] = [
    static_file,
    Router(
        path="/workbench/{window:str}",
        route_handlers=[show, draft, decide, final, sign, end],
        dependencies={"session": Provide(open_session)},
        exception_handlers={PageRefused: refusal},
        request_max_body_size=MAX_FORM_BYTES,
    ),
]
