"""Notifications of an EHR in bad health, and of somebody who is no EHR.

``python -m benchmarks notifications``. First 10,000 stays end at a simulated EHR that drops, repeats and reorders its
notifications while the facade, a process of its own, is killed 20 times: what is counted is what the EHR holds at the
end. The effect of an event is one Task there, so that delivery is measured and not drafting; a smaller number goes
through with whole documents. Then one process sends 5,000 notifications a second, with a wrong secret and with the
right one, while interactive routes are asked beside it.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey
from preceptor.openbao.running import RunningOpenBao, running_openbao
from preceptor.openbao.server import OpenBaoServer

from benchmarks.loaded_suite import ISSUER, key_set
from benchmarks.machine import machine, quantile
from tests.support.facade_process import FacadeProcess
from tests.support.notification_flood import Interactive, flood, interactive
from tests.support.notification_storm import StormReport, free_port, served, simulated_entry, storm
from tests.support.simulated_ehr import Faults, SimulatedEhr

__all__ = ["run"]

_ROOT = Path(__file__).parent.parent
_FAULTS = Faults(dropped=0.05, duplicated=0.10, reordered=0.10)
_EVENTS = int(os.environ.get("PRECEPTOR_BENCH_EVENTS", "10000"))
_KILLS = 20
_DOCUMENTS = 300
_FLOOD_PER_S = 5_000
_FLOOD_S = 10
_HOOK = "/cds-services/patient-view"
_PATHS = ("/healthz", "/cds-services", _HOOK, "/fhir/metadata", "/workbench/none")


def run() -> str:
    """Run the benchmark and return its report in Markdown."""
    with tempfile.TemporaryDirectory(prefix="preceptor-bench-") as folder:
        return asyncio.run(_run(Path(folder)))


async def _run(folder: Path) -> str:
    server = OpenBaoServer(folder / "openbao", folder / "run", free_port(), free_port())
    log = folder / "openbao.log"
    with running_openbao(server, folder / "run" / "agent.sock", _ROOT / "policies" / "vault", log) as openbao:
        async with _reconciliation(folder, openbao) as reconciliation_url:
            storms = [
                await _storm(folder / "small", openbao, reconciliation_url, _EVENTS, _KILLS, small=True),
                await _storm(folder / "whole", openbao, reconciliation_url, _DOCUMENTS, 5, small=False),
            ]
        floods = await _floods(folder / "flood", openbao)
    return _report(storms, floods)


async def _storm(
    folder: Path, openbao: RunningOpenBao, reconciliation_url: str, events: int, kills: int, *, small: bool
) -> StormReport:
    folder.mkdir()  # noqa: ASYNC240  once, before anything runs
    report = await storm(
        folder,
        events=events,
        kills=kills,
        faults=_FAULTS,
        environment=openbao.environment("facade"),
        reconciliation_url=reconciliation_url,
        rate_per_s=200,
        check_s=2.0,
        patience_s=600,
        small=small,
        backlog=100,
    )
    print(f"  {events} events, {kills} kills: {report.seconds:.0f} s, {dict(report.effects_per_stay)}", flush=True)
    return report


@asynccontextmanager
async def _reconciliation(folder: Path, openbao: RunningOpenBao) -> AsyncIterator[str]:
    """The real reconciliation with a plain drafting, as the tests of the clinician's page start it."""
    port = free_port()
    with _process(
        [str(_ROOT / "tests" / "browser" / "reconciliation_process.py"), str(port), str(folder), "0"],
        openbao.environment("reconciliation"),
        folder / "reconciliation.log",
    ) as process:
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient() as http:
            while True:
                if process.poll() is not None:
                    raise RuntimeError((folder / "reconciliation.log").read_text()[-2000:])
                try:
                    if (await http.get(f"{url}/healthz")).status_code == 200:
                        break
                except httpx.TransportError:
                    await asyncio.sleep(0.2)
        yield url


