"""The HTTP surface: NDJSON of draft events, refusals that name no value of a chart."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from adapter_serving.adapters import AdapterRefused
from adapter_serving.batcher import EngineFailed
from adapter_serving.ingress import build_ingress
from litestar import Litestar
from litestar.testing import AsyncTestClient
from service_contracts.chart import Chart
from service_contracts.drafts import DraftFinished, DraftRequest, DraftSentence, SectionKey, draft_event
from service_runtime.secrets import SecretStoreUnavailable

TOKEN = {"Authorization": "Bearer right"}


class _Drafter:
    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure

    async def draft(self, request: DraftRequest) -> AsyncIterator[Any]:
        if self.failure:
            raise self.failure
        yield DraftSentence(section=SectionKey.DIET, index=0, text="Eat.")
        yield DraftFinished(complete=True)


async def _accepts(authorization: str | None) -> bool:
    if authorization == "Bearer sealed":
        raise SecretStoreUnavailable
    return authorization == "Bearer right"


def app(failure: Exception | None = None, ready: Callable[[], bool] = lambda: True) -> Litestar:
    drafter: Any = _Drafter(failure)
    return build_ingress(drafter, _accepts, ready, max_body_bytes=20_000, max_budget_ms=10_000)


@pytest.fixture
def body(chart: Chart) -> dict[str, Any]:
    return DraftRequest(task="discharge-instructions", chart=chart, budget_ms=4_000).model_dump(mode="json")


async def test_events_come_one_a_line(body: dict[str, Any]) -> None:
    async with AsyncTestClient(app()) as client:
        answer = await client.post("/v1/drafts", json=body, headers={**TOKEN, "X-Request-Id": "r-1"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")
    assert answer.headers["x-request-id"] == "r-1"
    events = [draft_event(json.loads(line)) for line in answer.text.splitlines()]
    assert [event.event for event in events] == ["sentence", "finished"]


@pytest.mark.parametrize(
    ("failure", "code"),
    [(AdapterRefused("not what it says"), "adapter-refused"), (EngineFailed(), "drafting-unavailable")],
)
async def test_a_failure_is_the_last_line(body: dict[str, Any], failure: Exception, code: str) -> None:
    async with AsyncTestClient(app(failure)) as client:
        answer = await client.post("/v1/drafts", json=body, headers=TOKEN)
    assert json.loads(answer.text.splitlines()[-1])["code"] == code


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "unauthorized"),
        ({"Authorization": "Bearer wrong"}, 401, "unauthorized"),
        ({"Authorization": "Bearer sealed"}, 503, "secret-store-unavailable"),
    ],
)
async def test_a_caller_without_the_token_is_refused(
    body: dict[str, Any], headers: dict[str, str], status: int, code: str
) -> None:
    async with AsyncTestClient(app()) as client:
        answer = await client.post("/v1/drafts", json=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    "change", [{"budget_ms": 0}, {"budget_ms": 11_000}, {"chart": "Marked Name"}, {"extra": "Marked Name"}]
)
async def test_a_wrong_request_is_refused_without_its_values(body: dict[str, Any], change: dict[str, Any]) -> None:
    async with AsyncTestClient(app()) as client:
        answer = await client.post("/v1/drafts", json=body | change, headers=TOKEN)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-request")
    assert "Marked Name" not in answer.text


async def test_a_body_above_the_limit_is_refused(body: dict[str, Any]) -> None:
    async with AsyncTestClient(app()) as client:
        answer = await client.post("/v1/drafts", json=body | {"task": "x" * 30_000}, headers=TOKEN)
    assert answer.status_code == 413


@pytest.mark.parametrize(("ready", "status"), [(True, 200), (False, 503)])
async def test_health_needs_no_token_and_tells_the_truth(ready: bool, status: int) -> None:
    async with AsyncTestClient(app(ready=lambda: ready)) as client:
        assert (await client.get("/healthz")).status_code == status
