"""Every route below ``/fhir``; ``facade.fhir.tenants`` says how addresses are written."""

from collections.abc import Mapping, Sequence
from typing import Any

from fhir_support.errors import MethodNotAllowed, NotSupported, UnsupportedMediaType
from fhir_support.r4 import dump
from litestar import Request, Response, get, post, route
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from facade.container import ContainerOf, RequestId
from facade.fhir.batch import run_batch
from facade.fhir.capability import AdvertisedOperation, capability_statement
from facade.fhir.interactions import Answer
from facade.fhir.negotiation import FHIR_JSON, is_strict, require_json, without_form
from facade.fhir.serving import (
    answered,
    call_of,
    dispatch,
    interactions_of,
    media_type,
    pairs_of,
    query_pairs,
    recorded,
    response,
    with_refusals,
)
from facade.fhir.smart_configuration import smart_configuration
from facade.fhir.tenants import home_of, request_base

__all__ = ["route_handlers"]

_Request = Request[Any, Any, Any]
_Pairs = list[tuple[str, str]]
_FORM = "application/x-www-form-urlencoded"
_JSON_BODIES = frozenset({"application/fhir+json", "application/json"})
_PUBLIC = {"Cache-Control": "public, max-age=300"}
_READING = [HttpMethod.GET, HttpMethod.HEAD]


def route_handlers(operations: Sequence[AdvertisedOperation] = ()) -> list[HTTPRouteHandler]:
    """Return the handlers; ``operations`` are those of ``facade.operations`` that are served."""

    @get("/fhir/{ehr_id:str}/.well-known/smart-configuration", name="smart-configuration")
    async def discover(ehr_id: FromPath[str], container: ContainerOf) -> Response[dict[str, Any]]:
        """Answer JSON whatever the Accept header says, to anybody."""
        home_of(container.ehrs, container.settings.public_base_url, ehr_id)
        server = await container.authorization_servers.configuration(container.ehrs.get(ehr_id))
        return Response(smart_configuration(server), media_type="application/json", headers=_PUBLIC)

    @route("/fhir/{ehr_id:str}/metadata", http_method=_READING, name="capabilities")
    async def capabilities(request: _Request, ehr_id: FromPath[str], container: ContainerOf) -> Response[bytes]:
        """Answer the CapabilityStatement, to anybody."""
        home_of(container.ehrs, container.settings.public_base_url, ehr_id)
        require_json(request.headers.get("accept"), query_pairs(request))
        base = request_base(request, container.settings.public_base_url)
        return Response(dump(capability_statement(base, operations)), media_type=FHIR_JSON, headers=_PUBLIC)

    return [discover, capabilities, *_handlers]


@route("/fhir/{ehr_id:str}/{resource_type:str}/{resource_id:str}", http_method=_READING, name="read")
async def read(
    request: _Request,
    ehr_id: FromPath[str],
    resource_type: FromPath[str],
    resource_id: FromPath[str],
    container: ContainerOf,
    request_id: RequestId,
) -> Response[bytes]:
    """Read a resource; with If-None-Match or If-Modified-Since only when it is another."""
    return await answered(request, container, ehr_id, request_id, (resource_type, resource_id))


@route(
    "/fhir/{ehr_id:str}/{resource_type:str}/{resource_id:str}/_history/{version:str}",
    http_method=_READING,
    name="vread",
)
async def vread(
    request: _Request,
    ehr_id: FromPath[str],
    resource_type: FromPath[str],
    resource_id: FromPath[str],
    version: FromPath[str],
    container: ContainerOf,
    request_id: RequestId,
) -> Response[bytes]:
    """Read one version of a resource."""
    path = (resource_type, resource_id, "_history", version)
    return await answered(request, container, ehr_id, request_id, path)


@route(
    "/fhir/{ehr_id:str}/{resource_type:str}/{resource_id:str}/_history", http_method=_READING, name="history-instance"
)
async def history_instance(
    request: _Request,
    ehr_id: FromPath[str],
    resource_type: FromPath[str],
    resource_id: FromPath[str],
    container: ContainerOf,
    request_id: RequestId,
) -> Response[bytes]:
    """Return the versions of a resource."""
    return await answered(request, container, ehr_id, request_id, (resource_type, resource_id, "_history"))


