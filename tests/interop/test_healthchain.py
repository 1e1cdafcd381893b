"""HealthChain's SandboxClient calls our CDS services, and its models read our answers.

It cannot sign, so a gateway that does stands before it; the service is no looser for it. Of a context it sends the user
and the patient alone, whatever it was given: what a hook requires beside those is missing, and that is what it is told.
"""

import json

import httpx
import pytest

from .orders import CONTEXT, PREFETCH, TOO_MUCH, draft_orders

pytestmark = pytest.mark.timeout(300)

CALLS = {
    "patient-view": {"hook": "patient-view", "context": CONTEXT},
    # Its own prefetch is R5, has keys nobody asked for and is of another patient than its context: it is not used.
    "patient-view made up": {"hook": "patient-view"},
    "encounter-discharge": {"hook": "encounter-discharge", "context": CONTEXT},
    "encounter-discharge made up": {"hook": "encounter-discharge"},
    "order-sign": {"hook": "order-sign", "context": TOO_MUCH, "prefetch": PREFETCH},
    "order-select": {
        "hook": "order-select",
        "context": {**TOO_MUCH, "selections": ["MedicationRequest/draft-1"]},
        "prefetch": PREFETCH,
    },
}
ANSWERED = ("patient-view", "patient-view made up")


@pytest.fixture(scope="module")
def got(run_client, gateway, facade):
    """What the client got, by call (the last is made without the gateway), and how it read an answer of order-sign."""
    calls = {name: {"url": f"{gateway.url}/cds-services/{call['hook']}", **call} for name, call in CALLS.items()}
    calls["unsigned"] = {**calls["patient-view"], "url": f"{facade}/cds-services/patient-view"}
    signed = httpx.post(f"{gateway.url}/cds-services/order-sign", json=draft_orders(), timeout=30)
    assert signed.status_code == 200, signed.text
    return run_client("healthchain_calls.py", calls=calls, answers={"order-sign": signed.json()})


@pytest.fixture
def passed_on(got, gateway):
    """Status and answer of each call that went through the gateway."""
    last = [(status, json.loads(body)) for _, status, body in gateway.calls[-len(CALLS) :]]
    return dict(zip(CALLS, last, strict=True))


@pytest.mark.parametrize("call", ANSWERED)
def test_a_call_is_answered(got, passed_on, call):
    assert passed_on[call][0] == 200
    assert isinstance(got["calls"][call]["cards"], list)


@pytest.mark.requirement("e6", "", "A request that is not whole is an error and no empty array of cards")
@pytest.mark.parametrize("call", [name for name in CALLS if name not in ANSWERED])
def test_what_it_leaves_out_is_told_and_no_empty_answer(got, passed_on, call):
    status, outcome = passed_on[call]

    assert got["calls"][call] is None
    assert (status, outcome["resourceType"]) == (400, "OperationOutcome")


@pytest.mark.requirement("e3", "", "Cards: summary, indicator, source, uuid, suggestions, override reasons, links")
def test_its_models_read_the_card_of_an_order_above_the_limit(got):
    cards = [card for card in got["answers"]["order-sign"]["cards"] if "40 mg" in str(card)]

    assert cards, got["answers"]
    assert all(card["indicator"] in ("warning", "critical") for card in cards)
    assert all(len(card["summary"]) <= 140 and card["source"]["label"] for card in cards)
    assert any(suggestion["actions"] for card in cards for suggestion in card.get("suggestions", []))


@pytest.mark.requirement("e4", "", "A refusal is a bare 401")
def test_without_the_gateway_the_client_gets_nothing(got, facade):
    assert got["calls"]["unsigned"] is None
    refused = httpx.post(f"{facade}/cds-services/patient-view", json={})
    assert (refused.status_code, refused.content) == (401, b"")
