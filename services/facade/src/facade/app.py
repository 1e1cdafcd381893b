"""The application: every route of the facade is listed here."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar
from litestar.di import Provide
from litestar.types import ASGIApp, ControllerRouterHandler
from service_runtime.request_id import accept_request_id, current_request_id

from facade import health, openapi
from facade.background import running
from facade.cds_hooks import routes as cds_hooks
from facade.container import Container
from facade.dsi import routes as dsi
from facade.ehr import jwks
from facade.failures import EXCEPTION_HANDLERS
from facade.fhir import routes as fhir
from facade.fhir.tenants import tenants
from facade.monitoring import routes as monitoring
from facade.operations import routes as operations
from facade.operations.table import advertised
from facade.smart import routes as smart
from facade.subscriptions import routes as subscriptions
from facade.subscriptions.gate import NotificationGate
from facade.surround import surround
from facade.workbench import routes as workbench

__all__ = ["build_app"]


def build_app(container: Container) -> ASGIApp:
    """Return the application. While it runs, the workers of ``container`` run; when it stops, they are closed."""

    @asynccontextmanager
    async def work(_: Litestar) -> AsyncIterator[None]:
        async with running(container):
            yield

    route_handlers: list[ControllerRouterHandler] = [
        *health.route_handlers,
        *jwks.route_handlers,
        *subscriptions.route_handlers,
        *smart.route_handlers,
        *workbench.route_handlers,
        *cds_hooks.route_handlers,
        *operations.route_handlers,
        *dsi.route_handlers,
        *monitoring.route_handlers,
        *fhir.route_handlers(advertised(container.operations.by_name)),
    ]
    dependencies = {
        "container": Provide(lambda: container, sync_to_thread=False),
        "request_id": Provide(lambda: current_request_id() or accept_request_id(None), sync_to_thread=False),
    }
    app = Litestar(
        route_handlers=[*route_handlers, *openapi.describing(route_handlers, dependencies)],
        dependencies=dependencies,
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=[work],
        request_max_body_size=container.settings.body_max_bytes,
        openapi_config=None,
        logging_config=None,
    )
    https = container.settings.public_base_url.startswith("https://")
    surrounded = surround(tenants(app, container.ehrs), https=https)
    return NotificationGate(surrounded, ehrs=container.ehrs, secrets=container.receiver.secrets, https=https)
