"""The HTTP surface of the operations: each by POST, its definition by GET, and the jobs of respond-async.

The pattern of asynchronous answers is that of R4 (3.1.6) for the requests, and of R5's asynchronous interaction for the
result: a Bundle of type batch-response, because one resource is not a list of files.
"""

import re
import time
from http import HTTPStatus
from typing import Any

from fhir_support.errors import (
    FhirError,
    MethodNotAllowed,
    NotFound,
    ServiceUnavailable,
    UnsupportedMediaType,
    operation_outcome,
)
from fhir_support.r4 import dump, validated
from litestar import Request, Response, delete, get, post, route
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from facade.container import Container, ContainerOf, RequestId
from facade.fhir.access import authorize
from facade.fhir.audit import Call
from facade.fhir.bundles import http_date
from facade.fhir.negotiation import FHIR_JSON, require_json
from facade.fhir.tenants import home_of, request_base
from facade.operations.errors import NotImplementedYet
from facade.operations.table import NOT_YET, OPERATIONS, definition
from facade.store.jobs import Job, JobState

__all__ = ["route_handlers"]

_Request = Request[Any, Any, Any]
_JSON_BODIES = frozenset({"application/fhir+json", "application/json"})
_JOB_ID = re.compile(r"[0-9a-f-]{36}", re.ASCII)
_RESPOND_ASYNC = re.compile(r"(?:^|[,;\s])respond-async(?:$|[,;\s])", re.IGNORECASE)
_OTHER_METHODS = [HttpMethod.GET, HttpMethod.HEAD, HttpMethod.PUT, HttpMethod.PATCH, HttpMethod.DELETE]
_RETRY_AFTER = {"Retry-After": "1"}


def _invocation(name: str) -> list[HTTPRouteHandler]:
    """Return the handlers of one operation."""

    @post(f"/fhir/{{ehr_id:str}}/${name}", status_code=200, name=f"operation-{name}")
    async def invoke(
        request: _Request, ehr_id: FromPath[str], container: ContainerOf, request_id: RequestId
    ) -> Response[bytes]:
        """Run the operation, or keep it for later with ``Prefer: respond-async``."""
        arrived = time.monotonic()
        call = await _call(request, container, ehr_id, request_id)
        if name not in container.operations.by_name:
            raise NotImplementedYet
        if _media_type(request) not in _JSON_BODIES:
            raise UnsupportedMediaType("Parameters are sent as application/fhir+json.")
        body = await request.body()
        if _RESPOND_ASYNC.search(request.headers.get("prefer", "")):
            job_id = await container.operations.begin(call, name, body)
            location = f"{call.base}/_async/{job_id}"
            outcome = operation_outcome("informational", "The request was accepted.", "information")
            return _fhir(outcome, 202, {"Content-Location": location, **_RETRY_AFTER})
        return _fhir(await container.operations.answer(call, name, body, arrived))

    @route(
        f"/fhir/{{ehr_id:str}}/${name}",
        http_method=_OTHER_METHODS,
        status_code=405,
        name=f"operation-{name}-by-post-only",
    )
    async def refuse(
        request: _Request, ehr_id: FromPath[str], container: ContainerOf, request_id: RequestId
    ) -> Response[bytes]:
        """Refuse other methods: what is asked about a patient does not belong into an address."""
        await _call(request, container, ehr_id, request_id)
        raise MethodNotAllowed("Operations are invoked by POST.", headers={"Allow": "POST, OPTIONS"})

    return [invoke, refuse]


@get("/fhir/{ehr_id:str}/OperationDefinition/{operation:str}", name="operation-definition")
async def read_definition(
    request: _Request, ehr_id: FromPath[str], operation: FromPath[str], container: ContainerOf
) -> Response[bytes]:
    """Return the definition of an operation that is served, to anybody, as the CapabilityStatement is."""
    home_of(container.ehrs, container.settings.public_base_url, ehr_id)
    require_json(request.headers.get("accept"), ())
    if operation not in container.operations.by_name:
        raise NotFound("There is no operation of that name.")
    return _fhir(definition(operation), headers={"Cache-Control": "public, max-age=300"})


@get("/fhir/{ehr_id:str}/_async/{job_id:str}", name="operation-job")
async def poll(
    request: _Request, ehr_id: FromPath[str], job_id: FromPath[str], container: ContainerOf, request_id: RequestId
) -> Response[bytes]:
    """Return 202 while the job is not done, then 200 with its result, to the client that began it."""
    call = await _call(request, container, ehr_id, request_id)
    job = await container.operations.job(call, job_id) if _JOB_ID.fullmatch(job_id) else None
    if job is None:
        raise NotFound("There is no such job for this token.")
    if job.state == JobState.PENDING:
        progress = "in progress" if job.claimed else "waiting"
        return Response(b"", status_code=202, media_type=FHIR_JSON, headers={"X-Progress": progress, **_RETRY_AFTER})
    return _fhir(_batch_response(job), headers={"Expires": http_date(job.expires_at)})


@delete("/fhir/{ehr_id:str}/_async/{job_id:str}", status_code=202, name="operation-job-cancel")
async def cancel(
    request: _Request, ehr_id: FromPath[str], job_id: FromPath[str], container: ContainerOf, request_id: RequestId
) -> Response[bytes]:
    """Forget the job and its result."""
    call = await _call(request, container, ehr_id, request_id)
    if not (_JOB_ID.fullmatch(job_id) and await container.operations.cancel(call, job_id)):
        raise NotFound("There is no such job for this token.")
    return Response(b"", status_code=202, media_type=FHIR_JSON)


async def _call(request: _Request, container: Container, ehr_id: str, request_id: str) -> Call:
    """Authorize before anything else of the request is looked at; then the form of the answer is agreed."""
    access = await authorize(container, ehr_id, request.headers.get("authorization"))
    require_json(request.headers.get("accept"), ())
    base = request_base(request, container.settings.public_base_url)
    return Call(access, base, request_id, request.client.host if request.client else None)


def _batch_response(job: Job) -> dict[str, Any]:
    """Return the result as the Bundle of one response; a job that was given up says so, and is no empty answer."""
    result = job.result or _given_up()
    status = HTTPStatus(result["status"])
    entry: dict[str, Any] = {"response": {"status": f"{status.value} {status.phrase}"}}
    if status is HTTPStatus.OK:
        entry["resource"] = result["resource"]
    else:
        entry["response"]["outcome"] = result["resource"]
    return validated({"resourceType": "Bundle", "type": "batch-response", "entry": [entry]})


def _given_up() -> dict[str, Any]:
    error: FhirError = ServiceUnavailable("The job was tried several times and given up; ask again later.")
    return {"status": error.status, "resource": error.outcome()}


def _fhir(resource: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response[bytes]:
    return Response(dump(resource), status_code=status, media_type=FHIR_JSON, headers=headers or {})


def _media_type(request: _Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


route_handlers: list[HTTPRouteHandler] = [
    *(handler for name in (*OPERATIONS, *NOT_YET) for handler in _invocation(name)),
    read_definition,
    poll,
    cancel,
]
