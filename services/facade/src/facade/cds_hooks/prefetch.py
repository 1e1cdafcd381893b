"""Prefetched data: taken where it is whole, and completed from the registered EHR where it is not.

What comes from elsewhere is used as if it had been read: so whose it is, and whether it is all of it, is looked at.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from fhir_support.client import FhirClient, FhirClientError
from service_runtime.deadline import Deadline

__all__ = ["Found", "complete", "filled", "given"]

Resource = dict[str, Any]

_TOKEN = "{{context.patientId}}"  # noqa: S105  a prefetch token, not a secret


@dataclass(frozen=True)
class Found:
    """The resources by prefetch key, and the keys for which nothing could be had."""

    resources: Mapping[str, tuple[Resource, ...]]
    unavailable: frozenset[str]


def filled(template: str, patient_id: str) -> str:
    """Return the template with the patient's id in it."""
    return template.replace(_TOKEN, patient_id)


def given(value: object, template: str, patient_id: str) -> tuple[Resource, ...] | None:
    """Return the resources of one prefetch value, or None when it is not the whole answer to ``template``.

    It is not when it is missing, an OperationOutcome, holds one, names a further page, holds fewer than its total, or
    holds anything of another patient. A page is whole where the template itself asks for no more than a page.
    """
    if not isinstance(value, dict):
        return None
    path, _, query = filled(template, patient_id).partition("?")
    if not query:
        resource_type, _, wanted_id = path.partition("/")
        right = value.get("resourceType") == resource_type and value.get("id") == wanted_id
        return (value,) if right else None
    if value.get("resourceType") != "Bundle" or value.get("type") != "searchset":
        return None
    entries = value.get("entry", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return None
    resources = [entry.get("resource") for entry in entries]
    if any(not isinstance(one, dict) or one.get("resourceType") == "OperationOutcome" for one in resources):
        return None
    matches = [one for one in resources if isinstance(one, dict) and one.get("resourceType") == path]
    if not all(_about(one, patient_id) for one in matches):
        return None
    if "_count" not in dict(parse_qsl(query)) and _goes_on(value, len(matches)):
        return None
    return tuple(one for one in resources if isinstance(one, dict))


def _goes_on(bundle: Mapping[str, Any], matches: int) -> bool:
    links, total = bundle.get("link", []), bundle.get("total", 0)
    if not isinstance(links, list) or not isinstance(total, int):
        return True
    return total > matches or any(isinstance(link, dict) and link.get("relation") == "next" for link in links)


def _about(resource: Mapping[str, Any], patient_id: str) -> bool:
    """Whether a resource is the patient's: its reference ends in the patient's, relative or absolute."""
    subject = resource.get("subject") or resource.get("patient") or resource.get("beneficiary") or {}
    reference = subject.get("reference") if isinstance(subject, dict) else None
    return isinstance(reference, str) and f"/{reference}".endswith(f"/Patient/{patient_id}")


async def complete(
    prefetch: Mapping[str, Any],
    templates: Mapping[str, str],
    patient_id: str,
    client: FhirClient | None,
    deadline: Deadline,
) -> Found:
    """Return what was sent, and read the rest with ``client`` until ``deadline``; never raises for what is not had.

    A value of null says that there is no data (CDS Hooks 2.0, "Providing FHIR Resources to a CDS Service"). Where we
    may read ourselves we look; where we may not it is believed.
    """
    have: dict[str, tuple[Resource, ...]] = {}
    for key, template in templates.items():
        whole = given(prefetch.get(key), template, patient_id)
        if whole is not None:
            have[key] = whole
        elif client is None and key in prefetch and prefetch[key] is None and "?" in template:
            have[key] = ()
    missing = [key for key in templates if key not in have]
    if client is not None and missing:
        tasks = {
            key: asyncio.create_task(_read(client, filled(templates[key], patient_id), patient_id)) for key in missing
        }
        await asyncio.wait(tasks.values(), timeout=deadline.remaining_s)
        for task in tasks.values():
            if not task.done():
                task.cancel()
        results = await asyncio.gather(*tasks.values(), return_exceptions=True)
        for key, result in zip(tasks, results, strict=True):
            if isinstance(result, tuple):
                have[key] = result
    return Found(have, frozenset(key for key in templates if key not in have))


async def _read(client: FhirClient, path: str, patient_id: str) -> tuple[Resource, ...] | None:
    resource_type, _, query = path.partition("?")
    try:
        if not query:
            return (await client.read(path),)
        found = await client.search(resource_type, parse_qsl(query))
    except FhirClientError:
        return None
    if not all(_about(one, patient_id) for one in found if one.get("resourceType") == resource_type):
        return None
    return tuple(found)
