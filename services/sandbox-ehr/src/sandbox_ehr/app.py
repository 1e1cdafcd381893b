"""The application: every route of the sandbox EHR is listed here."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar, get
from litestar.config.cors import CORSConfig

from sandbox_ehr.auth.authorize import authorize_routes
from sandbox_ehr.auth.discovery import discovery_routes
from sandbox_ehr.auth.token import token_routes
from sandbox_ehr.container import Container
from sandbox_ehr.failures import EXCEPTION_HANDLERS
from sandbox_ehr.fhir.routes import fhir_routes
from sandbox_ehr.pages.choice import choice_page, error_page
from sandbox_ehr.pages.routes import page_routes

__all__ = ["build_app"]


@get("/healthz", sync_to_thread=False)
def healthz() -> dict[str, str]:
    """Answer that the process serves; the patients are loaded before it listens."""
    return {"status": "ok"}


def build_app(container: Container) -> Litestar:
    """Return the application; it closes ``container`` when it stops."""

    @asynccontextmanager
    async def closing(_: Litestar) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await container.close()

    base_url = container.settings.base_url
    ward = container.ward
    return Litestar(
        route_handlers=[
            healthz,
            *discovery_routes(base_url, container.tokens),
            *authorize_routes(container.authorization, choice_page(ward), error_page, ward.knows),
            *token_routes(container.token_endpoint),
            *fhir_routes(container.fhir, container.tokens, base_url),
            *page_routes(ward, container.clients, container.grants, base_url, container.fhir, container.cds),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=[closing],
        cors_config=CORSConfig(
            allow_origins=sorted(container.clients.origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "If-Match", "If-None-Exist", "Prefer", "X-Request-Id"],
            expose_headers=["ETag", "Location"],
        ),
        request_max_body_size=container.settings.max_body_bytes,
        openapi_config=None,
        logging_config=None,
    )
