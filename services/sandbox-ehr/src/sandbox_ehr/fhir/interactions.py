"""Says what a FHIR request does: one interaction, or one for each entry of a batch or transaction.

The embedded server is lenient about methods and addresses. What is let through is therefore listed here, shape by
shape, and everything else refused: a request must never mean one thing to this module and another to the server.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from sandbox_ehr.fhir.compartment import PATIENT_COMPARTMENT, SHARED_TYPES
from sandbox_ehr.fhir.outcome import FhirRefusal
from sandbox_ehr.patients.references import references

__all__ = ["SERVED_OPERATIONS", "Interaction", "interactions", "is_id"]

# The embedded server has more, such as bulk export and messaging; what is not needed is not offered.
SERVED_OPERATIONS = frozenset({"$validate", "$everything", "$status"})
_KNOWN_TYPES = frozenset(
    {*PATIENT_COMPARTMENT, *SHARED_TYPES, "Patient", "Subscription", "Bundle", "Binary", "Questionnaire"}
)
_WRITES = {"POST": "c", "PUT": "u", "PATCH": "u", "DELETE": "d"}
_READS = ("GET", "HEAD")
_ID = re.compile(r"(?!\.+$)[A-Za-z0-9.-]{1,64}")


@dataclass(frozen=True)
class Interaction:
    """One interaction: ``letter`` is c, r, u, d or s of SMART v2 scopes.

    ``resource_id`` is None where the request names no instance. ``body`` is the resource sent. ``by_criteria``
    marks writes that depend on what a search finds; ``is_patch`` a change that is not a whole resource;
    ``in_bundle`` an entry of a batch or transaction. ``query`` are the search parameters.
    """

    resource_type: str
    letter: str
    resource_id: str | None = None
    body: Mapping[str, Any] | None = None
    by_criteria: bool = False
    is_patch: bool = False
    in_bundle: bool = False
    query: tuple[tuple[str, str], ...] = ()


def interactions(
    method: str, segments: list[str], query: list[tuple[str, str]], body: Any, *, if_none_exist: bool = False
) -> list[Interaction]:
    """Return what the request does; ``body`` is its JSON value. Raise ``FhirRefusal`` for what is not served."""
    if not segments:
        if method == "POST":
            return list(_of_bundle(body))
        raise FhirRefusal(400, "not-supported", "there is no interaction of this kind on the base")
    if segments == ["_history"] and method in _READS:
        return [Interaction("*", "s")]
    return [_one(method, segments, query, body, if_none_exist=if_none_exist, in_bundle=False)]


def _one(
    method: str,
    segments: list[str],
    query: list[tuple[str, str]],
    body: Any,
    *,
    if_none_exist: bool,
    in_bundle: bool,
) -> Interaction:
    resource_type, rest = segments[0], segments[1:]
    if resource_type.startswith("$"):
        raise FhirRefusal(404, "not-supported", "this operation is not served")
    if resource_type not in _KNOWN_TYPES:
        raise FhirRefusal(404, "not-supported", "this is not a resource type served here")
    resource = body if isinstance(body, dict) else None
    reading = method in _READS

    def made(letter: str, kind: str = resource_type, of: str | None = None, **more: Any) -> Interaction:
        return Interaction(kind, letter, of, in_bundle=in_bundle, **more)

    match rest:
        case [] if reading:
            return made("s", query=tuple(query))
        case []:
            return made(_WRITES[method], body=resource, by_criteria=method != "POST" or if_none_exist)
        case ["_history"] if reading:
            return made("s")
        case [operation] | [_, operation] if operation.startswith("$"):
            if operation not in SERVED_OPERATIONS or not (reading or method == "POST"):
                raise FhirRefusal(404, "not-supported", "this operation is not served")
            return made("r", of=_id(rest[0]) if len(rest) == 2 else None)
        case [name] if reading:
            return made("r", of=_id(name))
        case [name] if method != "POST":
            return made(_WRITES[method], of=_id(name), body=resource, is_patch=method == "PATCH")
        case [name, "_history"] | [name, "_history", _] if reading:
            _id(rest[-1] if len(rest) == 3 else name)
            return made("r", of=_id(name))
        case [name, kind] if reading and kind in _KNOWN_TYPES and not in_bundle:
            _id(name)
            return made("s", kind=kind, query=tuple(query))  # compartment search: Patient/{id}/Observation
    raise FhirRefusal(405, "not-supported", "this method is not allowed here")


def is_id(text: str) -> bool:
    """Whether ``text`` has the form of a FHIR id; one of only dots is left out, since addresses resolve it."""
    return _ID.fullmatch(text) is not None


def _id(segment: str) -> str:
    if not is_id(segment):
        raise FhirRefusal(400, "value", "this is not an id")
    return segment


def _of_bundle(body: Any) -> Iterator[Interaction]:
    """SMART: batch and transaction requests SHALL be validated by the requests within them."""
    if not isinstance(body, dict) or body.get("resourceType") != "Bundle":
        raise FhirRefusal(400, "invalid", "the base accepts a Bundle of type batch or transaction")
    entries = body.get("entry", [])
    if body.get("type") not in ("batch", "transaction") or not isinstance(entries, list):
        raise FhirRefusal(400, "invalid", "the base accepts a Bundle of type batch or transaction")
    for entry in entries:
        request = entry.get("request") if isinstance(entry, dict) else None
        method, url = (request.get("method"), request.get("url")) if isinstance(request, dict) else (None, None)
        if method not in (*_READS, *_WRITES) or not isinstance(url, str) or not isinstance(request, dict):
            raise FhirRefusal(400, "required", "every entry needs request.method and request.url")
        path, _, query = url.partition("?")
        segments = path.split("/")
        if "#" in query or not all(re.fullmatch(r"[A-Za-z0-9_$.-]+", segment) for segment in segments):
            raise FhirRefusal(400, "invalid", "request.url must be a plain address relative to the FHIR base")
        if any("?" in reference.partition("://")[0] for reference in references(entry.get("resource"))):
            raise FhirRefusal(400, "not-supported", "conditional references are not served")
        yield _one(
            method,
            segments,
            parse_qsl(query, keep_blank_values=True),
            entry.get("resource"),
            if_none_exist="ifNoneExist" in request,
            in_bundle=True,
        )
