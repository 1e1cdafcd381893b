"""/workbench/{window}: the clinician's page. ``window`` names a session and means nothing without its cookie."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.di import Provide
from litestar.params import FromPath
from litestar.response import Stream
from litestar.types import ControllerRouterHandler

from facade.container import Container, RequestId
from facade.decisions import corrected_sections
from facade.resources.signing import Signer, UndecidedFlags
from facade.smart.cookies import FrameCookie, cookie_name
from facade.smart.sessions import Session
from facade.store.documents import DocumentStatus, StoredDocument
from facade.workbench.access import ContainerOf, SessionOf, open_session, require_own_page
from facade.workbench.drafting_stream import NDJSON, draft_lines
from facade.workbench.failures import PageRefused, refusal, told
from facade.workbench.forms import MAX_FORM_BYTES, InvalidForm, changed_keys, decision_of, sections_of
from facade.workbench.pages import page, security_headers
from facade.workbench.review import Review, review
from facade.workbench.static_files import static_file

__all__ = ["route_handlers"]


@get("/", name="workbench")
async def show(window: FromPath[str], container: ContainerOf, session: SessionOf) -> Response[str]:
    """Show the document where it stands: being drafted, to be reviewed, or signed."""
    with told(_ancestors(container, session), f"/workbench/{window}"):
        stored = await container.documents.get(session.ehr_id, session.context.encounter)
    if stored is None:
        return _page(container, session, "drafting.html")
    if stored.status is DocumentStatus.FINAL:
        corrected = corrected_sections(stored.document, stored.decisions)
        signed = stored.signed_sections or corrected
        return _page(
            container,
            session,
            "signed.html",
            stored=stored,
            sections=signed,
            edited=changed_keys(corrected, signed),
            review=review(stored),
        )
    return _page(container, session, "review.html", stored=stored, review=review(stored))


@post("/draft", status_code=200, name="workbench-draft")
async def draft(
    request: Request[Any, Any, Any],
    window: FromPath[str],
    container: ContainerOf,
    session: SessionOf,
    request_id: RequestId,
) -> Response[Any] | Stream:
    """Write the draft: line by line to the page's script, else go back to the page when it is there."""
    await _form(request, container, session)
    ancestors = _ancestors(container, session)
    encounter = session.context.encounter
    if NDJSON in request.headers.get("accept", ""):
        lines = draft_lines(container.drafting, session.ehr_id, encounter, request_id)
        headers = {**security_headers(ancestors), "X-Accel-Buffering": "no"}
        return Stream(lines, media_type=NDJSON, headers=headers)
    with told(ancestors, f"/workbench/{window}"):
        await container.drafting.draft(session.ehr_id, encounter, request_id)
    return _see(f"/workbench/{window}")


@post("/decisions", status_code=200, name="workbench-decisions")
async def decide(
    request: Request[Any, Any, Any], window: FromPath[str], container: ContainerOf, session: SessionOf
) -> Response[Any]:
    """Keep a decision on one flag."""
    form = await _form(request, container, session)
    with told(_ancestors(container, session), f"/workbench/{window}"):
        decision = decision_of(form, who=session.context.practitioner, at=datetime.now(UTC))
        await container.documents.record_decision(session.ehr_id, session.context.encounter, decision)
    return _see(f"/workbench/{window}")


@get("/final", name="workbench-final")
async def final(window: FromPath[str], container: ContainerOf, session: SessionOf) -> Response[Any]:
    """Show the text as it will be signed, every decision applied, for a last edit."""
    with told(_ancestors(container, session), f"/workbench/{window}"):
        stored = await container.documents.get(session.ehr_id, session.context.encounter)
    if stored is None or stored.status is DocumentStatus.FINAL:
        return _see(f"/workbench/{window}")
    shown = review(stored)
    if shown.undecided:
        raise _undecided(container, session, shown)
    sections = corrected_sections(stored.document, stored.decisions)
    return _page(container, session, "final.html", stored=stored, review=shown, sections=sections)


