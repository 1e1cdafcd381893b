"""HealthChain's SandboxClient calls our CDS services and reads the answers by its own models.

It cannot sign, so a gateway that does stands before it; the service is no looser for it.
"""

import httpx
import pytest

from .signing_proxy import signing_proxy

pytestmark = pytest.mark.timeout(300)

PATIENT, USER, ENCOUNTER = "pat-cds", "Practitioner/dr-1", "enc-cds"


@pytest.fixture(scope="module")
def gateway(addresses, facade):
    with signing_proxy(addresses.gateway_port, facade) as proxy:
        yield proxy


def medication_request(number, text, milligrams, times):
    dose = {"value": milligrams, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}
    return {
        "resourceType": "MedicationRequest",
        "id": f"draft-{number}",
        "status": "draft",
        "intent": "order",
        "subject": {"reference": f"Patient/{PATIENT}"},
        "medicationCodeableConcept": {"text": text},
        "dosageInstruction": [
            {
                "timing": {"repeat": {"frequency": times, "period": 1, "periodUnit": "d"}},
                "doseAndRate": [{"doseQuantity": dose}],
            }
        ],
    }


def bundle(*resources, kind="searchset"):
    return {"resourceType": "Bundle", "type": kind, "entry": [{"resource": one} for one in resources]}


PREFETCH = {
    "patient": {"resourceType": "Patient", "id": PATIENT, "gender": "female", "birthDate": "1961-02-03"},
    **{
        name: {**bundle(), "total": 0}
        for name in ("medications", "allergies", "conditions", "observations", "coverage")
    },
}
CONTEXT = {"userId": USER, "patientId": PATIENT, "encounterId": ENCOUNTER}
ORDERS = bundle(medication_request(1, "Simvastatin", 80, 1), kind="collection")
TOO_MUCH = {**CONTEXT, "draftOrders": ORDERS}


@pytest.fixture
def call(run_client, gateway):
    def run(hook, **given):
        return run_client("healthchain_calls.py", url=f"{gateway.url}/cds-services/{hook}", hook=hook, **given)

    return run


@pytest.mark.requirement("e3", "", "Cards: summary, indicator, source, uuid, suggestions, override reasons, links")
async def test_an_order_above_the_limit_is_a_card_that_the_client_reads(call, gateway):
    (answer,) = call("order-sign", context=TOO_MUCH, prefetch=PREFETCH)

    cards = [card for card in answer["cards"] if "40 mg" in str(card)]
    assert cards, (answer, gateway.calls[-1])
    assert all(card["indicator"] in ("warning", "critical") for card in cards)
    assert all(len(card["summary"]) <= 140 and card["source"]["label"] for card in answer["cards"])


async def test_a_selected_order_is_checked_as_well(call):
    context = {**TOO_MUCH, "selections": ["MedicationRequest/draft-1"]}
    (answer,) = call("order-select", context=context, prefetch=PREFETCH)

    assert any("40 mg" in str(card) for card in answer["cards"])


@pytest.mark.parametrize("hook", ["patient-view", "encounter-discharge"])
async def test_hooks_that_look_at_documents_answer_the_client(call, hook, open_sekmet):
    (answer,) = call(hook, context=CONTEXT)

    assert isinstance(answer["cards"], list)


@pytest.mark.parametrize("hook", ["patient-view", "encounter-discharge"])
async def test_what_the_client_makes_up_by_itself_is_answered(call, gateway, hook):
    """Its prefetch is R5, has keys nobody asked for and is about another patient than its context: it is not used."""
    answers = call(hook)

    _, status, _ = gateway.calls[-1]
    assert status == 200
    assert [isinstance(answer["cards"], list) for answer in answers] == [True]


@pytest.mark.requirement("e5", "", "if the needed data cannot be had: 412")
async def test_an_order_without_the_data_it_needs_is_412(call, gateway):
    assert call("order-sign", context=TOO_MUCH) == [None]

    _, status, _ = gateway.calls[-1]
    assert status == 412


@pytest.mark.requirement("e4", "", "A refusal is a bare 401")
async def test_without_the_gateway_the_client_gets_nothing(run_client, facade):
    url = f"{facade}/cds-services/order-sign"

    assert run_client("healthchain_calls.py", url=url, hook="order-sign", context=TOO_MUCH, prefetch=PREFETCH) == [None]
    async with httpx.AsyncClient() as http:
        assert (await http.post(url, json={})).status_code == 401
