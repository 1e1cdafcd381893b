"""What the running facade returns on its FHIR endpoint, refusals and jobs among it, and what CDS cards suggest.

Every way to search is tried in ``server_answers``; here it is what really comes out at the end of a stay.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
from facade.fhir.served import SERVED

from tests.interop.hospital import Addresses

__all__ = ["Asked", "asked", "suggested"]

Resource = dict[str, Any]

_JSON = "application/fhir+json"


@dataclass(frozen=True)
class Asked:
    """One answer: what was asked, and the status and resource that came."""

    name: str
    status: int
    resource: Resource


async def asked(addresses: Addresses, token: str, narrow: str) -> list[Asked]:
    """Ask for everything; ``narrow`` is a token that reads Composition and nothing else."""
    base = addresses.own_base("oauth")
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=30) as http:
        found = [await _ask(http, base, path) for path in _searches()]
        resources = {entry["resource"]["resourceType"]: entry["resource"] for one in found for entry in _entries(one)}
        for name, resource in resources.items():
            here = f"{name}/{resource['id']}"
            found += [await _ask(http, base, path) for path in (here, f"{here}/_history/1", f"{here}/_history")]
        found += [await _ask(http, base, path) for path in ("metadata", "Composition/missing", "Nothing", "Patient/1")]
        found += [await _ask(http, base, path) for path in ("Composition?_unknown=1", "Composition?date=never", "")]
        found += [await _ask(http, base, f"OperationDefinition/{name}") for name in ("ask", "check", "nothing")]
        for method, path, more in _others(resources):
            found.append(await _ask(http, base, path, method=method, **more))
        found += await _asynchronous(http, base)
        nobody: dict[str, Any] = {"headers": {"Authorization": "Bearer none"}}
        found.append(await _ask(http, base, "Composition", **nobody))
        found.append(await _ask(http, base, "Provenance", headers={"Authorization": f"Bearer {narrow}"}))
    return found


def suggested(answer: Resource) -> Iterator[Resource]:
    """Yield the resources of every suggestion of a CDS answer, and of its system actions."""
    actions = [
        action
        for card in answer["cards"]
        for suggestion in card.get("suggestions", [])
        for action in suggestion["actions"]
    ]
    for action in [*actions, *answer.get("systemActions", [])]:
        if "resource" in action:
            yield action["resource"]


def _searches() -> Iterator[str]:
    for name in SERVED:
        yield f"{name}?_count=50"
        yield f"{name}/_history?_count=5"
    yield "Composition?_include=Composition:entry&_revinclude=Provenance:target"


def _entries(one: Asked) -> list[Resource]:
    return [entry for entry in one.resource.get("entry", []) if entry["resource"].get("resourceType") in SERVED]


def _others(resources: dict[str, Resource]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield requests that are no plain reads, and such that are refused."""
    composition = resources["Composition"]
    urls = (f"Composition/{composition['id']}", "Composition/missing", "Provenance?_count=1", "Device/_history")
    entry = [{"request": {"method": "GET", "url": url}} for url in urls]
    yield "POST", "", {"json": {"resourceType": "Bundle", "type": "batch", "entry": entry}}
    yield "POST", "", {"json": {"resourceType": "Bundle", "type": "transaction", "entry": entry}}
    yield "POST", "", {"content": b"{"}
    yield "POST", "Composition/_search", {"data": {"status": "preliminary"}}
    yield "POST", "Composition/_search", {"json": {}}
    yield "POST", "Composition", {"json": composition}
    yield "PUT", f"Composition/{composition['id']}", {"json": composition}
    yield "DELETE", f"Composition/{composition['id']}", {}
    yield "GET", "Composition", {"headers": {"Accept": "application/fhir+xml"}}
    yield "GET", "Composition?_unknown=1", {"headers": {"Prefer": "handling=strict"}}
    for name in ("code", "triage", "nothing"):
        yield "POST", f"${name}", {"json": {"resourceType": "Parameters"}}
    yield "GET", "$ask", {}
    yield "POST", "$ask", {"json": {"resourceType": "Parameters"}}
    yield "POST", "$ask", {"json": _question("How is type 2 diabetes treated first?")}
    yield "POST", "$ask", {"json": _question("What is the capital of nowhere?")}
    yield "POST", "$check", {"json": _about(composition)}
    yield "POST", "$draft", {"json": {"resourceType": "Parameters", "parameter": _about(composition)["parameter"][:1]}}


def _question(words: str) -> Resource:
    return {"resourceType": "Parameters", "parameter": [{"name": "question", "valueString": words}]}


def _about(composition: Resource) -> Resource:
    encounter = {"name": "encounter", "valueReference": {"reference": composition["encounter"]["reference"]}}
    return {"resourceType": "Parameters", "parameter": [encounter, {"name": "composition", "resource": composition}]}


async def _asynchronous(http: httpx.AsyncClient, base: str) -> list[Asked]:
    """Begin a job and wait for its result."""
    wanted = {"json": _question("How is type 2 diabetes treated first?"), "headers": {"Prefer": "respond-async"}}
    begun = await http.post(f"{base}/$ask", **wanted)
    assert begun.status_code == 202, begun.text
    for _ in range(200):
        polled = await http.get(begun.headers["content-location"])
        if polled.status_code != 202:
            break
        await asyncio.sleep(0.1)
    return [Asked("$ask begun", 202, begun.json()), Asked("$ask done", polled.status_code, polled.json())]


async def _ask(http: httpx.AsyncClient, base: str, path: str, *, method: str = "GET", **more: Any) -> Asked:
    if "json" in more or "content" in more:
        more["headers"] = {"Content-Type": _JSON, **more.get("headers", {})}
    if path.endswith("_search") and "json" in more:
        more["headers"] = {"Content-Type": "text/plain"}
    answer = await http.request(method, f"{base}/{path}" if path else base, **more)
    assert answer.status_code < 500 or path in ("$code", "$triage"), (method, path, answer.text)
    assert answer.headers["content-type"].startswith(_JSON), (method, path, answer.headers)
    return Asked(f"{method} {path}", answer.status_code, answer.json())