@post("/signature", status_code=200, name="workbench-signature")
async def sign(
    request: Request[Any, Any, Any],
    window: FromPath[str],
    container: ContainerOf,
    session: SessionOf,
    request_id: RequestId,
) -> Response[Any]:
    """Sign the text that was shown, as the clinician who launched, after the EHR confirmed that they still may."""
    form = await _form(request, container, session)
    ancestors, back = _ancestors(container, session), f"/workbench/{window}"
    with told(ancestors, back):
        stored = await container.documents.get(session.ehr_id, session.context.encounter)
    if stored is None or stored.status is DocumentStatus.FINAL:
        return _see(back)
    sections = _typed(container, session, stored, form)
    signer = Signer(session.context.practitioner, session.context.practitioner_name)
    with told(ancestors, f"{back}/final"):
        await container.user_access.confirm(session)
        try:
            await container.signing.sign(
                session.ehr_id, session.context.encounter, signer=signer, sections=sections, request_id=request_id
            )
        except UndecidedFlags:
            raise _undecided(container, session, review(stored)) from None
    return _see(back)


@post("/end", status_code=200, name="workbench-end")
async def end(
    request: Request[Any, Any, Any], window: FromPath[str], container: ContainerOf, session: SessionOf
) -> Response[Any]:
    """End the session."""
    await _form(request, container, session)
    with told(_ancestors(container, session), f"/workbench/{window}"):
        await container.sessions.end(session.window)
    answer = _page(container, session, "ended.html")
    answer.cookies.append(FrameCookie(cookie_name("session", window, container.settings.public_base_url)))
    return answer


def _typed(container: Container, session: Session, stored: StoredDocument, form: Mapping[str, str]) -> Any:
    """Return the text of the form; raise ``PageRefused`` when it was typed over another state of the document."""
    shown = review(stored)
    ancestors, back = _ancestors(container, session), f"/workbench/{session.window}"
    if shown.undecided:
        raise _undecided(container, session, shown)
    if form.get("revision") != shown.revision:
        raise PageRefused(
            ancestors,
            409,
            "The decisions have changed",
            "Somebody decided anew on a flag after you opened this text. Nothing was signed. Look at it again.",
            back=f"{back}/final",
        )
    try:
        return sections_of(form, corrected_sections(stored.document, stored.decisions))
    except InvalidForm as error:
        advice = f"Nothing was signed: {error}."
        raise PageRefused(ancestors, 422, "This text cannot be signed", advice, back=f"{back}/final") from None


def _undecided(container: Container, session: Session, shown: Review) -> PageRefused:
    return PageRefused(
        _ancestors(container, session),
        409,
        "Some flags are not decided yet",
        "Nothing was signed. Accept, edit or override each of these first.",
        back=f"/workbench/{session.window}",
        items=[f"{flag.number}. {flag.kind}: {flag.finding}" for flag in shown.undecided],
    )


async def _form(request: Request[Any, Any, Any], container: Container, session: Session) -> dict[str, str]:
    """Return the form's fields when it comes from a page of this session; raise ``PageRefused``."""
    form = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    require_own_page(request, form.get("csrf"), container, session)
    return form


def _ancestors(container: Container, session: Session) -> tuple[str, ...]:
    return container.ehrs.get(session.ehr_id).frame_ancestors


def _page(container: Container, session: Session, template: str, **values: Any) -> Response[str]:
    return page(
        template,
        _ancestors(container, session),
        window=session.window,
        csrf=session.context.csrf_token,
        who=session.context,
        ehr=container.ehrs.get(session.ehr_id),
        idle_s=container.sessions.idle_s,
        **values,
    )


def _see(location: str) -> Response[None]:
    return Response(None, status_code=303, headers={"Location": location, "Cache-Control": "no-store"})


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
