"""What the handlers of the page share: reading a form of ours, and answering with a page or an address."""

from typing import Any

from litestar import Request, Response

from facade.container import Container
from facade.smart.sessions import Session
from facade.workbench.access import require_own_page
from facade.workbench.failures import PageRefused
from facade.workbench.pages import page
from facade.workbench.views import Review

__all__ = ["ancestors_of", "form_of", "page_of", "see", "undecided"]


async def form_of(request: Request[Any, Any, Any], container: Container, session: Session) -> dict[str, str]:
    """Return the form's fields when it comes from a page of this session; raise ``PageRefused``."""
    form = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    require_own_page(request, form.get("csrf"), container, session)
    return form


def ancestors_of(container: Container, session: Session) -> tuple[str, ...]:
    """Return the origins that may frame pages of this session."""
    return container.ehrs.get(session.ehr_id).frame_ancestors


def page_of(container: Container, session: Session, template: str, **values: Any) -> Response[str]:
    """Return a page of this session."""
    return page(
        template,
        ancestors_of(container, session),
        window=session.window,
        csrf=session.context.csrf_token,
        who=session.context,
        ehr=container.ehrs.get(session.ehr_id),
        idle_s=container.sessions.idle_s,
        **values,
    )


def see(location: str) -> Response[None]:
    """Send the browser to an address of ours."""
    return Response(None, status_code=303, headers={"Location": location, "Cache-Control": "no-store"})


def undecided(container: Container, session: Session, shown: Review) -> PageRefused:
    """Return the refusal to go on while flags are not decided."""
    return PageRefused(
        ancestors_of(container, session),
        409,
        "Some flags are not decided yet",
        "Nothing was signed. Accept, edit or override each of these first.",
        back=f"/workbench/{session.window}",
        items=[f"{flag.number}. {flag.kind}: {flag.finding}" for flag in shown.undecided],
    )
