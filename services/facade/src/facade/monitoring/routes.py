"""GET /monitoring/triage/metrics: the measures of triage in use, for a scraper that has the services' token."""

from datetime import UTC, datetime, timedelta
from typing import Any

from fhir_support.errors import ServiceUnavailable, Unauthorized
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from service_runtime.secrets import SecretError

from facade.container import Container, ContainerOf
from facade.monitoring.export import exposition
from facade.monitoring.triage import drift, measure
from facade.store.triage import WatchedTriage

__all__ = ["WEEKS", "route_handlers", "watched"]

WEEKS = 12
"""How far back a report looks."""


async def watched(container: Container, ehr_id: str, weeks: int = WEEKS) -> list[WatchedTriage]:
    """Return the records of the last weeks of one tenant."""
    return await container.triage_records.watched(ehr_id, datetime.now(UTC) - timedelta(weeks=weeks))


@get("/monitoring/triage/metrics", name="triage-metrics")
async def metrics(request: Request[Any, Any, Any], container: ContainerOf) -> Response[bytes]:
    """Return the gauges; how a site's models do is not for everybody, so a service token is needed."""
    try:
        if not await container.service_auth.accepts(request.headers.get("authorization")):
            raise Unauthorized
    except SecretError:
        raise ServiceUnavailable("The token cannot be checked now.") from None
    tenants = []
    week_ago = datetime.now(UTC) - timedelta(weeks=1)
    for ehr in container.ehrs:
        records = await watched(container, ehr.id)
        moved = drift([one for one in records if one.at < week_ago], [one for one in records if one.at >= week_ago])
        tenants.append((ehr.id, measure(records), moved))
    return Response(exposition(tenants), media_type="text/plain; version=0.0.4; charset=utf-8")


route_handlers: list[HTTPRouteHandler] = [metrics]
