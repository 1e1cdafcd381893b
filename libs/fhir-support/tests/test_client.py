"""The client keeps its token to one server, reads whole answers or none, and sends a write once."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import httpx
import pytest
from fhir_support.client import (
    FhirAnswerInvalid,
    FhirClient,
    FhirClientError,
    FhirNotFound,
    FhirRequestRefused,
    FhirServerUnavailable,
    FhirVersionConflict,
)

BASE = "https://ehr.example/fhir"
Answer = Callable[[httpx.Request], httpx.Response]


@dataclass
class Tokens:
    """Hands out numbered tokens and counts how often it was asked for another one."""

    renewed: list[str] = field(default_factory=list)

    async def token(self) -> str:
        return "token-0"

    async def renew(self, refused: str) -> str:
        self.renewed.append(refused)
        return f"token-{len(self.renewed)}"


@dataclass
class Server:
    """Answers in turn, and keeps every request that reached the transport."""

    answers: list[Answer]
    requests: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answers[min(len(self.requests), len(self.answers)) - 1](request)


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., tuple[FhirClient, Server, Tokens]]]:
    opened: list[httpx.AsyncClient] = []

    def make(*answers: Answer, retries: int = 0) -> tuple[FhirClient, Server, Tokens]:
        server, tokens = Server(list(answers)), Tokens()
        http = httpx.AsyncClient(transport=httpx.MockTransport(server))
        opened.append(http)
        return FhirClient(BASE, http, tokens, retries=retries), server, tokens

    yield make
    for http in opened:
        await http.aclose()


def answer(content: object, status: int = 200, **headers: str) -> Answer:
    return lambda _: httpx.Response(status, json=content, headers=headers)


def bundle(*resources: dict[str, object], following: str | None = None) -> dict[str, object]:
    links = [{"relation": "next", "url": following}] if following else []
    return {"resourceType": "Bundle", "link": links, "entry": [{"resource": resource} for resource in resources]}


async def test_a_search_returns_every_page(connect: Callable[..., tuple[FhirClient, Server, Tokens]]) -> None:
    first, second = bundle({"id": "1"}, following=f"{BASE}?page=2"), bundle({"id": "2"})
    client, server, _ = connect(answer(first), answer(second))
    assert [found["id"] for found in await client.search("Condition", [("patient", "p")])] == ["1", "2"]
    assert all(request.headers["authorization"] == "Bearer token-0" for request in server.requests)


async def test_a_relative_next_page_is_below_the_base(
    connect: Callable[..., tuple[FhirClient, Server, Tokens]],
) -> None:
    client, server, _ = connect(answer(bundle(following="Condition?page=2")), answer(bundle()))
    await client.search("Condition", [])
    assert str(server.requests[1].url) == f"{BASE}/Condition?page=2"


@pytest.mark.parametrize(
    "following",
    [
        "https://evil.example/fhir?page=2",
        "https://ehr.example.evil.example/fhir?page=2",
        "http://ehr.example/fhir?page=2",
        "https://ehr.example/admin",
        "//evil.example/fhir",
        "../admin",
    ],
)
async def test_a_token_never_follows_a_page_to_another_server(
    connect: Callable[..., tuple[FhirClient, Server, Tokens]], following: str
) -> None:
    client, server, _ = connect(answer(bundle({"id": "1"}, following=following)), answer(bundle()))
    with pytest.raises(FhirAnswerInvalid):
        await client.search("Condition", [])
    assert len(server.requests) == 1


async def test_an_endless_search_is_not_half_an_answer(
    connect: Callable[..., tuple[FhirClient, Server, Tokens]],
) -> None:
    client, _, _ = connect(answer(bundle({"id": "1"}, following=f"{BASE}?again")))
    with pytest.raises(FhirAnswerInvalid):
        await client.search("Condition", [])


async def test_a_refused_token_is_renewed_once(connect: Callable[..., tuple[FhirClient, Server, Tokens]]) -> None:
    client, server, tokens = connect(answer({}, 401), answer({"id": "1"}))
    assert await client.read("Patient/1") == {"id": "1"}
    assert tokens.renewed == ["token-0"]
    assert server.requests[1].headers["authorization"] == "Bearer token-1"

    client, server, tokens = connect(answer({}, 401))
    with pytest.raises(FhirRequestRefused):
        await client.read("Patient/1")
    assert (len(server.requests), tokens.renewed) == (2, ["token-0"])


@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (400, FhirRequestRefused),
        (403, FhirRequestRefused),
        (404, FhirNotFound),
        (410, FhirNotFound),
        (409, FhirVersionConflict),
        (412, FhirVersionConflict),
        (429, FhirServerUnavailable),
        (500, FhirServerUnavailable),
        (503, FhirServerUnavailable),
        (302, FhirAnswerInvalid),
    ],
)
async def test_each_status_has_its_error_and_none_repeats_the_answer(
    connect: Callable[..., tuple[FhirClient, Server, Tokens]], status: int, raised: type[FhirClientError]
) -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"code": "processing", "diagnostics": "Zyxwv"}]}
    client, server, _ = connect(answer(outcome, status, location="https://evil.example/"))
    with pytest.raises(raised) as caught:
        await client.read("Patient/1")
    assert "Zyxwv" not in str(caught.value)
    assert len(server.requests) == 1
    if isinstance(caught.value, FhirRequestRefused):
        assert caught.value.issue_codes == ("processing",)


async def test_reads_are_tried_again_and_writes_are_not(
    connect: Callable[..., tuple[FhirClient, Server, Tokens]],
) -> None:
    client, server, _ = connect(answer({}, 503), answer({"id": "1"}), retries=1)
    await client.read("Patient/1")
    assert len(server.requests) == 2

    client, server, _ = connect(answer({}, 503), retries=3)
    with pytest.raises(FhirServerUnavailable):
        await client.create({"resourceType": "Task"})
    assert len(server.requests) == 1


async def test_writes_carry_their_conditions(connect: Callable[..., tuple[FhirClient, Server, Tokens]]) -> None:
    client, server, _ = connect(answer({"id": "1"}))
    await client.create({"resourceType": "Task"}, if_none_exist="identifier=x")
    await client.update({"resourceType": "Task", "id": "1"}, if_match="7")
    created, updated = server.requests
    assert created.headers["if-none-exist"] == "identifier=x"
    assert updated.headers["if-match"] == 'W/"7"'
    assert json.loads(updated.content) == {"resourceType": "Task", "id": "1"}


@pytest.mark.parametrize(
    "response",
    [
        {"resourceType": "Bundle", "type": "batch-response", "entry": [{}]},
        {"resourceType": "Bundle", "type": "transaction-response", "entry": []},
    ],
)
async def test_a_transaction_is_answered_entry_by_entry(
    connect: Callable[..., tuple[FhirClient, Server, Tokens]], response: dict[str, object]
) -> None:
    client, _, _ = connect(answer(response))
    with pytest.raises(FhirAnswerInvalid):
        await client.transaction({"resourceType": "Bundle", "type": "transaction", "entry": [{}]})


async def test_a_server_that_cannot_be_reached_is_unavailable(
    connect: Callable[..., tuple[FhirClient, Server, Tokens]],
) -> None:
    def unreachable(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("name or address of the patient's server", request=request)

    client, _, _ = connect(unreachable)
    with pytest.raises(FhirServerUnavailable) as caught:
        await client.read("Patient/1")
    assert "patient" not in str(caught.value)


async def test_a_body_that_is_not_a_json_object_cannot_be_used(
    connect: Callable[..., tuple[FhirClient, Server, Tokens]],
) -> None:
    for body in (b"<html>", b"[]", b'"text"'):
        client, _, _ = connect(lambda _, body=body: httpx.Response(200, content=body))
        with pytest.raises(FhirAnswerInvalid):
            await client.read("Patient/1")


async def test_requests_carry_the_headers_they_are_given(
    connect: Callable[..., tuple[FhirClient, Server, Tokens]],
) -> None:
    client, server, _ = connect(answer({}))
    await client.with_headers({"X-Request-Id": "r-1"}).capabilities()
    assert server.requests[0].headers["x-request-id"] == "r-1"
    assert str(server.requests[0].url) == f"{BASE}/metadata"
