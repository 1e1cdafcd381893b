"""What comes in over HTTP and is refused: a clear OperationOutcome, and nothing changed."""

import asyncio
import base64
import json

import pytest
from facade.app import build_app
from facade.container import build_container
from facade.settings import FacadeSettings
from facade.store.tables import InboxRow
from facade.subscriptions.channel_secrets import secret_path
from litestar.testing import AsyncTestClient
from service_runtime.secrets import MemorySecretStore, SecretStoreUnavailable
from sqlalchemy import func, select

ENTRY = json.loads(
    """{"id": "sandbox", "name": "EHR", "issuer": "http://localhost:1/fhir", "fhir_base": "http://localhost:1/fhir",
    "backend_client_id": "preceptor-backend", "backend_scopes": "system/Encounter.rs", "launch_client_id": "preceptor",
    "launch_scopes": "openid", "encounter_topic": "http://example.org/topic"}"""
)
TOKEN = {"Authorization": "Bearer the secret"}


@pytest.fixture
async def container(tmp_path):
    (tmp_path / "ehrs.json").write_text(json.dumps([ENTRY]))
    with pytest.warns(UserWarning, match="memory only"):
        secrets = MemorySecretStore()
    await secrets.write(secret_path("sandbox"), {"token": "the secret"})
    settings = FacadeSettings(
        public_base_url="https://preceptor.example.org",
        database_url=f"sqlite+aiosqlite:///{tmp_path / 'facade.sqlite3'}",
        ehrs_file=tmp_path / "ehrs.json",
        reconciliation_url="http://localhost:1/reconciliation",
        retrieval_url="http://localhost:1/retrieval",
        readiness_timeout_s=0.5,
        notification_max_bytes=10_000,
    )
    return build_container(settings, secrets)


@pytest.fixture
async def client(container):
    async with AsyncTestClient(build_app(container)) as one:
        yield one


async def stored_events(container):
    async with container.database.reading() as session:
        return (await session.execute(select(func.count()).select_from(InboxRow))).scalar_one()


def event(number="1", focus="Encounter/1", kind="event-notification"):
    part = [{"name": "event-number", "valueString": number}, {"name": "focus", "valueReference": {"reference": focus}}]
    parameter = [
        {"name": "subscription", "valueReference": {"reference": "Subscription/s"}},
        {"name": "type", "valueCode": kind},
        {"name": "events-since-subscription-start", "valueString": number},
        *([{"name": "notification-event", "part": part}] if kind == "event-notification" else []),
    ]
    status = {"resourceType": "Parameters", "parameter": parameter}
    return {"resourceType": "Bundle", "type": "history", "entry": [{"resource": status}]}


def outcome_of(answer):
    assert answer.headers["content-type"].startswith("application/fhir+json")
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome"
    return body["issue"][0]["code"]


@pytest.mark.parametrize(
    ("path", "headers", "content", "status", "code"),
    [
        ("/subscriptions/unknown", TOKEN, b"{}", 404, "not-found"),
        ("/subscriptions/sandbox", {}, b"{}", 401, "login"),
        ("/subscriptions/sandbox", {"Authorization": "Bearer wrong"}, b"{}", 401, "login"),
        ("/subscriptions/sandbox", {"Authorization": "Bearer the secret "}, b"{}", 401, "login"),
        ("/subscriptions/sandbox", {"Authorization": "the secret"}, b"{}", 401, "login"),
        ("/subscriptions/sandbox", {"Authorization": "Basic \xe9"}, b"{}", 401, "login"),
        ("/subscriptions/sandbox", TOKEN, b"x" * 10_001, 413, "too-long"),
        ("/subscriptions/sandbox", TOKEN, b"{", 400, "invalid"),
        ("/subscriptions/sandbox", TOKEN, b'{"resourceType": "Patient"}', 400, "invalid"),
        ("/subscriptions/sandbox", TOKEN, b'{"resourceType": ["Encounter"]}', 400, "invalid"),
        ("/subscriptions/sandbox/more", TOKEN, b"{}", 404, "not-found"),
    ],
)
async def test_a_bad_notification_gets_an_outcome_and_changes_nothing(
    client, container, path, headers, content, status, code
):
    before = await stored_events(container)
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = await client.post(path, headers=encoded, content=content)
    assert (answer.status_code, outcome_of(answer)) == (status, code)
    assert await stored_events(container) == before
    if status == 401:
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.fixture
async def raw(container):
    """Sends what no client would send, straight into the application; returns the status."""

    async def call(headers, chunks):
        sent, left = [], list(chunks)

        async def receive():
            body = left.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(left)}

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
            "path": "/subscriptions/sandbox", "raw_path": b"/subscriptions/sandbox", "query_string": b"",
            "root_path": "", "headers": [(b"authorization", b"Bearer the secret"), *headers],
            "client": ("127.0.0.1", 1), "server": ("localhost", 80), "state": {},
        }  # fmt: skip
        await build_app(container)(scope, receive, send)
        return sent[0]["status"], len(left)

    await container.database.migrate()
    yield call
    await container.http.aclose()
    await container.database.close()


