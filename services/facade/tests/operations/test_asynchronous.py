"""``Prefer: respond-async``: accepted, asked for, and fetched by the client that began it."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
from facade.fhir.tenants import home_of
from facade.operations.prepared import Prepared
from facade.operations.worker import JobWorker
from facade.store.jobs import JobRow
from fhir_support.r4 import validated
from sqlalchemy import update

ASYNC = "respond-async"
QUESTION = "Which drug should be offered first to adults with type 2 diabetes?"


@pytest.fixture
def begin(alone, p):
    async def run(question=QUESTION, **more):
        return await alone.invoke("ask", p.given("question", "string", question), prefer=ASYNC, **more)

    return run


@pytest.fixture
def work(alone):
    """Does what the worker of a running facade does, until there is nothing to do."""

    async def run():
        container = alone.container
        base = container.settings.public_base_url
        worker = JobWorker(container.operations, lambda ehr_id: home_of(container.ehrs, base, ehr_id))
        while await worker.step():
            pass

    return run


async def change(client, **values):
    async with client.container.database.session() as session:
        await session.execute(update(JobRow).values(**values).execution_options(synchronize_session=False))


async def test_a_request_is_accepted_asked_for_and_its_result_fetched(begin, work, alone, p):
    accepted = await begin(headers={"X-Request-Id": "r-async"})
    assert (accepted.status_code, accepted.json()["resourceType"]) == (202, "OperationOutcome")
    location = accepted.headers["content-location"]
    assert location.startswith(f"{alone.base}/_async/") and accepted.headers["retry-after"]
    waiting = await alone.get(location)
    assert (waiting.status_code, waiting.headers["x-progress"], waiting.content) == (202, "waiting", b"")
    assert int(waiting.headers["retry-after"]) > 0
    await work()
    done = await alone.get(location)
    assert done.status_code == 200 and "GMT" in done.headers["expires"]
    bundle = done.json()
    assert validated(bundle) == bundle
    (entry,) = bundle["entry"]
    assert (bundle["type"], entry["response"]["status"]) == ("batch-response", "200 OK")
    p.follows("ask", entry["resource"])
    at_once = (await alone.invoke("ask", p.given("question", "string", QUESTION))).json()
    assert entry["resource"] == at_once, "the same answer as at once"
    assert await alone.events() == [("$ask", "0", None)] * 4, "asked, done, fetched, and asked at once"


@pytest.mark.parametrize(
    "other",
    [
        {"client_id": "another"},
        {"sub": "another person"},
        {"fhirUser": "Practitioner/2"},
        {"patient": "p-2"},
    ],
)
async def test_a_job_is_there_for_the_client_that_began_it_and_for_nobody_else(begin, work, alone, other):
    location = (await begin()).headers["content-location"]
    await work()
    for method in ("GET", "DELETE"):
        answer = await alone.get(location, method, **other)
        assert (answer.status_code, answer.json()["issue"][0]["code"]) == (404, "not-found")
    assert (await alone.http.get(location)).status_code == 401
    assert (await alone.get(location, scope="system/Composition.r")).status_code == 403, "not with less than it needs"
    assert (await alone.get(f"{alone.base}/_async/no-such-job")).status_code == 404
    assert (await alone.get(location)).status_code == 200


async def test_a_job_that_is_taken_back_is_forgotten(begin, work, alone):
    locations = [(await begin()).headers["content-location"] for _ in range(2)]
    assert (await alone.get(locations[0], "DELETE")).status_code == 202
    await work()
    assert (await alone.get(locations[1], "DELETE")).status_code == 202
    for location in locations:
        assert (await alone.get(location)).status_code == 404
        assert (await alone.get(location, "DELETE")).status_code == 404
    async with alone.container.database.reading() as session:
        rows = (await session.execute(JobRow.__table__.select())).mappings().all()
    assert [(row["sealed"], row["result"]) for row in rows] == [(b"", None)] * 2


async def test_a_result_is_kept_for_an_hour_and_then_deleted(begin, work, alone, monkeypatch):
    location = (await begin()).headers["content-location"]
    await work()
    left = parsedate_to_datetime((await alone.get(location)).headers["expires"]) - datetime.now(UTC)
    assert timedelta(minutes=58) < left <= timedelta(hours=1)
    await change(alone, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert (await alone.get(location)).status_code == 404
    monkeypatch.setattr("facade.operations.worker._SWEEP_EVERY_S", 0.0)
    await work()
    async with alone.container.database.reading() as session:
        assert (await session.execute(JobRow.__table__.select())).all() == []


async def test_an_input_that_is_wrong_is_refused_at_once(alone, p):
    answer = await alone.invoke("ask", p.given("question", "code", "x"), prefer=ASYNC)
    assert (answer.status_code, "content-location" in answer.headers) == (400, False)


async def test_a_failure_is_a_result_and_what_is_given_up_says_so(begin, work, alone, monkeypatch):
    services = alone.container.operations.by_name["ask"]._knowing
    monkeypatch.setattr(services, "_retrieval", "http://127.0.0.1:1/retrieval")
    location = (await begin()).headers["content-location"]
    await work()
    assert (await alone.get(location)).status_code == 202, "what is only unavailable is tried again"
    for _ in range(20):
        await change(alone, next_attempt_at=datetime.now(UTC))
        await work()
    given_up = await alone.get(location)
    assert given_up.status_code == 200
    (entry,) = given_up.json()["entry"]
    assert entry["response"]["status"].startswith("503") and "resource" not in entry
    assert entry["response"]["outcome"]["issue"][0]["code"] == "transient"


async def test_a_job_that_takes_too_long_once_is_tried_again(begin, work, alone, monkeypatch):
    class Hangs:
        async def prepare(self, *_):
            async def run(_):
                await asyncio.sleep(60)

            return Prepared(None, 50, run)

    monkeypatch.setattr("facade.operations.runner._LATER_S", 0.1)
    location = (await begin()).headers["content-location"]
    with monkeypatch.context() as changed:
        changed.setitem(alone.container.operations.by_name, "ask", Hangs())
        await work()
    assert (await alone.get(location)).status_code == 202
    monkeypatch.setattr("facade.operations.runner._LATER_S", 30.0)
    await change(alone, next_attempt_at=datetime.now(UTC))
    await work()
    (entry,) = (await alone.get(location)).json()["entry"]
    assert entry["response"]["status"] == "200 OK"


async def test_too_many_that_wait_are_refused(begin, alone, monkeypatch):
    monkeypatch.setattr("facade.operations.runner._MOST_WAITING", 2)
    assert [(await begin()).status_code for _ in range(3)] == [202, 202, 429]
    assert (await begin(claims={"client_id": "another"})).status_code == 202


async def test_what_is_kept_of_a_job_is_sealed(begin, work, tmp_path):
    await begin("Does Zebulon Quartzmark with type 2 diabetes need metformin?")
    await work()
    for path in tmp_path.iterdir():
        content = path.read_bytes()
        assert b"Quartzmark" not in content and b"metformin" not in content, path.name
