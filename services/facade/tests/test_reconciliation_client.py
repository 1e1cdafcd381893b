"""What the facade makes of reconciliation's answers: a document, or one clear failure, never half of either."""

import asyncio
import json

import httpx
import pytest
from facade.pipeline.reconciliation import DraftingFailed, HttpReconciliation
from service_contracts.reconciliation import (
    CheckedSentence,
    ReconciledDocument,
    ReconcileRequest,
    ReconciliationFailed,
    ReconciliationFinished,
)
from service_runtime.request_id import accept_request_id
from service_runtime.secrets import SecretStoreUnavailable

SENTENCE = CheckedSentence(section="medications", index=0, text="Take it.")


class Token:
    async def header(self):
        return {"Authorization": "Bearer a service token"}


class Sealed:
    async def header(self):
        raise SecretStoreUnavailable("sealed")


@pytest.fixture
def run(examples):
    async def ask(answer, auth=None, budget_ms=500, grace_ms=200):
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            client = HttpReconciliation(
                http, auth or Token(), "http://serve.example.org/reconciliation/", grace_ms=grace_ms
            )
            request = ReconcileRequest(task="discharge-instructions", chart=examples.chart(), budget_ms=budget_ms)
            return [event async for event in client.reconcile(request)]

    return ask


def lines(*events):
    return "".join(f"{event if isinstance(event, str) else event.model_dump_json()}\n" for event in events)


async def test_sentences_come_first_and_the_document_last(run, examples):
    requests = []

    def answer(request):
        requests.append(request)
        finished = ReconciliationFinished(document=examples.reconciled())
        return httpx.Response(200, text=lines(SENTENCE, "", finished, SENTENCE))

    accept_request_id("r-9")
    events = await run(answer)
    assert [type(event) for event in events] == [CheckedSentence, ReconciledDocument]
    (request,) = requests
    assert str(request.url) == "http://serve.example.org/reconciliation/v1/reconciliations"
    assert request.headers["authorization"] == "Bearer a service token"
    assert request.headers["x-request-id"] == "r-9"
    assert json.loads(request.content)["budget_ms"] == 500


@pytest.mark.parametrize(
    ("status", "text", "code", "temporary"),
    [
        (200, lines(ReconciliationFailed(code="adapter-refused", message="no")), "adapter-refused", True),
        (200, lines(SENTENCE), "reconciliation-answer-invalid", True),
        (200, "", "reconciliation-answer-invalid", True),
        (200, "{", "reconciliation-answer-invalid", False),
        (200, lines('{"event": "surprise"}'), "reconciliation-answer-invalid", False),
        (200, lines('{"event": "sentence", "text": "Marked Name"}'), "reconciliation-answer-invalid", False),
        (200, lines("[]"), "reconciliation-answer-invalid", False),
        (400, "{}", "reconciliation-refused", False),
        (413, "{}", "reconciliation-refused", False),
        (401, "{}", "reconciliation-unavailable", True),
        (302, "", "reconciliation-unavailable", True),
        (500, "Marked Name", "reconciliation-unavailable", True),
        (503, "", "reconciliation-unavailable", True),
    ],
)
async def test_anything_else_is_a_failure_that_repeats_nothing(run, status, text, code, temporary):
    with pytest.raises(DraftingFailed) as failed:
        await run(lambda _: httpx.Response(status, text=text))
    assert (failed.value.code, failed.value.temporary) == (code, temporary)
    assert "Marked" not in failed.value.message
    assert failed.value.__cause__ is None


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError, httpx.ReadError])
async def test_a_broken_connection_is_unavailable(run, error):
    def answer(request):
        raise error("Marked Name", request=request)

    with pytest.raises(DraftingFailed) as failed:
        await run(answer)
    assert (failed.value.code, failed.value.temporary) == ("reconciliation-unavailable", True)


async def test_an_answer_that_never_ends_is_cut_off_after_the_budget_and_a_little(run):
    async def trickle():
        while True:
            yield lines(SENTENCE).encode()
            await asyncio.sleep(0.01)

    started = asyncio.get_running_loop().time()
    with pytest.raises(DraftingFailed) as failed:
        await run(lambda _: httpx.Response(200, content=trickle()), budget_ms=200, grace_ms=100)
    assert failed.value.code == "reconciliation-unavailable"
    assert asyncio.get_running_loop().time() - started < 2


async def test_without_the_service_token_nothing_is_sent(run):
    def answer(_):
        raise AssertionError("it was sent")

    with pytest.raises(DraftingFailed) as failed:
        await run(answer, auth=Sealed())
    assert failed.value.temporary
