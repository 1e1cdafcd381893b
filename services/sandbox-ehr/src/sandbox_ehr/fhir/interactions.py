"""Says what a FHIR request does: one interaction, or one for each entry of a batch or transaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox_ehr.fhir.compartment import PATIENT_COMPARTMENT, SHARED_TYPES
from sandbox_ehr.fhir.outcome import FhirRefusal

__all__ = ["SERVED_OPERATIONS", "Interaction", "interactions"]

# The embedded server has more, such as bulk export and messaging; what is not needed is not offered.
SERVED_OPERATIONS = frozenset({"$validate", "$everything", "$status"})
_KNOWN_TYPES = frozenset(
    {*PATIENT_COMPARTMENT, *SHARED_TYPES, "Patient", "Subscription", "Bundle", "Binary", "Questionnaire"}
)
_WRITES = {"POST": "c", "PUT": "u", "PATCH": "u", "DELETE": "d"}


@dataclass(frozen=True)
class Interaction:
    """One interaction: ``letter`` is c, r, u, d or s of SMART v2 scopes.

    ``resource_id`` is None where the request names no instance. ``body`` is the resource sent. ``by_criteria``
    marks updates and deletes whose target a search finds; ``is_patch`` a change that is not a whole resource.
    """

    resource_type: str
    letter: str
    resource_id: str | None = None
    body: Mapping[str, Any] | None = None
    by_criteria: bool = False
    is_patch: bool = False


def interactions(method: str, segments: list[str], body: Any) -> list[Interaction]:
    """Return what the request does; ``body`` is its JSON value. Raise ``FhirRefusal`` for what is not served."""
    if not segments:
        if method == "POST":
            return _of_bundle(body)
        raise FhirRefusal(400, "not-supported", "there is no interaction of this kind on the base")
    if segments[0] == "_history":
        return [Interaction("*", "s")]
    if segments[0].startswith("$"):
        raise FhirRefusal(404, "not-supported", "this operation is not served")
    resource_type = segments[0]
    if resource_type not in _KNOWN_TYPES:
        raise FhirRefusal(404, "not-supported", f"{resource_type} is not a resource type served here")
    return [_on_type(method, resource_type, segments[1:], body)]


def _on_type(method: str, resource_type: str, rest: list[str], body: Any) -> Interaction:
    resource = body if isinstance(body, dict) else None
    if any(part.startswith("$") for part in rest):
        if rest[-1] not in SERVED_OPERATIONS or len(rest) > 2:
            raise FhirRefusal(404, "not-supported", "this operation is not served")
        return Interaction(resource_type, "r", rest[0] if len(rest) == 2 else None)
    if not rest:
        if method in ("GET", "HEAD"):
            return Interaction(resource_type, "s")
        return Interaction(resource_type, _WRITES[method], None, resource, by_criteria=method != "POST")
    if rest[0] in ("_search", "_history"):
        return Interaction(resource_type, "s")
    if len(rest) == 1 and method in ("PUT", "PATCH", "DELETE"):
        return Interaction(resource_type, _WRITES[method], rest[0], resource, is_patch=method == "PATCH")
    if method not in ("GET", "HEAD"):
        raise FhirRefusal(405, "not-supported", "this method is not allowed here")
    if len(rest) == 2 and rest[1] in _KNOWN_TYPES:
        return Interaction(rest[1], "s")  # compartment search: Patient/{id}/Observation
    return Interaction(resource_type, "r", rest[0])


def _of_bundle(body: Any) -> list[Interaction]:
    """SMART: batch and transaction requests SHALL be validated by the requests within them."""
    if not isinstance(body, dict) or body.get("resourceType") != "Bundle":
        raise FhirRefusal(400, "invalid", "the base accepts a Bundle of type batch or transaction")
    if body.get("type") not in ("batch", "transaction"):
        raise FhirRefusal(400, "invalid", "the base accepts a Bundle of type batch or transaction")
    found: list[Interaction] = []
    for entry in body.get("entry", []):
        request = entry.get("request") or {} if isinstance(entry, dict) else {}
        method, url = request.get("method"), request.get("url")
        if method not in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE") or not isinstance(url, str):
            raise FhirRefusal(400, "required", "every entry needs request.method and request.url")
        if "://" in url or url.startswith("/"):
            raise FhirRefusal(400, "invalid", "request.url must be relative to the FHIR base")
        segments = [part for part in url.partition("?")[0].split("/") if part]
        if not segments:
            raise FhirRefusal(400, "invalid", "request.url must name a resource type")
        found += interactions(method, segments, entry.get("resource"))
    return found
