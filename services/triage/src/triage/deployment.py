"""The Ray Serve application ``triage``: one replica answers from memory, one thread for the model."""

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from litestar import Litestar
from ray import serve
from service_runtime.log import LogCode, configure_logging, log
from service_runtime.service_auth import ServiceAuth
from service_runtime.settings import VaultSettings
from service_runtime.vault_store import connect_secret_store

from triage.assess import Assessor, Served
from triage.counters import Counters
from triage.floor import load_floor
from triage.ingress import build_ingress
from triage.serving import open_model
from triage.settings import TriageSettings

__all__ = ["Triage", "app"]


class Triage:
    """One replica. It answers with the floor alone while no model is loaded, and is ready when there is one."""

    async def __init__(self) -> None:  # type: ignore[misc]  # Ray Serve awaits it
        configure_logging("triage")
        self._settings = TriageSettings()
        self._floor = load_floor()
        self._served: Served | None = None
        started = time.monotonic()
        self._served = await asyncio.to_thread(open_model, self._settings, self._floor)
        if self._served is not None:
            elapsed = round((time.monotonic() - started) * 1000)
            log(
                LogCode.ADAPTER_LOADED,
                digest=self._served.identity.digest,
                version=self._served.identity.version,
                elapsed_ms=elapsed,
            )
        log(LogCode.SERVICE_STARTED)

    def __serve_build_asgi_app__(self) -> Litestar:
        """Build the HTTP application in the replica (an application object does not pickle)."""
        settings = self._settings
        assessor = Assessor(
            self._floor,
            lambda: self._served,
            ThreadPoolExecutor(max_workers=1, thread_name_prefix="triage-model"),
            posture=settings.posture,
            reserve_ms=settings.answer_reserve_ms,
            region=settings.region,
        )
        return build_ingress(
            assessor,
            Counters(),
            ServiceAuth(connect_secret_store(VaultSettings())).accepts,
            lambda: self._served.about if self._served is not None else None,
            max_body_bytes=settings.max_body_bytes,
            max_budget_ms=settings.max_budget_ms,
        )


def app(_: Mapping[str, str]) -> serve.Application:
    """Return the application for a Serve config whose ``import_path`` is ``triage.deployment:app``."""
    settings = TriageSettings()
    deployment = serve.deployment(
        name="Triage",
        num_replicas=settings.replicas,
        # With a share of a core Ray also gives numpy one thread: more of them wait for each other beside a neighbour.
        ray_actor_options={"num_cpus": settings.num_cpus},
        max_ongoing_requests=settings.max_ongoing_requests,
        max_queued_requests=settings.max_queued_requests,
    )
    return deployment(serve.ingress()(Triage)).bind()
