"""Ordering a medicine from the page of a stay: the order is checked, its cards are shown, and what follows is told."""

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Request, Response, get, post
from litestar.exceptions import NotFoundException, ValidationException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import Redirect

from sandbox_ehr.cds_hooks.client import CdsHooksClient
from sandbox_ehr.cds_hooks.orders import InvalidOrder, PendingOrder, PendingOrders, draft_order, signed
from sandbox_ehr.fhir.server import FhirServer
from sandbox_ehr.pages.forms import Forms
from sandbox_ehr.pages.render import html
from sandbox_ehr.pages.views import Person
from sandbox_ehr.pages.ward import Ward

__all__ = ["cds_routes"]

Acting = Callable[[Request[Any, Any, Any], str | None], Awaitable[Person | None]]


def cds_routes(
    ward: Ward, fhir: FhirServer, client: CdsHooksClient, forms: Forms, acting: Acting
) -> list[HTTPRouteHandler]:
    """Return the handlers; ``forms`` and ``acting`` are those of the other pages."""
    pending = PendingOrders()

    @get("/cds/jwks", sync_to_thread=False)
    def jwks() -> Response[dict[str, Any]]:
        """The public key of our calls to CDS services."""
        return Response(client.jwks(), headers={"Cache-Control": "max-age=300"}, media_type="application/json")

    async def store(draft: dict[str, Any]) -> None:
        fhir.load([signed(draft)])

    @post("/stays/{encounter:str}/orders", status_code=200)
    async def order(request: Request[Any, Any, Any], encounter: FromPath[str]) -> Response[Any]:
        """Sign an order: it is stored when nothing was found, else its cards are shown."""
        form = await forms.read(request)
        shown, user = await ward.stay(encounter), await acting(request, encounter)
        if shown is None or user is None:
            raise NotFoundException
        patient = shown.stay.patient.id
        try:
            draft = draft_order(form, patient=patient, encounter=encounter, user=user.id)
        except InvalidOrder as error:
            raise ValidationException from error
        answer = await client.order_sign([draft], user=user.id, patient=patient, encounter=encounter)
        if not answer.cards and not answer.failure:
            await store(draft)
            return Redirect(f"/stays/{encounter}?notice=ordered", status_code=303)
        token = forms.token(request)
        page = html(
            "order.html",
            csrf=token,
            stay=shown.stay,
            acting=user,
            draft=draft,
            cards=answer.cards,
            failure=answer.failure,
            name=pending.keep(PendingOrder(encounter, draft, answer.cards)),
        )
        page.set_cookie(forms.cookie(token))
        return page

    @post("/stays/{encounter:str}/orders/decision", status_code=303)
    async def decide(request: Request[Any, Any, Any], encounter: FromPath[str]) -> Redirect:
        """Do what the prescriber chose: a suggestion of a card, signing all the same, or no order."""
        form = await forms.read(request)
        held = pending.take(form.get("order", ""))
        if held is None or held.encounter != encounter:
            raise NotFoundException
        choice = form.get("choice", "")
        if choice == "sign":
            await store(held.draft)
            for card in held.cards:
                await _overridden(client, card, form.get(f"reason-{card.get('uuid')}", ""))
            return Redirect(f"/stays/{encounter}?notice=ordered", status_code=303)
        for card in held.cards:
            for suggestion in card.get("suggestions", []):
                if choice == f"suggestion:{suggestion.get('uuid')}":
                    changed = [a["resource"] for a in suggestion["actions"] if a["type"] in ("create", "update")]
                    for resource in changed:
                        await store(resource)
                    taken = [{"id": suggestion["uuid"]}]
                    item = {"card": card["uuid"], "outcome": "accepted", "acceptedSuggestions": taken}
                    await client.feedback(card["service"], item)
                    notice = "ordered" if changed else "not-ordered"
                    return Redirect(f"/stays/{encounter}?notice={notice}", status_code=303)
        return Redirect(f"/stays/{encounter}?notice=not-ordered", status_code=303)

    return [jwks, order, decide]


async def _overridden(client: CdsHooksClient, card: dict[str, Any], code: str) -> None:
    if "uuid" not in card:
        return
    item: dict[str, Any] = {"card": card["uuid"], "outcome": "overridden"}
    reason = next((one for one in card.get("overrideReasons", []) if one["code"] == code), None)
    if reason is not None:
        item["overrideReason"] = {"reason": reason}
    await client.feedback(card["service"], item)
