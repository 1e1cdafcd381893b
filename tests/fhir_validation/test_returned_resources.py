"""Every resource that leaves us by the FHIR endpoint or in a CDS card has no error by the official validator."""

import asyncio

import httpx
import pytest

from tests.interop.orders import draft_orders
from tests.interop.stays import ended_stay

from .official import errors_of
from .returned import asked, suggested

pytestmark = pytest.mark.timeout(900)  # the first run fetches and builds the validator

VALID = pytest.mark.requirement(
    "c6", "", "Every resource we return validates against R4 (structure, required bindings, invariants)"
)
STATUSES = {200, 202, 400, 401, 403, 404, 405, 406, 415, 501}


@pytest.fixture(scope="module")
def answers(addresses, facade, oauth_server, hospital_ward):
    """What the endpoint answers to everything, after a stay has ended."""

    async def run():
        async with hospital_ward() as client:
            await ended_stay(client, "Valid")
        base = addresses.own_base("oauth")
        token = await oauth_server.token("reader", base, "system/*.cruds")
        narrow = await oauth_server.token("reader", base, "system/Composition.rs")
        return await asked(addresses, token, narrow)

    return asyncio.run(run())


def test_answers_of_every_kind_are_among_them(answers):
    assert {one.status for one in answers} >= STATUSES
    kinds = {one.resource["resourceType"] for one in answers}
    assert {"Bundle", "CapabilityStatement", "OperationDefinition", "OperationOutcome", "Parameters"} <= kinds
    assert {"AuditEvent", "Composition", "DetectedIssue", "Device", "DocumentReference", "Provenance", "Task"} <= kinds


@VALID
def test_what_the_endpoint_returns_is_valid(official, answers):
    found = {one.name: [str(error) for error in errors_of(official.judge(one.resource))] for one in answers}

    assert {name: errors for name, errors in found.items() if errors} == {}


def test_no_element_is_empty(answers):
    def check(value, place):
        assert value not in (None, "", [], {}), place
        for key, child in (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        ):
            check(child, f"{place}.{key}")

    for one in answers:
        check(one.resource, one.name)


def test_references_between_our_results_lead_to_what_is_there(answers, addresses):
    """A relative reference is one of ours; an absolute one leads to the EHR that holds it."""
    base = addresses.own_base("oauth")
    ours = {f"{one.resource['resourceType']}/{one.resource['id']}" for one in answers if "id" in one.resource}
    ours |= {
        f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
        for one in answers
        for entry in one.resource.get("entry", [])
        if "id" in entry.get("resource", {})
    }
    for one in answers:
        for reference in _references(one.resource):
            if reference.startswith(base) or ("://" not in reference and not reference.startswith(("#", "urn:"))):
                assert reference.removeprefix(f"{base}/").partition("/_history")[0] in ours, (one.name, reference)


def _references(value):
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for child in value.values():
            yield from _references(child)
    elif isinstance(value, list):
        for child in value:
            yield from _references(child)


@VALID
def test_what_a_card_suggests_is_valid(official, gateway):
    answer = httpx.post(f"{gateway.url}/cds-services/order-sign", json=draft_orders(), timeout=30)
    assert answer.status_code == 200, answer.text

    resources = list(suggested(answer.json()))

    assert resources, answer.text
    for resource in resources:
        assert [str(error) for error in errors_of(official.judge(resource))] == []
