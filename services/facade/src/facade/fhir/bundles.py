"""The Bundles we answer with: searchset, history and batch-response, and resources with only a part of them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode

from fhir_support.r4 import summary_elements

from facade.fhir.search import Summary
from facade.store.resources import StoredResource

__all__ = ["etag", "history_bundle", "http_date", "search_bundle", "self_link", "shortened"]

_SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
_ALWAYS = ("resourceType", "id", "meta")


def etag(version: int) -> str:
    """Return the weak ETag of a version (R4, 3.1.0.5)."""
    return f'W/"{version}"'


def http_date(moment: datetime) -> str:
    """Return a moment as HTTP headers write it."""
    return format_datetime(moment.replace(microsecond=0), usegmt=True)


def self_link(base: str, place: str, pairs: Iterable[tuple[str, str]]) -> str:
    """Return the URL of a list with these parameters."""
    query = urlencode(list(pairs))
    return f"{base}/{place}" + (f"?{query}" if query else "")


def search_bundle(
    base: str,
    links: Mapping[str, str],
    matches: Sequence[StoredResource],
    included: Sequence[StoredResource],
    *,
    total: int | None,
    summary: Summary,
) -> dict[str, Any]:
    """Return a searchset."""
    entries = [
        {
            "fullUrl": f"{base}/{one.resource_type}/{one.id}",
            "resource": shortened(one.resource, summary),
            "search": {"mode": mode},
        }
        for mode, several in (("match", matches), ("include", included))
        for one in several
    ]
    return _bundle("searchset", links, entries, total)


def history_bundle(
    base: str, links: Mapping[str, str], versions: Sequence[StoredResource], *, total: int | None
) -> dict[str, Any]:
    """Return a history, the newest version first."""
    entries = [
        {
            "fullUrl": f"{base}/{one.resource_type}/{one.id}",
            "resource": one.resource,
            "request": {"method": "PUT", "url": f"{one.resource_type}/{one.id}"},
            "response": {
                "status": "201" if one.version == 1 else "200",
                "etag": etag(one.version),
                "lastModified": one.resource["meta"]["lastUpdated"],
            },
        }
        for one in versions
    ]
    return _bundle("history", links, entries, total)


def shortened(resource: dict[str, Any], summary: Summary) -> dict[str, Any]:
    """Return the part of a resource that was asked for, tagged SUBSETTED where something is missing."""
    kind = str(resource["resourceType"])
    if summary.elements:
        kept = {*_ALWAYS, *summary.elements, *_mandatory(kind)}
    elif summary.kind == "true":
        kept = {*_ALWAYS, *summary_elements(kind), *_mandatory(kind)}
    elif summary.kind == "text":
        kept = {*_ALWAYS, "text", *_mandatory(kind)}
    elif summary.kind == "data":
        kept = resource.keys() - {"text"}
    else:
        return resource
    part = {name: value for name, value in resource.items() if name in kept}
    meta = dict(part.get("meta") or {})
    return {**part, "meta": {**meta, "tag": [*meta.get("tag", []), _SUBSETTED]}}


def _mandatory(resource_type: str) -> tuple[str, ...]:
    return _MANDATORY[resource_type]


_MANDATORY: Mapping[str, tuple[str, ...]] = {
    "Composition": ("status", "type", "date", "author", "title"),
    "DocumentReference": ("status", "content"),
    "DetectedIssue": ("status",),
    "RiskAssessment": ("status", "subject"),
    "Provenance": ("target", "recorded", "agent"),
    "AuditEvent": ("type", "recorded", "agent", "source"),
    "Task": ("status", "intent"),
    "Device": (),
}
"""The elements without which a resource of the type is not valid R4."""


def _bundle(kind: str, links: Mapping[str, str], entries: list[dict[str, Any]], total: int | None) -> dict[str, Any]:
    return {
        "resourceType": "Bundle",
        "type": kind,
        **({"total": total} if total is not None else {}),
        "link": [{"relation": relation, "url": url} for relation, url in links.items()],
        **({"entry": entries} if entries else {}),
    }
