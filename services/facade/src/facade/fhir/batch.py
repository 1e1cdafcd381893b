"""POST /fhir: a batch of reads, each under the same scopes as if it had come alone (SMART App Launch 2.2)."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from fhir_support.errors import BadRequest, FhirError, MethodNotAllowed, NotFound, NotSupported

from facade.fhir.interactions import Answer

__all__ = ["MAX_ENTRIES", "Get", "run_batch"]

MAX_ENTRIES = 50
_SEGMENT = re.compile(r"[A-Za-z0-9._$-]{1,64}", re.ASCII)

Get = Callable[[tuple[str, ...], list[tuple[str, str]], Mapping[str, str]], Awaitable[Answer]]
"""Serves one GET: path segments, parameters and the headers If-None-Match and If-Modified-Since."""


async def run_batch(body: bytes, get: Get) -> dict[str, Any]:
    """Return the batch-response; an entry that fails does not disturb the others. Raises ``BadRequest`` for a body
    that is no batch, and ``NotSupported`` for a transaction: nothing is written here."""
    try:
        bundle = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequest("The body is not JSON.") from None
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise BadRequest("The body is not a Bundle.")
    if bundle.get("type") != "batch":
        raise NotSupported("Only batch Bundles are served here.")
    entries = bundle.get("entry", [])
    if not isinstance(entries, list) or len(entries) > MAX_ENTRIES:
        raise BadRequest(f"A batch has at most {MAX_ENTRIES} entries.")
    answers = [await _entry(entry, get) for entry in entries]
    return {"resourceType": "Bundle", "type": "batch-response", **({"entry": answers} if answers else {})}


async def _entry(entry: Any, get: Get) -> dict[str, Any]:
    try:
        path, pairs, headers = _request(entry)
        answer = await get(path, pairs, headers)
    except FhirError as error:
        return {"response": {"status": _status(error.status), "outcome": error.outcome()}}
    response = {"status": _status(answer.status)}
    if "ETag" in answer.headers:
        response["etag"] = answer.headers["ETag"]
    if answer.body is None:
        return {"response": response}
    updated = answer.body.get("meta", {}).get("lastUpdated")
    return {"resource": answer.body, "response": response | ({"lastModified": updated} if updated else {})}


def _request(entry: Any) -> tuple[tuple[str, ...], list[tuple[str, str]], dict[str, str]]:
    request = entry.get("request") if isinstance(entry, dict) else None
    if not isinstance(request, dict) or not isinstance(request.get("url"), str):
        raise BadRequest("An entry has no request.")
    if request.get("method") != "GET":
        raise MethodNotAllowed("A batch here holds GET requests only.")
    path, _, query = request["url"].partition("?")
    segments = tuple(path.split("/"))
    if not all(_SEGMENT.fullmatch(one) for one in segments):
        raise NotFound("The url of an entry is not one below this base.")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise BadRequest("The parameters of an entry cannot be read.") from None
    names = {"ifNoneMatch": "If-None-Match", "ifModifiedSince": "If-Modified-Since"}
    headers = {header: request[name] for name, header in names.items() if isinstance(request.get(name), str)}
    return segments, pairs, headers


def _status(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
