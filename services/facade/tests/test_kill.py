"""kill -9 after the acknowledgement and before the end of the work: every event still has exactly one effect.

The facade is a process of its own with its secrets in a real OpenBao. It is forked from a process that has imported it
already, so that twenty starts cost little; what is killed is all of it, and nothing of it can clean up.
"""

import asyncio
import contextlib
import multiprocessing
import os
import random
import signal
import sqlite3
import time

import httpx
import pytest
from service_runtime.service_auth import ServiceAuth
from service_runtime.vault_store import connect_secret_store

KILLS = 20
_FORK = multiprocessing.get_context("forkserver")
_START = """
import os, sys
os.environ.update(environment)
log = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
os.dup2(log, 1)
os.dup2(log, 2)
from facade.__main__ import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def accepts(vault_settings):
    return ServiceAuth(connect_secret_store(vault_settings("reconciliation"))).accepts


class FacadeProcess:
    def __init__(self, environment, folder, port):
        self.environment = environment
        self.log = folder / "facade.log"
        self.database = folder / "facade.sqlite3"
        self.base_url = f"http://localhost:{port}"
        self.process = None

    async def start(self):
        arguments = (_START, {"environment": self.environment, "log_file": str(self.log)})
        self.process = _FORK.Process(target=exec, args=arguments)
        self.process.start()
        end = time.monotonic() + 60
        async with httpx.AsyncClient() as http:
            while time.monotonic() < end:
                with contextlib.suppress(httpx.TransportError):
                    if (await http.get(f"{self.base_url}/healthz", timeout=5)).status_code == 200:
                        return
                assert self.process.is_alive(), self.log.read_text()[-2000:]
                await asyncio.sleep(0.02)
        raise AssertionError(self.log.read_text()[-2000:])

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.join(10)
        assert self.process.exitcode == -signal.SIGKILL

    def events(self):
        return self._count("SELECT count(*) FROM inbox_event WHERE kind = 'encounter'")

    def open_work(self):
        return self._count(
            "SELECT (SELECT count(*) FROM inbox_event WHERE state != 'done')"
            " + (SELECT count(*) FROM outbox_effect WHERE state != 'done')"
        )

    def _count(self, query):
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchone()[0]


@pytest.fixture
def facade_process(openbao, settings_for, tmp_path):
    _FORK.set_forkserver_preload(["facade.__main__"])
    settings = settings_for(poll_s=0.1, workers=2)
    environment = {
        **{f"PRECEPTOR_FACADE_{name.upper()}": str(getattr(settings, name)) for name in settings.model_fields_set},
        **openbao.environment("facade"),
    }
    started = FacadeProcess(environment, tmp_path, settings.port)
    yield started
    if started.process is not None and started.process.is_alive():
        started.process.terminate()
        started.process.join(20)
        assert started.process.exitcode == 0, started.log.read_text()[-2000:]


async def test_twenty_kills_at_random_points_lose_nothing_and_double_nothing(facade_process, ward, suite, eventually):
    suite.drafting.delay_s = 0.05
    chance = random.Random(20)
    stays = [await ward.admit() for _ in range(KILLS)]
    await facade_process.start()
    await eventually(lambda: as_answer(facade_process.log.read_text()), lambda log: "subscription." in log)
    await eventually(lambda: subscription(ward), "active")
    interrupted = 0
    for stay in stays:
        before = facade_process.events()
        await ward.discharge(stay)
        await eventually(lambda: as_answer(facade_process.events()), lambda count, seen=before: count > seen)
        await asyncio.sleep(chance.uniform(0, 0.4))
        facade_process.kill()
        interrupted += facade_process.open_work() > 0
        await facade_process.start()
    await eventually(lambda: as_answer(facade_process.open_work()), 0, 60)
    assert interrupted >= KILLS // 4, "most kills came too late to show anything"
    for stay in stays:
        written = await ward.written(stay)
        assert {kind: len(found) for kind, found in written.items()} == {
            "Composition": 1, "DocumentReference": 1, "DetectedIssue": 1, "Task": 1, "Provenance": 1, "AuditEvent": 1,
        }, stay  # fmt: skip
        assert written["Task"][0]["status"] == "completed"


async def as_answer(value):
    return value


async def subscription(ward):
    found = await ward.client.search("Subscription", [])
    return found[0]["status"] if found else None
