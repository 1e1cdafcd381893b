"""GET /healthz (the process lives) and GET /readyz (it can do its work, shown by doing a little of it)."""

import asyncio
from collections.abc import Awaitable

from litestar import Response, get
from service_runtime.secrets import SecretError
from sqlalchemy.exc import SQLAlchemyError

from facade.container import ContainerOf
from facade.pipeline.reconciliation import DraftingFailed

__all__ = ["route_handlers"]


@get("/healthz", sync_to_thread=False, name="alive")
def alive() -> dict[str, str]:
    """Answer that the process serves."""
    return {"status": "ok"}


@get("/readyz", name="ready")
async def ready(container: ContainerOf) -> Response[dict[str, str]]:
    """Answer 200 when a Transit round trip, a database write and a call to reconciliation all worked, else 503."""
    limit_s = container.settings.readiness_timeout_s
    names = ("secret-store", "database", "reconciliation")
    results = await asyncio.gather(
        _works(container.secrets.check(), limit_s),
        _works(container.database.check(), limit_s),
        _works(container.reconciliation.check(), limit_s),
    )
    status = 200 if all(results) else 503
    checks = {name: "ok" if works else "failed" for name, works in zip(names, results, strict=True)}
    return Response(checks, status_code=status, headers={"Cache-Control": "no-store"})


async def _works(check: Awaitable[None], limit_s: float) -> bool:
    try:
        await asyncio.wait_for(check, limit_s)
    except (SecretError, SQLAlchemyError, DraftingFailed, OSError, TimeoutError):
        return False
    return True


route_handlers = [alive, ready]
