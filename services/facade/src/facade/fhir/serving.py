"""One request to ``/fhir`` on its way to the interactions: who calls, what is asked, and the answer as HTTP."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from fhir_support.errors import BadRequest, Forbidden, NotFound
from fhir_support.r4 import dump
from litestar import Request, Response

from facade.container import Container
from facade.fhir.access import authorize
from facade.fhir.audit import Auditor, Call
from facade.fhir.interactions import Answer, Interactions
from facade.fhir.negotiation import FHIR_JSON, is_strict, require_json, without_form
from facade.fhir.pages import Pages
from facade.fhir.tenants import request_base

__all__ = [
    "answered",
    "call_of",
    "dispatch",
    "interactions_of",
    "media_type",
    "pairs_of",
    "query_pairs",
    "recorded",
    "response",
    "with_refusals",
]

_Request = Request[Any, Any, Any]
_Pairs = list[tuple[str, str]]


async def call_of(request: _Request, container: Container, ehr_id: str, request_id: str) -> Call:
    """Authorize the request, before anything else of it is looked at; raise what ``authorize`` does."""
    access = await authorize(container, ehr_id, request.headers.get("authorization"))
    base = request_base(request, container.settings.public_base_url)
    return Call(access, base, request_id, request.client.host if request.client else None)


def query_pairs(request: _Request) -> _Pairs:
    """Return the parameters of the address; raise ``BadRequest`` when they are not UTF-8."""
    return pairs_of(request.scope["query_string"])


def pairs_of(raw: bytes) -> _Pairs:
    """Return the parameters of a query or a form; raise ``BadRequest`` when they are not UTF-8 or too many."""
    try:
        return parse_qsl(
            raw.decode("utf-8"), keep_blank_values=True, errors="strict", encoding="utf-8", max_num_fields=100
        )
    except ValueError:
        raise BadRequest("The parameters cannot be read.") from None


async def answered(
    request: _Request, container: Container, ehr_id: str, request_id: str, path: tuple[str, ...]
) -> Response[bytes]:
    """Serve one GET or HEAD below the base: ``path`` are its segments."""
    call = await call_of(request, container, ehr_id, request_id)
    pairs = query_pairs(request)
    require_json(request.headers.get("accept"), pairs)
    strict = is_strict(request.headers.get("prefer"))
    headers = {
        name: request.headers[name] for name in ("If-None-Match", "If-Modified-Since") if name in request.headers
    }
    return await recorded(
        container, call, path, lambda one: dispatch(one, call, path, without_form(pairs), headers, strict=strict)
    )


async def dispatch(
    interactions: Interactions,
    call: Call,
    path: tuple[str, ...],
    pairs: _Pairs,
    headers: Mapping[str, str],
    *,
    strict: bool,
) -> Answer:
    """Serve one GET below the base; the same whether it came alone or in a batch."""
    match path:
        case (resource_type,):
            return await interactions.search(call, resource_type, pairs, strict=strict)
        case (resource_type, "_history"):
            return await interactions.history(call, resource_type, None, pairs, strict=strict)
        case (resource_type, resource_id, "_history"):
            return await interactions.history(call, resource_type, resource_id, pairs, strict=strict)
        case (resource_type, resource_id) | (resource_type, resource_id, "_history", _):
            return await interactions.read(
                call,
                resource_type,
                resource_id,
                version=path[3] if len(path) > 2 else None,
                pairs=pairs,
                strict=strict,
                if_none_match=headers.get("If-None-Match"),
                if_modified_since=headers.get("If-Modified-Since"),
            )
    raise NotFound


async def recorded(
    container: Container, call: Call, path: tuple[str, ...], serve: Callable[[Interactions], Awaitable[Answer]]
) -> Response[bytes]:
    """Return what ``serve`` answers; a refusal is recorded."""
    return response(await with_refusals(container, call, path, serve(interactions_of(container))))


async def with_refusals(container: Container, call: Call, path: tuple[str, ...], answer: Awaitable[Answer]) -> Answer:
    """Return the answer; that a known client was refused is recorded like what it was given."""
    try:
        return await answer
    except Forbidden:
        kind = ("search", "history-type" if path[-1] == "_history" else "read", "history-instance", "vread")
        interaction = kind[len(path) - 1]
        await Auditor(container.resources).refused(call, interaction, "/".join(path))
        raise


def interactions_of(container: Container) -> Interactions:
    """Return the interactions on the container's store."""
    return Interactions(container.resources, Auditor(container.resources), Pages(container.resources))


def response(answer: Answer) -> Response[bytes]:
    """Return an answer as HTTP."""
    body = b"" if answer.body is None else dump(answer.body)
    return Response(body, status_code=answer.status, media_type=FHIR_JSON, headers=dict(answer.headers))


def media_type(request: _Request) -> str:
    """Return the media type of the body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