async def test_a_large_body_that_comes_in_pieces_is_not_read_to_its_end(raw):
    assert await raw([], [b"x" * 5_000] * 9) == (413, 6)


async def test_a_body_that_says_it_is_large_is_not_read_at_all(raw):
    assert await raw([(b"content-length", b"10001")], [b"x"]) == (413, 1)


@pytest.mark.parametrize("length", [b"x", b"-1", b"1e3", b"\xb2"])
async def test_a_length_that_is_no_number_is_refused(raw, length):
    assert (await raw([(b"content-length", length)], [b"{}"]))[0] == 400


async def test_a_notification_is_stored_once_and_acknowledged_each_time(client, container):
    before = await stored_events(container)
    for _ in range(3):
        answer = await client.post("/subscriptions/sandbox", headers=TOKEN, json=event())
        assert answer.status_code == 200
    assert await stored_events(container) == before + 1


async def test_a_store_that_is_sealed_means_try_again_later(client, container, monkeypatch):
    async def sealed(*_, **__):
        raise SecretStoreUnavailable("sealed")

    monkeypatch.setattr(container.cipher, "seal", sealed)
    answer = await client.post("/subscriptions/sandbox", headers=TOKEN, json=event())
    assert (answer.status_code, outcome_of(answer)) == (503, "transient")


async def test_a_fault_of_ours_names_the_request_and_nothing_else(client, container, monkeypatch):
    async def broken(*_):
        raise RuntimeError("Marked Name was admitted")

    monkeypatch.setattr(type(container.receiver), "receive", broken)
    answer = await client.post("/subscriptions/sandbox", headers={**TOKEN, "X-Request-Id": "r-17"}, json=event())
    assert (answer.status_code, outcome_of(answer)) == (500, "exception")
    assert answer.json()["issue"][0]["details"]["text"] == "The request could not be served. Request r-17."
    assert "Marked" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nothing", 404), ("DELETE", "/healthz", 405), ("POST", "/readyz", 405)]
)
async def test_another_address_or_method_gets_an_outcome(client, method, path, status):
    answer = await client.request(method, path)
    assert answer.status_code == status
    outcome_of(answer)


async def test_every_answer_has_an_id_and_the_security_headers(client):
    for path in ("/healthz", "/nothing", "/.well-known/jwks.json"):
        answer = await client.get(path, headers={"X-Request-Id": "a bad id\u00e9".encode()})
        assert len(answer.headers["x-request-id"]) == 36
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["strict-transport-security"].startswith("max-age=")
    answer = await client.get("/healthz", headers={"X-Request-Id": "mine-1"})
    assert answer.headers["x-request-id"] == "mine-1"


@pytest.mark.requirement(
    "a1",
    "hl7.fhir.uv.smart-app-launch_2.2.0@302",
    "[For the URL to JWK Set method ... the value] ... SHALL be accessible via TLS without client authentication or "
    "authorization",
)
@pytest.mark.requirement(
    "a1",
    "hl7.fhir.uv.smart-app-launch_2.2.0@303",
    "client SHOULD return a “Cache-Control” header in its JWKS response",
)
@pytest.mark.requirement(
    "a5",
    "hl7.fhir.uv.smart-app-launch_2.2.0@313",
    "each JWK SHALL represent an asymmetric key by including `kty` and `kid` properties, with content conveyed using "
    "“bare key” properties",
)
async def test_the_key_set_is_public_and_may_be_kept_for_a_while(client, container):
    answer = await client.get("/.well-known/jwks.json")
    curve, rsa = answer.json()["keys"]
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert (curve["kty"], curve["crv"], curve["alg"]) == ("EC", "P-384", "ES384")
    assert (rsa["kty"], rsa["e"], rsa["alg"]) == ("RSA", "AQAB", "RS384")
    assert curve["kid"] != rsa["kid"]
    for key in (curve, rsa):
        assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & key.keys()
        assertion = await container.assertions.make(
            client_id="c", token_url="https://ehr.example.org/token", algorithm=key["alg"]
        )
        assert json.loads(_decoded(assertion.split(".")[0]))["kid"] == key["kid"]


async def test_ready_tells_what_does_not_work(client, container, monkeypatch):
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"secret-store": "ok", "database": "ok", "reconciliation": "failed"}

    async def hangs():
        await asyncio.sleep(60)

    async def fine():
        return None

    monkeypatch.setattr(container.secrets, "check", hangs)
    monkeypatch.setattr(container.reconciliation, "check", fine)
    answer = await client.get("/readyz")
    assert answer.json() == {"secret-store": "failed", "database": "ok", "reconciliation": "ok"}


def _decoded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
