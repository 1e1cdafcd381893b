"""Identifiers that are UUIDv5 of what caused a resource, so that a replay names the same resource."""

import json
import uuid
from urllib.parse import quote

__all__ = ["EFFECT_TAG", "deterministic_id", "effect_tag", "identifier", "tag_query"]

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://preceptor.health/fhir")
_URI_SYSTEM = "urn:ietf:rfc:3986"

EFFECT_TAG = "https://preceptor.health/fhir/CodeSystem/effect"
"""System of the ``meta.tag`` that names what we write: not every type has an ``identifier``."""


def deterministic_id(*parts: str) -> str:
    """Return the UUIDv5 of ``parts``; their JSON form keeps ``("ab", "c")`` and ``("a", "bc")`` apart."""
    return str(uuid.uuid5(_NAMESPACE, json.dumps(parts, ensure_ascii=False)))


def identifier(unique_id: str) -> dict[str, str]:
    """Return the FHIR Identifier of a UUID."""
    return {"system": _URI_SYSTEM, "value": f"urn:uuid:{unique_id}"}


def effect_tag(unique_id: str) -> dict[str, str]:
    """Return the ``meta.tag`` of a UUID."""
    return {"system": EFFECT_TAG, "code": unique_id}


def tag_query(unique_id: str) -> str:
    """Return the search that finds the resource with that tag, as ``ifNoneExist`` wants it."""
    return f"_tag={quote(f'{EFFECT_TAG}|{unique_id}', safe='')}"
