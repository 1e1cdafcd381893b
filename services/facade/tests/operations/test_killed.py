"""A job whose process is killed is taken up by the next one, and has one effect.

The facade is a process of its own with its secrets in a real OpenBao; what is killed is all of it.
"""

import sqlite3
from contextlib import closing

import pytest
from service_runtime.service_auth import ServiceAuth
from service_runtime.vault_store import connect_secret_store

from tests.support.facade_process import FacadeProcess


@pytest.fixture(scope="module")
def accepts(vault_settings):
    return ServiceAuth(connect_secret_store(vault_settings("reconciliation"))).accepts


@pytest.fixture
def facade_process(openbao, settings_for, tmp_path):
    settings = settings_for(poll_s=0.1)
    names = {f"PRECEPTOR_FACADE_{name.upper()}": str(getattr(settings, name)) for name in settings.model_fields_set}
    started = FacadeProcess({**names, **openbao.environment("facade")}, tmp_path, settings.port)
    yield started
    started.stop()


async def test_a_job_of_a_killed_process_is_taken_up_by_the_next(facade_process, client_of, ward, suite, p, eventually):
    suite.drafting.delay_s = 1.5
    encounter = await ward.admit()
    await facade_process.start()
    client = client_of(facade_process.base_url)
    stay = p.given("encounter", "Reference", {"reference": encounter})
    accepted = await client.invoke("draft", stay, prefer="respond-async")
    assert accepted.status_code == 202, accepted.text
    location = accepted.headers["content-location"]
    await eventually(lambda: claimed(facade_process.database), 1)
    facade_process.kill()
    suite.drafting.delay_s = 0.0
    await facade_process.start()
    done = await eventually(lambda: client.get(location), lambda answer: answer.status_code == 200)
    (entry,) = done.json()["entry"]
    assert entry["response"]["status"] == "200 OK", entry["response"]
    kinds = {one["resource"]["resourceType"] for one in entry["resource"]["entry"]}
    assert {"Composition", "DetectedIssue", "Provenance"} <= kinds
    written = await eventually(lambda: ward.written(encounter), lambda one: bool(one["Composition"]))
    assert len(written["Composition"]) == 1
    log = facade_process.log.read_text()
    assert "job.finished" in log and "Doe" not in log


async def claimed(database):
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        query = "SELECT count(*) FROM operation_job WHERE lease_owner IS NOT NULL"
        return int(connection.execute(query).fetchone()[0])