@route("/fhir/{ehr_id:str}/{resource_type:str}/_history", http_method=_READING, name="history-type")
async def history_type(
    request: _Request,
    ehr_id: FromPath[str],
    resource_type: FromPath[str],
    container: ContainerOf,
    request_id: RequestId,
) -> Response[bytes]:
    """Return the versions of every resource of a type."""
    return await answered(request, container, ehr_id, request_id, (resource_type, "_history"))


@route("/fhir/{ehr_id:str}/{resource_type:str}", http_method=_READING, name="search-type")
async def search_type(
    request: _Request,
    ehr_id: FromPath[str],
    resource_type: FromPath[str],
    container: ContainerOf,
    request_id: RequestId,
) -> Response[bytes]:
    """Search a type."""
    return await answered(request, container, ehr_id, request_id, (resource_type,))


@post("/fhir/{ehr_id:str}/{resource_type:str}/_search", status_code=200, name="search-type-by-post")
async def search_by_post(
    request: _Request,
    ehr_id: FromPath[str],
    resource_type: FromPath[str],
    container: ContainerOf,
    request_id: RequestId,
) -> Response[bytes]:
    """Search a type by a form, which keeps what is searched for out of addresses."""
    call = await call_of(request, container, ehr_id, request_id)
    if media_type(request) != _FORM:
        raise UnsupportedMediaType(f"A search by POST is sent as {_FORM}.")
    pairs = [*query_pairs(request), *pairs_of(await request.body())]
    require_json(request.headers.get("accept"), pairs)
    strict = is_strict(request.headers.get("prefer"))
    return await recorded(
        container,
        call,
        (resource_type,),
        lambda one: one.search(call, resource_type, without_form(pairs), strict=strict),
    )


@post("/fhir/{ehr_id:str}", status_code=200, name="batch")
async def batch(
    request: _Request, ehr_id: FromPath[str], container: ContainerOf, request_id: RequestId
) -> Response[bytes]:
    """Serve a batch of reads."""
    call = await call_of(request, container, ehr_id, request_id)
    require_json(request.headers.get("accept"), query_pairs(request))
    if media_type(request) not in _JSON_BODIES:
        raise UnsupportedMediaType("A batch is sent as application/fhir+json.")
    strict = is_strict(request.headers.get("prefer"))

    async def one(path: tuple[str, ...], pairs: _Pairs, headers: Mapping[str, str]) -> Answer:
        require_json(None, pairs)
        interactions = interactions_of(container)
        return await with_refusals(
            container, call, path, dispatch(interactions, call, path, without_form(pairs), headers, strict=strict)
        )

    return response(Answer(200, await run_batch(await request.body(), one)))


@get("/fhir/{ehr_id:str}", name="search-system")
async def search_system(
    request: _Request, ehr_id: FromPath[str], container: ContainerOf, request_id: RequestId
) -> Response[bytes]:
    """Refuse what is not done for all types at once."""
    await call_of(request, container, ehr_id, request_id)
    raise NotSupported("Search and history are served for one type at a time.")


@route(
    [
        "/fhir/{ehr_id:str}/{resource_type:str}",
        "/fhir/{ehr_id:str}/{resource_type:str}/{resource_id:str}",
    ],
    http_method=[HttpMethod.POST, HttpMethod.PUT, HttpMethod.PATCH, HttpMethod.DELETE],
    status_code=405,
    name="write",
)
async def write(
    request: _Request, ehr_id: FromPath[str], container: ContainerOf, request_id: RequestId
) -> Response[bytes]:
    """Refuse every write, without reading its body: results are written by the operations and by the EHR."""
    await call_of(request, container, ehr_id, request_id)
    raise MethodNotAllowed("Resources here are read-only.", headers={"Allow": "GET, HEAD, OPTIONS"})


_handlers: list[HTTPRouteHandler] = [
    read,
    vread,
    history_instance,
    history_type,
    search_type,
    search_by_post,
    batch,
    search_system,
    write,
]
