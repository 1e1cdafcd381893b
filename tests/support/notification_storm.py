"""Many events through a real facade process that is killed again and again, from an EHR whose notifications go wrong.

What is counted at the end is what the EHR holds: for every stay that ended, the documents that were written for it.
"""

import asyncio
import contextlib
import json
import random
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import uvicorn

from tests.support.facade_process import FacadeProcess
from tests.support.simulated_ehr import Faults, SimulatedEhr

__all__ = ["StormReport", "free_port", "served", "simulated_entry", "storm"]

EHR = "simulated"
_SMALL = "from tests.support.small_effects import install; install()"


def free_port() -> int:
    """Return a port of the loopback interface that was free a moment ago."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@asynccontextmanager
async def served(app: Any, port: int, *, lifespan: Literal["on", "off"] = "off") -> AsyncIterator[None]:
    """Serve an ASGI application from this event loop."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan=lifespan))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    listening = socket.create_server(("127.0.0.1", port), backlog=512)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        while not server.started:
            if task.done():
                task.result()
            await asyncio.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        server.force_exit = lifespan == "off"
        await task


def simulated_entry(base: str, **changes: Any) -> dict[str, Any]:
    """Return the registration of a simulated EHR at ``base``."""
    entry = {
        "id": EHR, "name": "Simulated EHR", "issuer": base, "fhir_base": base, "backend_client_id": "backend",
        "backend_scopes": "system/*.cruds", "launch_client_id": "launch", "launch_scopes": "openid",
        "encounter_topic": "http://example.org/topic/encounter-complete",
    }  # fmt: skip
    return {**entry, **changes}


@dataclass
class StormReport:
    """What happened and what was written."""

    events: int
    kills: int
    interrupted: int = 0
    seconds: float = 0.0
    told: Counter[str] = field(default_factory=Counter)
    answers: Counter[int] = field(default_factory=Counter)
    created: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    effects_per_stay: Counter[int] = field(default_factory=Counter)
    left_open: int = 0

    @property
    def is_exact(self) -> bool:
        """Whether every event had exactly one effect, and nothing is left."""
        return self.effects_per_stay == Counter({1: self.events}) and self.left_open == 0


async def storm(
    folder: Path,
    *,
    events: int,
    kills: int,
    faults: Faults,
    environment: Mapping[str, str],
    reconciliation_url: str,
    rate_per_s: float,
    check_s: float,
    patience_s: float,
    has_events: bool = True,
    has_status: bool = True,
    dialect: str = "kebab-case",
    small: bool = False,
    backlog: int = 400,
    seed: int = 20,
) -> StormReport:
    """Let ``events`` stays end while the facade is killed ``kills`` times; wait until nothing is left to be done.

    ``environment`` is how the facade reaches its secret store. ``small`` effects are one Task in place of a document.
    ``backlog`` is how many effects may be missing before the next stay ends: a ward does not discharge faster than the
    facade writes for ever.
    """
    report = StormReport(events, kills)
    chance = random.Random(seed)
    ehr_port, facade_port = free_port(), free_port()
    ehr = SimulatedEhr(
        f"http://localhost:{ehr_port}", faults=faults, seed=seed, has_events=has_events, has_status=has_status,
        dialect=dialect,
    )  # fmt: skip
    (folder / "ehrs.json").write_text(json.dumps([simulated_entry(ehr.base)]))
    facade = FacadeProcess(
        {
            "PRECEPTOR_FACADE_PUBLIC_BASE_URL": f"http://localhost:{facade_port}",
            "PRECEPTOR_FACADE_DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'facade.sqlite3'}",
            "PRECEPTOR_FACADE_EHRS_FILE": str(folder / "ehrs.json"),
            "PRECEPTOR_FACADE_RECONCILIATION_URL": reconciliation_url,
            "PRECEPTOR_FACADE_RETRIEVAL_URL": f"{reconciliation_url}/no-retrieval",
            "PRECEPTOR_FACADE_PORT": str(facade_port),
            "PRECEPTOR_FACADE_INSTANCE": "storm",
            "PRECEPTOR_FACADE_POLL_S": "0.1",
            "PRECEPTOR_FACADE_WORKERS": "4",
            "PRECEPTOR_FACADE_RETRY_BASE_S": "0.2",
            "PRECEPTOR_FACADE_RETRY_MAX_S": "2",
            "PRECEPTOR_FACADE_SUBSCRIPTION_CHECK_S": str(check_s),
            "PRECEPTOR_FACADE_CATCH_UP_OVERLAP_S": "5",
            **environment,
        },
        folder,
        facade_port,
        _SMALL if small else "",
    )
    kind = "Task" if small else "Composition"
    kill_at = set(chance.sample(range(events // 50, events), kills))
    async with served(ehr, ehr_port):
        try:
            await facade.start()
            await _until(lambda: (ehr.subscription or {}).get("status") == "active", 60, "no Subscription")
            began = time.monotonic()
            stays = [ehr.admit(str(number)) for number in range(events)]
            for number, stay in enumerate(stays):
                await _until(lambda n=number: n - ehr.created[kind] < backlog, patience_s, "the facade writes nothing")
                ehr.discharge(stay)
                await asyncio.sleep(1 / rate_per_s)
                if number in kill_at:
                    await asyncio.sleep(chance.uniform(0, 0.3))
                    facade.kill()
                    report.interrupted += facade.open_work() > 0
                    await facade.start()
            await ehr.settled()
            with contextlib.suppress(AssertionError):
                await _until(
                    lambda: len(ehr.effects(kind)) == events and facade.open_work() == 0, patience_s, "not finished"
                )
            report.seconds = time.monotonic() - began
            report.left_open = facade.open_work()
        finally:
            await ehr.close()
            facade.stop()
    effects = ehr.effects(kind)
    report.effects_per_stay = Counter(effects.get(stay, 0) for stay in stays)
    report.told, report.answers, report.created, report.asked = ehr.told, ehr.answers, ehr.created, ehr.asked
    return report


async def _until(is_so: Any, patience_s: float, otherwise: str) -> None:
    end = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < end, otherwise
        await asyncio.sleep(0.05)
