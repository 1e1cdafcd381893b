"""The HTTP surface: POST /v1/triage, GET /v1/source-attributes; GET /healthz and /metrics need no token."""

from collections.abc import Callable
from typing import Any

from litestar import Litestar, MediaType, Request, Response, get, post
from prometheus_client import generate_latest
from service_contracts.triage import SourceAttributes, TriageRequest
from service_runtime.ingress import (
    Refused,
    Verifier,
    build_service,
    only_services,
    read_contract,
    request_id_headers,
)

from triage.assess import Assessor
from triage.counters import Counters
from triage.floor import UnknownSign
from triage.units import NotPossible

__all__ = ["build_ingress"]


def build_ingress(
    assessor: Assessor,
    counters: Counters,
    accepts: Verifier,
    about: Callable[[], SourceAttributes | None],
    *,
    max_body_bytes: int,
    max_budget_ms: int,
) -> Litestar:
    """Return the application; every route is listed here. ``about`` returns None while no model is served."""
    guards = [only_services(accepts)]

    @get("/healthz", sync_to_thread=False)
    def healthz() -> dict[str, str]:
        if about() is None:
            raise Refused(503, "not-ready", "no model is served; the floor alone is answered")
        return {"status": "ok"}

    @get("/metrics", sync_to_thread=False, media_type=MediaType.TEXT)
    def metrics() -> bytes:
        return generate_latest(counters.registry)

    @post("/v1/triage", guards=guards, status_code=200)
    async def triage(request: Request[Any, Any, Any]) -> Response[bytes]:
        headers = request_id_headers(request)
        wanted = read_contract(TriageRequest, await request.body(), max_budget_ms)
        answer = await assessor.assess(wanted)
        counters.answered(answer)
        return Response(answer.model_dump_json().encode(), media_type=MediaType.JSON, headers=headers)

    @get("/v1/source-attributes", guards=guards)
    async def source_attributes(request: Request[Any, Any, Any]) -> Response[bytes]:
        headers = request_id_headers(request)
        found = about()
        if found is None:
            raise Refused(503, "not-ready", "no model is served")
        return Response(found.model_dump_json().encode(), media_type=MediaType.JSON, headers=headers)

    return build_service(
        [healthz, metrics, triage, source_attributes],
        max_body_bytes=max_body_bytes,
        refusals={
            NotPossible: lambda error: Refused(422, "not-possible", error.text),
            UnknownSign: lambda error: Refused(422, "unknown-sign", str(error)),
        },
    )
