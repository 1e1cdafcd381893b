"""The page of a standalone launch, where a user says who they are and for whom the app may act, and the error page."""

from urllib.parse import urlsplit

from litestar import Response

from sandbox_ehr.auth.authorize import ChoicePage
from sandbox_ehr.auth.clients import Client
from sandbox_ehr.auth.grants import AuthorizationRequest
from sandbox_ehr.pages.render import html
from sandbox_ehr.pages.ward import Ward

__all__ = ["choice_page", "error_page"]


def choice_page(ward: Ward) -> ChoicePage:
    """Return what shows the page for a suspended request."""

    async def show(client: Client, request: AuthorizationRequest, handle: str) -> Response[str]:
        target = urlsplit(request.redirect_uri)
        return html(
            "choice.html",
            form_targets=f"{target.scheme}://{target.netloc}",
            client=client,
            scopes=request.scopes,
            handle=handle,
            practitioners=await ward.practitioners(),
            stays=await ward.stays(),
        )

    return show


def error_page(message: str, status: int = 400) -> Response[str]:
    """Return a page that says what is wrong; inside our own frame it may be shown too."""
    return html("error.html", status=status, framed_by="'self'", message=message)
