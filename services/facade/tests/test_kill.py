"""kill -9 after the acknowledgement and before the end of the work: every event still has exactly one effect.

The facade is a process of its own with its secrets in a real OpenBao; what is killed is all of it.
"""

import asyncio
import random

import pytest
from service_runtime.service_auth import ServiceAuth
from service_runtime.vault_store import connect_secret_store

from tests.support.facade_process import FacadeProcess

KILLS = 20


@pytest.fixture(scope="module")
def accepts(vault_settings):
    return ServiceAuth(connect_secret_store(vault_settings("reconciliation"))).accepts


@pytest.fixture
def facade_process(openbao, settings_for, tmp_path):
    settings = settings_for(poll_s=0.1, workers=2)
    environment = {
        **{f"PRECEPTOR_FACADE_{name.upper()}": str(getattr(settings, name)) for name in settings.model_fields_set},
        **openbao.environment("facade"),
    }
    started = FacadeProcess(environment, tmp_path, settings.port)
    yield started
    started.stop()


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
