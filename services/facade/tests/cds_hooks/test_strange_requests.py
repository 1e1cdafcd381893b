"""Requests that are almost right: whatever stands in a place, the answer is one of ours and never a failure."""

import copy
import json
import random

import pytest

STRANGE = [
    None, True, 0, -1, 1.5, 1e300, "", "x", "\u0000", "\ud800", "x" * 5_000, [], [[]], [None], {}, {"a": None},
    {"x": {"y": []}}, "2026-13-45", "Patient/../../admin", "{{context.patientId}}", 10**400,
]  # fmt: skip


def places(value, at=()):
    yield at
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in children:
        yield from places(one, (*at, name))


def changed(body, at, value):
    found = copy.deepcopy(body)
    inner = found
    for name in at[:-1]:
        inner = inner[name]
    inner[at[-1]] = value
    return found


@pytest.fixture
def whole(ehr):
    """A request with something in every part."""
    allergy = {"resourceType": "AllergyIntolerance", "id": "a-1", "code": {"text": "Penicillin"},
               "patient": {"reference": "Patient/patient-1"}}  # fmt: skip
    order = ehr.draft("Simvastatin", 80, 1, priorPrescription={"reference": "MedicationRequest/mr-0"})
    taken = ehr.order("Warfarin", 5, 1, reasonCode=[{"text": "Atrial fibrillation"}])
    return ehr.request("order-select", order, taken=[taken], allergies=[allergy])


async def test_one_strange_value_anywhere_never_fails_us(cds, whole):
    chance = random.Random(42)
    every = [at for at in places(whole) if at]
    wrong = []
    for _ in range(200):
        at, value = chance.choice(every), chance.choice(STRANGE)
        body = json.dumps(changed(whole, at, value)).encode()
        answer = await cds.call("order-select", body)
        if answer.status_code not in (200, 400, 412):
            wrong.append((at, repr(value)[:40], answer.status_code))
    assert wrong == []


@pytest.mark.parametrize("depth", [50, 400, 900, 5_000])
async def test_what_is_nested_deeply_never_fails_us(cds, whole, depth):
    draft = json.dumps(whole).encode().replace(b'"draft-simvastatin"', b"@")
    body = draft.replace(b"@", b'"draft-simvastatin", "extension": ' + b"[" * depth + b"]" * depth, 1)
    answer = await cds.call("order-select", body)
    assert answer.status_code in (200, 400)


@pytest.mark.parametrize("constant", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
async def test_numbers_that_are_none_are_refused_or_said_not_to_be_checked(cds, whole, constant):
    body = json.dumps(whole).encode().replace(b'"value": 80', b'"value": ' + constant)
    answer = await cds.call("order-select", body)
    if answer.status_code == 200:
        assert answer.json()["cards"]
    else:
        assert answer.status_code == 400


@pytest.mark.parametrize(
    "item",
    [
        {"card": "\u0000", "outcome": "overridden", "outcomeTimestamp": "2026-11-25T10:00:00Z"},
        {"card": "x" * 1_000, "outcome": "overridden", "outcomeTimestamp": "2026-11-25T10:00:00Z"},
        {
            "card": "6d037c46-a16c-5bd5-9232-000000000000",
            "outcome": "overridden",
            "outcomeTimestamp": "0001-01-01T00:00:00+14:00",
        },
        {"card": "6d037c46-a16c-5bd5-9232-000000000000", "outcome": "overridden", "outcomeTimestamp": 1e300},
        {"card": "6d037c46-a16c-5bd5-9232-000000000000", "outcome": ["overridden"], "outcomeTimestamp": "2026-11-25"},
        None,
        [],
        "text",
    ],
)
async def test_strange_feedback_never_fails_us(cds, item):
    assert (await cds.feedback("order-sign", item)).status_code in (400, 404)
