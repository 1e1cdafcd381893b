"""The HTTP surface: NDJSON for a good request, a code in JSON for a bad one, health without a token."""

import json

import pytest
from litestar.testing import TestClient
from reconciliation.ingress import NDJSON, build_ingress
from reconciliation.reconcile import Reconciler
from service_contracts.drafts import DraftFinished, DraftSentence, DraftStarted, ModelIdentity, SectionKey
from service_contracts.order_checks import OrderCheckAnswer
from service_contracts.reconciliation import ReconcileRequest, reconcile_event
from service_runtime.secrets import SecretStoreUnavailable

MODEL = ModelIdentity(
    base="b", base_digest="sha256:0", adapter="a", adapter_version="1", adapter_digest="sha256:1", template="t",
    template_version="1",
)  # fmt: skip
TOKEN = {"Authorization": "Bearer right"}


class Drafter:
    async def draft(self, request):
        yield DraftStarted(model=MODEL)
        yield DraftSentence(section=SectionKey.MEDICATIONS, index=0, text="Take metformin 500 mg twice a day.")
        yield DraftFinished(complete=True)


class Facts:
    def __init__(self, make):
        self.make = make

    async def evidence(self, query):
        return self.make.evidence([], [self.make.drug("Metformin")])


async def accepts(header):
    if header == "Bearer sealed":
        raise SecretStoreUnavailable("sealed")
    return header == "Bearer right"


@pytest.fixture
def client(make):
    app = build_ingress(Reconciler(Drafter(), Facts(make)), accepts, max_body_bytes=20_000, max_budget_ms=10_000)
    with TestClient(app) as one:
        yield one


@pytest.fixture
def body(make):
    of = make.chart(medications=[make.medication("Metformin", 500, times=2)])
    return ReconcileRequest(task="discharge-instructions", chart=of, budget_ms=2_000).model_dump(mode="json")


def test_a_good_request_streams_events_as_lines(client, body):
    answer = client.post("/v1/reconciliations", json=body, headers=TOKEN | {"X-Request-Id": "r-1"})
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, NDJSON)
    assert answer.headers["x-request-id"] == "r-1"
    events = [reconcile_event(json.loads(line)) for line in answer.text.splitlines()]
    assert [event.event for event in events] == ["sentence", "finished"]


@pytest.mark.parametrize(
    ("header", "status", "code"),
    [
        ({}, 401, "unauthorized"),
        ({"Authorization": "Bearer wrong"}, 401, "unauthorized"),
        ({"Authorization": "Bearer sealed"}, 503, "secret-store-unavailable"),
    ],
)
def test_a_request_without_the_service_token_is_refused(client, body, header, status, code):
    answer = client.post("/v1/reconciliations", json=body, headers=header)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"budget_ms": 0}, "invalid-request"),
        ({"budget_ms": 999_999}, "invalid-request"),
        ({"surname": "Marked"}, "invalid-request"),
        ({"task": "palm-reading"}, "task-not-reconciled"),
        ({"task": "triage"}, "task-not-reconciled"),
    ],
)
def test_a_bad_request_is_answered_with_a_code_and_without_its_values(client, body, change, code):
    answer = client.post("/v1/reconciliations", json=body | change, headers=TOKEN)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert "Marked" not in answer.text


def test_a_body_that_is_no_json_or_too_large_is_refused(client):
    assert client.post("/v1/reconciliations", content=b"{", headers=TOKEN).status_code == 400
    assert client.post("/v1/reconciliations", content=b" " * 30_000, headers=TOKEN).status_code == 413


def test_another_path_is_not_found_and_health_needs_no_token(client):
    assert client.get("/v1/nothing").json()["code"] == "request-refused"
    assert client.get("/healthz").json() == {"status": "ok"}


def test_orders_are_checked_in_one_answer(client, make):
    body = {
        "chart": make.chart().model_dump(mode="json"),
        "orders": [make.medication("Metformin", 500, times=2).model_dump(mode="json")],
        "budget_ms": 400,
    }
    answer = client.post("/v1/order-checks", json=body, headers=TOKEN | {"X-Request-Id": "r-2"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (200, "r-2")
    assert OrderCheckAnswer.model_validate(answer.json()).claims
    assert client.post("/v1/order-checks", json=body).status_code == 401
    assert client.post("/v1/order-checks", json=body | {"surname": "Marked"}, headers=TOKEN).status_code == 400
