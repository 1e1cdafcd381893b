"""The HTTP surface: answers for a good request, a code in JSON for a bad one, health that tells the truth."""

import pytest
from litestar.testing import TestClient
from retrieval.ingress import NotReady, build_ingress
from service_contracts.evidence import Evidence, Passage
from service_runtime.secrets import SecretStoreUnavailable

TOKEN = {"Authorization": "Bearer right"}


class Answers:
    """An index that is open, or not."""

    def __init__(self, make):
        self.make = make
        self.ready = True

    def check(self):
        if not self.ready:
            raise NotReady("index-not-open")

    async def evidence_for(self, query):
        self.check()
        if query.subjects[0].text == "trouble":
            raise RuntimeError("Marked")
        return Evidence(facts=(self.make.dose(),), resolved=(), searched=(), index_version="v")

    async def passages_for(self, query):
        self.check()
        return [Passage(id="p", text="words", source=self.make.source(), score=1.0)]


async def accepts(header):
    if header == "Bearer sealed":
        raise SecretStoreUnavailable("sealed")
    return header == "Bearer right"


@pytest.fixture
def searcher(make):
    return Answers(make)


@pytest.fixture
def client(searcher):
    app = build_ingress(lambda: searcher, accepts, max_body_bytes=20_000, max_budget_ms=10_000)
    with TestClient(app) as one:
        yield one


@pytest.fixture
def body(make):
    return make.query("Marked").model_dump(mode="json")


def test_evidence_and_passages_are_answered_as_the_contracts_say(client, body):
    answer = client.post("/v1/evidence", json=body, headers=TOKEN | {"X-Request-Id": "r-1"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (200, "r-1")
    assert Evidence.model_validate(answer.json()).facts[0].id == "dose/metformin"
    found = client.post("/v1/passages", json={"text": "words", "budget_ms": 100}, headers=TOKEN).json()
    assert [Passage.model_validate(one).id for one in found] == ["p"]


@pytest.mark.parametrize("route", ["/v1/evidence", "/v1/passages"])
@pytest.mark.parametrize(
    ("header", "status", "code"),
    [
        ({}, 401, "unauthorized"),
        ({"Authorization": "Bearer wrong"}, 401, "unauthorized"),
        ({"Authorization": "Bearer sealed"}, 503, "secret-store-unavailable"),
    ],
)
def test_a_request_without_the_service_token_is_refused(client, body, route, header, status, code):
    answer = client.post(route, json=body, headers=header)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    "change", [{"budget_ms": 0}, {"budget_ms": 99_999}, {"surname": "Marked"}, {"as_of": "Marked"}]
)
def test_a_bad_request_is_answered_with_a_code_and_without_its_values(client, body, change):
    answer = client.post("/v1/evidence", json=body | change, headers=TOKEN)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-request")
    assert "Marked" not in answer.text


def test_a_body_that_is_no_json_or_too_large_is_refused(client):
    assert client.post("/v1/evidence", content=b"{", headers=TOKEN).status_code == 400
    assert client.post("/v1/evidence", content=b" " * 30_000, headers=TOKEN).status_code == 413


def test_health_is_good_only_when_the_index_is_open(client, searcher, body):
    assert client.get("/healthz").json() == {"status": "ok"}
    searcher.ready = False
    assert (client.get("/healthz").status_code, client.get("/healthz").json()["code"]) == (503, "index-not-open")
    assert client.post("/v1/evidence", json=body, headers=TOKEN).status_code == 503
    assert client.post("/v1/passages", json={"text": "x", "budget_ms": 9}, headers=TOKEN).status_code == 503


def test_a_failure_says_nothing_of_its_cause_and_nothing_of_the_query_is_logged(client, make, capsys):
    answer = client.post("/v1/evidence", json=make.query("trouble").model_dump(mode="json"), headers=TOKEN)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal-error")
    client.post("/v1/evidence", json=make.query("Marked").model_dump(mode="json"), headers=TOKEN)
    output = "".join(capsys.readouterr())
    assert "Marked" not in answer.text + output and "trouble" not in output