@contextmanager
def _process(arguments: list[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments], env={**os.environ, **environment}, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


async def _floods(folder: Path, openbao: RunningOpenBao) -> dict[str, tuple[Interactive, dict[str, object] | None]]:
    """Ask the interactive routes in quiet, under wrong secrets and under the right one; each with what was sent."""
    folder.mkdir()  # noqa: ASYNC240  once, before anything runs
    ehr_port, facade_port = free_port(), free_port()
    ehr = SimulatedEhr(f"http://localhost:{ehr_port}")
    address, key = f"http://localhost:{facade_port}", ECKey.generate_key("P-384", auto_kid=True)
    posted = {_HOOK: lambda: _patient_view(f"{address}{_HOOK}", key)}
    facade = FacadeProcess(
        {
            "PRECEPTOR_FACADE_PUBLIC_BASE_URL": address,
            "PRECEPTOR_FACADE_DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'facade.sqlite3'}",
            "PRECEPTOR_FACADE_EHRS_FILE": str(folder / "ehrs.json"),
            "PRECEPTOR_FACADE_RECONCILIATION_URL": "http://localhost:1",
            "PRECEPTOR_FACADE_RETRIEVAL_URL": "http://localhost:1/retrieval",
            "PRECEPTOR_FACADE_PORT": str(facade_port),
            **openbao.environment("facade"),
        },
        folder,
        facade_port,
    )
    found: dict[str, tuple[Interactive, dict[str, object] | None]] = {}
    with key_set(key) as jwks_uri:
        clients = [{"issuer": ISSUER, "jwks_uri": jwks_uri}]
        (folder / "ehrs.json").write_text(json.dumps([simulated_entry(ehr.base, cds_clients=clients)]))
        async with served(ehr, ehr_port):
            try:
                await facade.start()
                end = time.monotonic() + 60
                while (ehr.subscription or {}).get("status") != "active":
                    if time.monotonic() > end:
                        raise RuntimeError("the facade made no Subscription")
                    await asyncio.sleep(0.1)
                (header,) = (ehr.subscription or {})["channel"]["header"]
                found["quiet"] = (await interactive(facade.base_url, _PATHS, _FLOOD_S, posted=posted), None)
                for name, secret in (
                    ("a wrong secret", "x" * 43),
                    ("the right secret", header.partition("Bearer ")[2]),
                ):
                    asked, sent = await asyncio.gather(
                        interactive(facade.base_url, _PATHS, _FLOOD_S, posted=posted),
                        flood(facade_port, secret, _FLOOD_PER_S, _FLOOD_S),
                    )
                    found[name] = (asked, sent)
                    print(f"  flood with {name}: {sent}", flush=True)
            finally:
                await ehr.close()
                facade.stop()
    return found


def _patient_view(url: str, key: ECKey) -> tuple[dict[str, str], bytes]:
    """A signed request of the hook patient-view."""
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": url, "exp": now + 120, "iat": now, "jti": str(uuid.uuid4())}
    token = jwt.encode({"alg": "ES384", "typ": "JWT", "kid": key.kid}, claims, key, algorithms=["ES384"])
    context = {"userId": "Practitioner/dr-1", "patientId": "patient-1"}
    body = {"hook": "patient-view", "hookInstance": str(uuid.uuid4()), "context": context}
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return headers, json.dumps(body).encode()


def _where() -> str:
    """Killing a process loses nothing of either; a disk takes longer."""
    return "in memory" if tempfile.gettempdir().startswith("/dev/shm") else "on a disk"


def _report(storms: list[StormReport], floods: dict[str, tuple[Interactive, dict[str, object] | None]]) -> str:
    lines = [
        "# Notifications",
        "",
        f"Machine: {machine()}; load of one minute {os.getloadavg()[0]:.1f}; files {_where()}.",
        "",
        "Every event exactly one effect? Notifications dropped 5 %, sent twice 10 %, late and out of order 10 %; what",
        "was being sent while the facade was dead was given up after a second. The first row's effect is one Task, the",
        "second's a whole document.",
        "",
        "| events | kills (during work) | seconds | dropped | given up | sent twice | reordered "
        "| effects: none / one / more | left open |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for one in storms:
        effects = one.effects_per_stay
        more = sum(count for number, count in effects.items() if number > 1)
        lines.append(
            f"| {one.events:,} | {one.kills} ({one.interrupted}) | {one.seconds:,.0f} | {one.told['dropped']:,} "
            f"| {one.told['given up']:,} | {one.told['duplicated']:,} | {one.told['reordered']:,} "
            f"| {effects[0]:,} / {effects[1]:,} / {more:,} | {one.left_open} |"
        )
    lines += [
        "",
        f"Interactive routes beside one process that sends {_FLOOD_PER_S:,} notifications a second for {_FLOOD_S} s",
        "over 64 connections, two kilobytes each, p50 / p95 in ms:",
        "",
        f"| beside | sent per second | answers | {' | '.join(_PATHS)} |",
        f"| --- | ---: | --- |{' ---: |' * len(_PATHS)}",
    ]
    for name, (asked, sent) in floods.items():
        told = "" if sent is None else f"{sent['per_s']:,.0f}"
        answers = "" if sent is None else json.dumps(sent["answers"]).strip("{}").replace('"', "")
        times = [f"{quantile(values, 0.5):.0f} / {quantile(values, 0.95):.0f}" for values in asked.elapsed_ms.values()]
        lines.append(f"| {name} | {told} | {answers} | {' | '.join(times)} |")
    return "\n".join(lines) + "\n"
