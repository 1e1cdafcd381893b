"""Who does not hold the secret is refused before anything is read, and who does is taken at a steady rate."""

import asyncio
import json
from pathlib import Path

import pytest
from facade.app import build_app
from facade.subscriptions.channel_secrets import ChannelSecret, ChannelSecrets, secret_path
from facade.subscriptions.gate import NotificationGate, TokenBucket
from service_runtime.secrets import MemorySecretStore, SecretStoreUnavailable

from tests.support.facade_process import FacadeProcess
from tests.support.notification_flood import flood, interactive
from tests.support.notification_storm import free_port, served, simulated_entry
from tests.support.simulated_ehr import SimulatedEhr

FORGED = [
    None,
    "",
    "Bearer",
    "Bearer ",
    "Bearer wrong",
    "Bearer the secre",
    "Bearer the secret ",
    "Bearer  the secret",
    "bearer the secret",
    "the secret",
    "Basic dGhlIHNlY3JldA==",
    "Bearer the secret, Bearer the secret",
    "Bearer \xfe\xff",
    "Bearer " + "x" * 60_000,
]


async def call(app, authorization, path="/subscriptions/sandbox", method="POST"):
    """Send one request straight into the application; return status, headers, body, and how often it was read."""
    sent, reads = [], 0

    async def receive():
        nonlocal reads
        reads += 1
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message):
        sent.append(message)

    headers = [] if authorization is None else [(b"authorization", authorization.encode("latin-1"))]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": headers,
        "client": ("127.0.0.1", 1), "server": ("localhost", 80), "state": {},
    }  # fmt: skip
    await app(scope, receive, send)
    start, body = sent
    return start["status"], dict(start["headers"]), body["body"], reads


@pytest.mark.requirement("d2", "", "A limited-use secret in channel.header: who does not send it is refused.")
@pytest.mark.parametrize("authorization", FORGED, ids=range(len(FORGED)))
async def test_a_forged_secret_is_refused_and_the_body_is_not_read(receiving, authorization):
    status, headers, body, reads = await call(build_app(receiving.container), authorization)
    assert (status, reads) == (401, 0)
    assert headers[b"www-authenticate"] == b"Bearer"
    assert headers[b"content-type"] == b"application/fhir+json; charset=utf-8"
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert len(headers[b"x-request-id"]) == 36
    outcome = json.loads(body)
    assert (outcome["resourceType"], outcome["issue"][0]["code"]) == ("OperationOutcome", "login")
    assert await receiving.rows() == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/subscriptions/", 404),
        ("/subscriptions/another", 404),
        ("/subscriptions/sandbox/Encounter/1", 401),
        ("/subscriptions/sandbox/any/thing/else", 401),
        ("/subscriptions/..%2fhealthz", 404),
    ],
)
async def test_no_address_below_gets_round_the_secret(receiving, path, status):
    app = build_app(receiving.container)
    for method in ("POST", "PUT", "GET", "DELETE"):
        answer = await call(app, "Bearer wrong", path, method)
        assert (answer[0], answer[3]) == (status, 0)


async def test_a_sender_that_is_too_fast_is_told_when_to_come_again_and_others_are_not(receiving, monkeypatch):
    container = receiving.container
    parts = {"ehrs": container.ehrs, "secrets": container.receiver.secrets, "https": True}
    passed = []

    async def app(scope, receive, send):
        passed.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    gate = NotificationGate(app, **parts, rate_per_s=0.5, burst=3)
    answers = [await call(gate, "Bearer the secret") for _ in range(5)]
    assert [status for status, *_ in answers] == [200, 200, 200, 429, 429]
    _, headers, body, reads = answers[-1]
    assert headers[b"retry-after"] == b"2"
    assert (json.loads(body)["issue"][0]["code"], reads) == ("throttled", 0)
    assert (await call(gate, "Bearer wrong"))[0] == 401, "a wrong secret uses up nothing of the right one's rate"
    assert (await call(gate, None, "/healthz", "GET"))[0] == 200
    assert passed == ["/subscriptions/sandbox"] * 3 + ["/healthz"]


def test_a_bucket_refills_at_its_rate_and_no_further_than_its_size():
    now = 0.0
    bucket = TokenBucket(2.0, 4.0, clock=lambda: now)
    assert [bucket.take() for _ in range(5)] == [0, 0, 0, 0, 0.5]
    now = 1.0
    assert [bucket.take() for _ in range(3)] == [0, 0, 0.5]
    now = 1000.0
    assert [bucket.take() for _ in range(5)] == [0, 0, 0, 0, 0.5]


async def test_the_log_gets_one_line_a_second_and_no_more(receiving, monkeypatch):
    lines = []
    monkeypatch.setattr("facade.subscriptions.gate.log", lambda code, **fields: lines.append((str(code), fields)))
    monkeypatch.setattr("facade.subscriptions.gate._TELL_EVERY_S", 0.1)
    app = build_app(receiving.container)
    for _ in range(50):
        await call(app, "Bearer wrong")
    await asyncio.sleep(0.3)
    assert sum(fields["count"] for _, fields in lines) == 50
    assert len(lines) <= 3


