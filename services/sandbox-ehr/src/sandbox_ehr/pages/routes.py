"""The pages: the list of stays, one stay, the frame an app runs in, and the forms that change something."""

from typing import Any
from urllib.parse import urlencode, urlsplit

from litestar import MediaType, Request, Response, get, post
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import Redirect

from sandbox_ehr.auth.clients import Client, Clients
from sandbox_ehr.auth.grants import Grants, LaunchContext
from sandbox_ehr.cds_hooks.client import CdsHooksClient
from sandbox_ehr.cds_hooks.routes import cds_routes
from sandbox_ehr.fhir.server import FhirServer
from sandbox_ehr.pages.forms import Forms
from sandbox_ehr.pages.render import ICON, STYLE, html
from sandbox_ehr.pages.views import Person
from sandbox_ehr.pages.ward import StayPage, Ward

__all__ = ["PRACTITIONER_COOKIE", "page_routes"]

PRACTITIONER_COOKIE = "sandbox_ehr_practitioner"
_NOTICES = {
    "discharged": "The patient was discharged.",
    "unchanged": "This stay was already discharged; nothing changed.",
    "ordered": "The order was signed.",
    "not-ordered": "Nothing was ordered.",
}
# SMART App Launch 2.2, "smart_style_url": how an embedded app may match the EHR.
_SMART_STYLE = {
    "color_background": "#f4f6f8",
    "color_error": "#b3261e",
    "color_highlight": "#0b5cad",
    "color_modal_backdrop": "rgba(16, 24, 40, 0.5)",
    "color_success": "#1b6e3c",
    "color_text": "#101828",
    "dim_border_radius": "8px",
    "dim_font_size": "16px",
    "dim_spacing_size": "16px",
    "font_family_body": "system-ui, sans-serif",
    "font_family_heading": "system-ui, sans-serif",
}


def page_routes(
    ward: Ward, clients: Clients, grants: Grants, base_url: str, fhir: FhirServer, cds: CdsHooksClient
) -> list[HTTPRouteHandler]:
    """Return the handlers."""
    forms = Forms(base_url)

    async def acting(request: Request[Any, Any, Any], encounter: str | None = None) -> Person | None:
        """The practitioner the visitor chose, else the one in charge of the stay."""
        chosen = await ward.practitioner(request.cookies.get(PRACTITIONER_COOKIE))
        return chosen or (await ward.attending(encounter) if encounter else None)

    async def page(
        request: Request[Any, Any, Any], template: str, encounter: str | None, **values: Any
    ) -> Response[str]:
        token = forms.token(request)
        answer = html(
            template,
            csrf=token,
            acting=await acting(request, encounter),
            practitioners=await ward.practitioners(),
            here=request.scope["path"],
            notice=_NOTICES.get(request.query_params.get("notice", "")),
            apps=clients.launchable,
            can_order=cds.has_services,
            **values,
        )
        answer.set_cookie(forms.cookie(token))
        return answer

    async def found(encounter: str) -> StayPage:
        stay = await ward.stay(encounter)
        if stay is None:
            raise NotFoundException
        return stay

    @get("/")
    async def stays(request: Request[Any, Any, Any]) -> Response[str]:
        """List the stays."""
        forms.check_host(request)
        return await page(request, "stays.html", None, stays=await ward.stays())

    @get("/stays/{encounter:str}")
    async def stay(request: Request[Any, Any, Any], encounter: FromPath[str]) -> Response[str]:
        """Show one stay with its documents."""
        forms.check_host(request)
        return await page(request, "stay.html", encounter, page=await found(encounter))

    @post("/stays/{encounter:str}/launch", status_code=200)
    async def launch(request: Request[Any, Any, Any], encounter: FromPath[str]) -> Response[str]:
        """Launch an app for one stay inside the EHR's frame."""
        form = await forms.read(request)
        client = next((c for c in clients.launchable if c.client_id == form.get("client")), None)
        shown = await found(encounter)
        user = await acting(request, encounter)
        if client is None or user is None:
            raise NotFoundException
        # A CDS card's link of type smart is launched like the button, with the card's appContext.
        app_context = form.get("app_context") or None
        context = LaunchContext(user.id, shown.stay.patient.id, encounter, embedded=True, app_context=app_context)
        address = _launch_address(client, f"{base_url}/fhir", grants.launch(client.client_id, context))
        # The app sends the frame through our own authorization endpoint, so we are a source too.
        return html(
            "frame.html",
            frames=f"'self' {' '.join(sorted(client.origins))}",
            stay=shown.stay,
            allergies=shown.allergies,
            acting=user,
            app=client,
            address=address,
        )

    @post("/stays/{encounter:str}/discharge", status_code=303)
    async def discharge(request: Request[Any, Any, Any], encounter: FromPath[str]) -> Redirect:
        """Finish the stay, once."""
        await forms.read(request)
        await found(encounter)
        done = await ward.discharge(encounter, await acting(request, encounter))
        return Redirect(f"/stays/{encounter}?notice={'discharged' if done else 'unchanged'}", status_code=303)

    @post("/practitioner", status_code=303)
    async def practitioner(request: Request[Any, Any, Any]) -> Redirect:
        """Choose whom the visitor acts as."""
        form = await forms.read(request)
        chosen = await ward.practitioner(form.get("practitioner"))
        here = form.get("here", "/")
        answer = Redirect(here if here.startswith("/stays/") else "/", status_code=303)
        if chosen is None:
            answer.delete_cookie(PRACTITIONER_COOKIE)
        else:
            answer.set_cookie(forms.session_cookie(PRACTITIONER_COOKIE, chosen.id))
        return answer

    @get("/style.css", sync_to_thread=False)
    def style() -> Response[str]:
        return Response(STYLE, media_type="text/css", headers={"Cache-Control": "max-age=300"})

    @get("/icon.svg", sync_to_thread=False)
    def icon() -> Response[str]:
        return Response(ICON, media_type="image/svg+xml", headers={"Cache-Control": "max-age=300"})

    @get("/smart-style.json", sync_to_thread=False)
    def smart_style() -> Response[dict[str, str]]:
        headers = {"Access-Control-Allow-Origin": "*", "Cache-Control": "max-age=300"}
        return Response(_SMART_STYLE, media_type=MediaType.JSON, headers=headers)

    ordering = cds_routes(ward, fhir, cds, forms, acting)
    return [stays, stay, launch, discharge, practitioner, style, icon, smart_style, *ordering]


def _launch_address(client: Client, issuer: str, launch: str) -> str:
    assert client.launch_url is not None
    joint = "&" if urlsplit(client.launch_url).query else "?"
    return f"{client.launch_url}{joint}{urlencode({'iss': issuer, 'launch': launch})}"
