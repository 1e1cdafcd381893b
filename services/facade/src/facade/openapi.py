"""GET /openapi.json: the routes that other systems call, as OpenAPI 3.1.

Litestar writes the document from the routes themselves. What it cannot know is put in here: bodies are read as bytes,
so that nothing is parsed before the caller is known, and errors are OperationOutcomes. The pages of browsers are left
out, and so is every route that is not listed here. Integrators read CapabilityStatement and CDS discovery; this
document is for tools, and says no more than those do.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

from litestar import Litestar, Response, get
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.types import ControllerRouterHandler

from facade.cds_hooks.services import SERVICES
from facade.fhir.served import SERVED
from facade.openapi_schemas import BUNDLE, CDS_REQUEST, FEEDBACK, FORM, OUTCOME, PARAMETERS, RESOURCE, SEARCH, TEXT
from facade.operations.table import NOT_YET, OPERATIONS

__all__ = ["describing", "description"]

_KEEP_S = 300
_FHIR = "application/fhir+json"
_EHR_ID = {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,31}$"}
_ID = {"type": "string", "pattern": r"^[A-Za-z0-9\-.]{1,64}$"}
_PATH_PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "ehr_id": _EHR_ID,
    "resource_type": {"enum": sorted(SERVED)},
    "resource_id": _ID,
    "version": _ID,
    "job_id": _ID,
    "operation": {"enum": sorted(OPERATIONS)},
    "service_id": {"enum": sorted(SERVICES)},
}
_QUERIES: Mapping[str, Mapping[str, Any]] = {
    "/{resource_type}": SEARCH,
    "/_history": dict.fromkeys(("_at", "_count", "_since", "_sort"), TEXT),
}
_SCHEMES = {
    "access-token": "An access token of the EHR's authorization server, for the FHIR base of that EHR.",
    "client-jwt": "The CDS client's JWT for exactly the endpoint that is called (CDS Hooks 2.0).",
    "notification-secret": "What our Subscription told the EHR to send.",
}


@dataclass(frozen=True)
class _Surface:
    """Routes under one address: the media type they answer in, who may call them, and the bodies by path ending."""

    answers: str
    security: str | None = None
    bodies: Mapping[str, tuple[str, Mapping[str, Any]]] | None = None


_SURFACES: Mapping[str, _Surface] = {
    "/healthz": _Surface("application/json"),
    "/readyz": _Surface("application/json"),
    "/.well-known/jwks.json": _Surface("application/json"),
    "/fhir": _Surface(
        _FHIR,
        "access-token",
        {
            "/_search": ("application/x-www-form-urlencoded", FORM),
            "$": (_FHIR, PARAMETERS),
            "": (_FHIR, BUNDLE),
        },
    ),
    "/cds-services": _Surface(
        "application/json",
        "client-jwt",
        {"/feedback": ("application/json", FEEDBACK), "": ("application/json", CDS_REQUEST)},
    ),
    "/subscriptions": _Surface(
        _FHIR, "notification-secret", {"/{resource_id}": (_FHIR, RESOURCE), "": (_FHIR, BUNDLE)}
    ),
}
# Discovery, which everybody may read (SMART App Launch 2.2, FHIR R4 and CDS Hooks 2.0 all say so).
_OPEN = ("/.well-known/smart-configuration", "/metadata", "/cds-services", "/OperationDefinition/{operation}")
_METHODS = ("get", "post", "put", "delete")
"""HEAD is as GET, and OPTIONS is asked by browsers."""


def describing(
    route_handlers: Sequence[ControllerRouterHandler], dependencies: Mapping[str, Provide]
) -> list[ControllerRouterHandler]:
    """Return the route that describes ``route_handlers``, which take ``dependencies``."""

    @cache
    def document() -> bytes:
        return json.dumps(description(route_handlers, dependencies)).encode()

    @get("/openapi.json", include_in_schema=False, sync_to_thread=False, name="openapi")
    def openapi() -> Response[bytes]:
        """Answer the document, made when it is first asked for."""
        return Response(
            document(), media_type="application/json", headers={"Cache-Control": f"public, max-age={_KEEP_S}"}
        )

    return [openapi]


def description(
    route_handlers: Sequence[ControllerRouterHandler], dependencies: Mapping[str, Provide]
) -> dict[str, Any]:
    """Return the OpenAPI document of those ``route_handlers`` that other systems call."""
    described = Litestar(
        route_handlers=list(route_handlers),
        dependencies=dict(dependencies),
        openapi_config=OpenAPIConfig(title="Preceptor", version=version("facade"), use_handler_docstrings=True),
        logging_config=None,
    )
    generated = described.openapi_schema.to_schema()
    paths = {path: _path(path, surface, item) for path, item in generated["paths"].items() if (surface := _of(path))}
    schemes = {name: {"type": "http", "scheme": "bearer", "description": text} for name, text in _SCHEMES.items()}
    return {
        **{name: generated[name] for name in ("openapi", "info")},
        "paths": paths,
        "components": {"securitySchemes": schemes},
    }


def _of(path: str) -> _Surface | None:
    if path.rpartition("$")[2] in NOT_YET:
        return None  # nor does the CapabilityStatement name them
    return next((it for start, it in _SURFACES.items() if path == start or path.startswith(f"{start}/")), None)


def _path(path: str, surface: _Surface, generated: Mapping[str, Any]) -> dict[str, Any]:
    found = (
        (method, _operation(path, method, surface, generated[method])) for method in _METHODS if method in generated
    )
    return {method: operation for method, operation in found if operation is not None}


def _operation(path: str, method: str, surface: _Surface, generated: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what is said of one method, or None when all it does is to say that it does nothing (405)."""
    succeeded = [status for status in generated.get("responses", {}) if status.startswith(("2", "3"))]
    if not succeeded:
        return None
    queries = next((it for end, it in _QUERIES.items() if method == "get" and path.endswith(end)), {})
    operation: dict[str, Any] = {
        "operationId": generated["operationId"],
        "summary": generated.get("summary", ""),
        "description": generated.get("description", ""),
        "parameters": [
            {**one, "schema": dict(_PATH_PARAMETERS.get(one["name"], one["schema"]))}
            for one in generated.get("parameters", [])
        ]
        + [{"name": name, "in": "query", "schema": schema} for name, schema in queries.items()],
        "responses": {
            **{status: {"description": "It was done.", "content": {surface.answers: {}}} for status in succeeded},
            "default": {
                "description": "It was refused, or it failed; the outcome says which, and nothing of what was sent.",
                "content": {_FHIR: {"schema": OUTCOME}},
            },
        },
    }
    is_open = surface.security is None or (method == "get" and path.endswith(_OPEN))
    operation["security"] = [] if is_open else [{surface.security: []}]
    if method in ("post", "put") and surface.bodies:
        media_type, schema = next(body for ending, body in surface.bodies.items() if _ends(path, ending))
        operation["requestBody"] = {"required": True, "content": {media_type: {"schema": schema}}}
    return operation


def _ends(path: str, ending: str) -> bool:
    return ending in path.rpartition("/")[2] if ending == "$" else path.endswith(ending)