class CountingStore:
    """A secret store that counts how often it is asked, and can be down."""

    def __init__(self, store):
        self._store = store
        self.asked = 0
        self.down = False

    async def read(self, path):
        self.asked += 1
        if self.down:
            raise SecretStoreUnavailable("down")
        return await self._store.read(path)

    async def write(self, path, fields):
        await self._store.write(path, fields)


@pytest.fixture
async def store():
    with pytest.warns(UserWarning, match="memory only"):
        store = CountingStore(MemorySecretStore())
    await store.write(secret_path("e"), {"token": "one"})
    return store


async def test_wrong_secrets_make_the_store_be_asked_once_a_second_at_most(store):
    secrets = ChannelSecrets(store)
    answers = await asyncio.gather(*(secrets.accepts("e", f"Bearer {number}") for number in range(500)))
    assert not any(answers)
    assert store.asked == 1
    assert await secrets.accepts("e", "Bearer one")
    assert store.asked == 1


async def test_a_store_that_is_down_is_not_asked_by_every_request(store):
    store.down = True
    secrets = ChannelSecrets(store)
    answers = await asyncio.gather(*(secrets.accepts("e", "Bearer one") for _ in range(500)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {SecretStoreUnavailable}
    assert store.asked == 1


async def test_a_secret_that_another_process_has_changed_is_found_at_once(store):
    secrets = ChannelSecrets(store)
    assert await secrets.accepts("e", "Bearer one")
    await store.write(secret_path("e"), {"token": "two"})
    secrets._looked.clear()  # a second has passed
    assert await secrets.accepts("e", "Bearer two")
    assert not await secrets.accepts("e", "Bearer one")


async def test_a_secret_grows_old_and_is_replaced_once_the_ehr_has_it(store):
    now = 1_000_000.0
    secrets = ChannelSecrets(store, clock=lambda: now)
    first = await secrets.get_or_make("e")
    assert first.token == "one", "what somebody else has put there is not ours to change"
    made = await secrets.change("e")
    await secrets.delivered("e", made)
    now += 89 * 86_400
    assert (await secrets.get_or_make("e")).token == made.token
    now += 2 * 86_400
    newer = await secrets.get_or_make("e")
    assert newer.token != made.token
    assert not newer.delivered
    assert await secrets.accepts("e", f"Bearer {made.token}")


def test_the_former_secret_is_accepted_for_a_while_and_an_empty_one_never():
    secret = ChannelSecret("new", former="old", former_until=100.0)
    assert secret.accepts("Bearer old", 99.0)
    assert not secret.accepts("Bearer old", 101.0)
    assert not ChannelSecret("new", delivered=False).accepts("Bearer ", 0.0)
    assert ChannelSecret("new", delivered=False, former="old").accepts("Bearer old", 1e12)


PATHS = ("/healthz", "/cds-services", "/workbench/none")


@pytest.mark.requirement("d2", "", "Fake notifications do not slow the interactive routes beyond their budget.")
async def test_a_flood_of_notifications_leaves_the_interactive_routes_their_time(openbao, tmp_path):
    """The whole figure (5,000 a second, beside quiet) is measured by ``python -m benchmarks notifications``."""
    ehr_port, port = free_port(), free_port()
    ehr = SimulatedEhr(f"http://localhost:{ehr_port}")
    (tmp_path / "ehrs.json").write_text(json.dumps([simulated_entry(ehr.base)]))
    process = FacadeProcess(
        {
            "PRECEPTOR_FACADE_PUBLIC_BASE_URL": f"http://localhost:{port}",
            "PRECEPTOR_FACADE_DATABASE_URL": f"sqlite+aiosqlite:///{Path(tmp_path) / 'facade.sqlite3'}",
            "PRECEPTOR_FACADE_EHRS_FILE": str(tmp_path / "ehrs.json"),
            "PRECEPTOR_FACADE_RECONCILIATION_URL": "http://localhost:1",
            "PRECEPTOR_FACADE_RETRIEVAL_URL": "http://localhost:1/retrieval",
            "PRECEPTOR_FACADE_PORT": str(port),
            **openbao.environment("facade"),
        },
        tmp_path,
        port,
    )
    async with served(ehr, ehr_port):
        try:
            await process.start()
            while (ehr.subscription or {}).get("status") != "active":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            (header,) = ehr.subscription["channel"]["header"]
            stored = process.count("SELECT count(*) FROM inbox_event")
            for secret, refused in (("x" * 43, "401"), (header.partition("Bearer ")[2], "429")):
                asked, sent = await asyncio.gather(
                    interactive(process.base_url, PATHS, 2.0), flood(port, secret, 2_000, 2.0)
                )
                assert sent["answers"][refused] > sent["sent"] * 0.5
                assert "0" not in sent["answers"], "no connection was lost"
                times = sorted(elapsed for values in asked.elapsed_ms.values() for elapsed in values)
                assert times[int(len(times) * 0.9)] < 500, asked
                if refused == "401":
                    assert set(sent["answers"]) == {"401"}
                    assert process.count("SELECT count(*) FROM inbox_event") == stored
                else:
                    assert sent["retry_after"] == sent["answers"]["429"]
            repeated = process.count("SELECT count(*) FROM inbox_event WHERE subscription = 'flood'")
            assert repeated == 1, "whatever was let through was one event"
        finally:
            await ehr.close()
            process.stop()
