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

from facade.fhir.served import SERVED

__all__ = ["describing", "description"]

_KEEP_S = 300
_FHIR = "application/fhir+json"
_TEXT = {"type": "string", "maxLength": 200}
_RESOURCE = {"type": "object", "required": ["resourceType"], "properties": {"resourceType": _TEXT}}
_REFERENCE = {"type": "object", "properties": {"reference": _TEXT}}
_VALUES = {
    "valueString": _TEXT,
    "valueCode": _TEXT,
    "valueUri": _TEXT,
    "valueCanonical": _TEXT,
    "valueBoolean": {"type": "boolean"},
    "valueReference": _REFERENCE,
    "resource": _RESOURCE,
}
_NAMED = {"type": "object", "required": ["name"], "properties": {"name": _TEXT, **_VALUES}}
_PART = {"type": "array", "items": _NAMED}
_PARAMETERS = {
    "type": "object",
    "required": ["resourceType"],
    "properties": {
        "resourceType": {"const": "Parameters"},
        "parameter": {
            "type": "array",
            "items": {"type": "object", "required": ["name"], "properties": {**_NAMED["properties"], "part": _PART}},  # type: ignore[dict-item]
        },
    },
}
_ENTRY = {
    "type": "object",
    "properties": {
        "fullUrl": _TEXT,
        "resource": {"anyOf": [_PARAMETERS, _RESOURCE]},
        "request": {"type": "object", "properties": {"method": {"enum": ["GET", "POST"]}, "url": _TEXT}},
    },
}
_BUNDLE = {
    "type": "object",
    "required": ["resourceType", "type"],
    "properties": {
        "resourceType": {"const": "Bundle"},
        "type": {"enum": ["history", "batch", "transaction", "collection"]},
        "entry": {"type": "array", "items": _ENTRY},
    },
}
_HOOKS = ["patient-view", "order-select", "order-sign", "encounter-discharge"]
_CDS_REQUEST = {
    "type": "object",
    "required": ["hook", "hookInstance", "context"],
    "properties": {
        "hook": {"enum": _HOOKS},
        "hookInstance": {"type": "string", "format": "uuid"},
        "fhirServer": _TEXT,
        "fhirAuthorization": {"type": "object", "properties": {"access_token": _TEXT, "scope": _TEXT}},
        "context": {
            "type": "object",
            "properties": {
                **dict.fromkeys(("userId", "patientId", "encounterId"), _TEXT),
                "selections": {"type": "array", "items": _TEXT},
                "draftOrders": _BUNDLE,
            },
        },
        "prefetch": {"type": "object", "additionalProperties": _RESOURCE},
    },
}
_FEEDBACK = {
    "type": "object",
    "required": ["feedback"],
    "properties": {
        "feedback": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["card", "outcome"],
                "properties": {
                    "card": {"type": "string", "format": "uuid"},
                    "outcome": {"enum": ["accepted", "overridden"]},
                    "outcomeTimestamp": {"type": "string", "format": "date-time"},
                    "acceptedSuggestions": {"type": "array", "items": {"type": "object", "properties": {"id": _TEXT}}},
                    "overrideReason": {"type": "object"},
                },
            },
        }
    },
}
_FORM = {"type": "object", "additionalProperties": _TEXT}
_OUTCOME = {
    "type": "object",
    "required": ["resourceType", "issue"],
    "properties": {"resourceType": {"const": "OperationOutcome"}, "issue": {"type": "array", "minItems": 1}},
}
_EHR_ID = {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,31}$"}
_ID = {"type": "string", "pattern": r"^[A-Za-z0-9\-.]{1,64}$"}
_PATH_PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "ehr_id": _EHR_ID,
    "resource_type": {"enum": sorted(SERVED)},
    "resource_id": _ID,
    "version_id": _ID,
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
            "/_search": ("application/x-www-form-urlencoded", _FORM),
            "$": (_FHIR, _PARAMETERS),
            "": (_FHIR, _BUNDLE),
        },
    ),
    "/cds-services": _Surface(
        "application/json",
        "client-jwt",
        {"/feedback": ("application/json", _FEEDBACK), "": ("application/json", _CDS_REQUEST)},
    ),
    "/subscriptions": _Surface(_FHIR, "notification-secret", {"": (_FHIR, _BUNDLE)}),
}
# Discovery, which everybody may read (SMART App Launch 2.2, FHIR R4 and CDS Hooks 2.0 all say so).
_OPEN = ("/.well-known/smart-configuration", "/metadata", "/cds-services")


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
    return next((it for start, it in _SURFACES.items() if path == start or path.startswith(f"{start}/")), None)


def _path(path: str, surface: _Surface, generated: Mapping[str, Any]) -> dict[str, Any]:
    return {
        method: _operation(path, method, surface, operation)
        for method, operation in generated.items()
        if isinstance(operation, dict)
    }


def _operation(path: str, method: str, surface: _Surface, generated: Mapping[str, Any]) -> dict[str, Any]:
    succeeded = [status for status in generated.get("responses", {}) if status.startswith(("2", "3"))]
    operation: dict[str, Any] = {
        "operationId": generated["operationId"],
        "summary": generated.get("summary", ""),
        "description": generated.get("description", ""),
        "parameters": [
            {**one, "schema": dict(_PATH_PARAMETERS.get(one["name"], one["schema"]))}
            for one in generated.get("parameters", [])
        ],
        "responses": {
            **{status: {"description": "It was done.", "content": {surface.answers: {}}} for status in succeeded},
            "default": {
                "description": "It was refused, or it failed; the outcome says which, and nothing of what was sent.",
                "content": {_FHIR: {"schema": _OUTCOME}},
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
