"""GET /dsi/triage/source-attributes: the 31 source attributes of exactly the model that is served now.

They are about the model and nobody's patient, so they need no token: a clinician must be able to look them up. They
come from the triage service, which writes them from the manifest of the weights it has loaded.
"""

import json
from typing import Any

from fhir_support.errors import NotFound
from litestar import MediaType, Request, Response, get
from litestar.handlers import HTTPRouteHandler

from facade.container import ContainerOf

__all__ = ["route_handlers"]

_KEEP = {"Cache-Control": "public, max-age=300"}


@get("/dsi/triage/source-attributes", name="triage-source-attributes")
async def source_attributes(request: Request[Any, Any, Any], container: ContainerOf) -> Response[bytes]:
    """Return the attributes as JSON, or the whole model card as Markdown where that is asked for."""
    if container.triage is None:
        raise NotFound("There is no triage here.")
    found = await container.triage.source_attributes()
    if "text/markdown" in request.headers.get("accept", ""):
        return Response(found.card.encode(), media_type="text/markdown; charset=utf-8", headers=_KEEP)
    body = json.dumps(found.model_dump(mode="json", exclude={"card"}), ensure_ascii=False).encode()
    return Response(body, media_type=MediaType.JSON, headers=_KEEP)


route_handlers: list[HTTPRouteHandler] = [source_attributes]
