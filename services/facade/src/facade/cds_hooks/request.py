"""What an EHR sends to a CDS service, read without believing it: unknown fields are let be, needed ones must be right.

CDS Hooks lets clients add extensions and later fields anywhere, so that this is the one edge of ours where an unknown
field is not refused.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_support.errors import BadRequest

__all__ = ["FhirAccess", "HookRequest", "read_hook_request", "read_object"]

_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_MAX_INSTANCE_CHARACTERS = 128


@dataclass(frozen=True)
class FhirAccess:
    """The access token that came with the request; ``patient`` is whom it is restricted to, where it is."""

    token: str = field(repr=False)
    patient: str | None = None


@dataclass(frozen=True)
class HookRequest:
    """A call of a service. ``context`` and ``prefetch`` are as sent; ids are FHIR ids without a type."""

    hook: str
    instance: str
    user: str
    patient_id: str
    encounter_id: str | None
    context: Mapping[str, Any]
    prefetch: Mapping[str, Any]
    unverified_fhir_server: str | None = None
    access: FhirAccess | None = None


def read_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a body; raise ``BadRequest``."""
    try:
        value = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise BadRequest("The body is not JSON.") from None
    if not isinstance(value, dict):
        raise BadRequest("The body is not a JSON object.")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def read_hook_request(body: bytes, hook: str) -> HookRequest:
    """Return the request for ``hook``; raise ``BadRequest`` that names what is missing, never what was sent."""
    sent = read_object(body)
    if sent.get("hook") != hook:
        raise BadRequest(f"This service is for the hook {hook}.")
    context = sent.get("context")
    if not isinstance(context, dict):
        raise BadRequest("context is missing.")
    prefetch = sent.get("prefetch")
    if prefetch is not None and not isinstance(prefetch, dict):
        raise BadRequest("prefetch is not an object.")
    return HookRequest(
        hook=hook,
        instance=_text(sent, "hookInstance", limit=_MAX_INSTANCE_CHARACTERS),
        user=_text(context, "userId", place="context.", limit=_MAX_INSTANCE_CHARACTERS),
        patient_id=_fhir_id(context, "patientId"),
        encounter_id=_fhir_id(context, "encounterId") if context.get("encounterId") is not None else None,
        context=context,
        prefetch=prefetch or {},
        unverified_fhir_server=_server(sent),
        access=_access(sent.get("fhirAuthorization")),
    )


def _text(of: Mapping[str, Any], name: str, *, place: str = "", limit: int) -> str:
    value = of.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > limit:
        raise BadRequest(f"{place}{name} is missing.")
    return value


def _fhir_id(context: Mapping[str, Any], name: str) -> str:
    value = context.get(name)
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise BadRequest(f"context.{name} is missing or not a FHIR id.")
    return value


def _server(sent: Mapping[str, Any]) -> str | None:
    value = sent.get("fhirServer")
    return value if isinstance(value, str) and value else None


def _access(authorization: object) -> FhirAccess | None:
    """Return the token of ``fhirAuthorization``; None when there is none that can be used."""
    if not isinstance(authorization, dict):
        return None
    token, patient = authorization.get("access_token"), authorization.get("patient")
    if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]{1,8192}", token):
        return None
    if authorization.get("token_type") != "Bearer":
        return None
    return FhirAccess(token, patient if isinstance(patient, str) else None)
