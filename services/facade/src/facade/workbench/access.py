"""Who may use a window of the page: the session in the cookie, and for changes a proof that our own page asked."""

from typing import Any

from litestar import Request
from litestar.di import NamedDependency
from litestar.params import FromPath, SkipValidation

from facade.container import Container, ContainerOf
from facade.smart.cookies import cookie_name
from facade.smart.sessions import Session
from facade.workbench.failures import PageRefused, told
from facade.workbench.pages import any_registered_ehr

__all__ = ["ContainerOf", "SessionOf", "open_session", "require_own_page"]

SessionOf = NamedDependency[SkipValidation[Session]]


async def open_session(request: Request[Any, Any, Any], window: FromPath[str], container: ContainerOf) -> Session:
    """Return the session of ``window``; raise ``PageRefused`` (401) when this browser has none there."""
    name = cookie_name("session", window, container.settings.public_base_url)
    with told(any_registered_ehr(container.ehrs), f"/workbench/{window}"):
        return await container.sessions.find(window, request.cookies.get(name))


def require_own_page(
    request: Request[Any, Any, Any], unverified_token: str | None, container: Container, session: Session
) -> None:
    """Raise ``PageRefused`` (403) unless the request comes from a page of this session.

    The cookie alone proves nothing here: it is sent with requests other sites cause (``SameSite=None``).
    """
    origin = request.headers.get("origin")
    fetch_site = request.headers.get("sec-fetch-site", "same-origin")
    if (
        session.accepts_csrf(unverified_token)
        and origin in (None, container.settings.public_base_url)
        and fetch_site == "same-origin"
    ):
        return
    raise PageRefused(
        container.ehrs.get(session.ehr_id).frame_ancestors,
        403,
        "This request did not come from this page",
        "Nothing was changed. Open the page again and repeat what you did.",
        back=f"/workbench/{session.window}",
    )
