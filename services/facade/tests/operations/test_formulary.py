"""``$formulary``: what a plan's formulary in force says; nothing is covered by default."""

import pytest
from fhir_support.r4 import validated

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"


def coded(code, text=None):
    return {"coding": [{"system": RXNORM, "code": code}], **({"text": text} if text else {})}


@pytest.fixture
def look_up(alone, p):
    async def run(medication, *, plan="plan-north", **more):
        given = [p.given("plan", "string", plan)] if plan else []
        given.append(p.given("medication", "CodeableConcept", medication))
        given += [p.given("asOf", "date", more.pop("asOf"))] if "asOf" in more else []
        return await alone.invoke("formulary", *given, **more)

    return run


def flags(entry):
    return tuple(entry[name][0] for name in ("covered", "priorAuthorization", "stepTherapy", "quantityLimit"))


@pytest.mark.parametrize(
    ("medication", "coverage", "entries"),
    [
        ({"text": "Metformin"}, "covered", {("metformin 500 MG Oral Tablet", (True, False, False, False))}),
        (coded("1364445"), "covered", {("apixaban 5 MG Oral Tablet", (True, True, True, False))}),
        (coded("314231", "simvastatin"), "covered", {("simvastatin 10 MG Oral Tablet", (True, False, False, True))}),
        (coded("200345"), "not-covered", {("simvastatin 80 MG Oral Tablet", (False, False, False, False))}),
        (
            {"text": "simvastatin"},
            "varies",
            {
                ("simvastatin 10 MG Oral Tablet", (True, False, False, True)),
                ("simvastatin 80 MG Oral Tablet", (False, False, False, False)),
            },
        ),
        ({"text": "ivabradine"}, "not-covered", {("ivabradine 5 MG Oral Tablet", (False, False, False, False))}),
    ],
)
async def test_an_entry_is_returned_with_its_source_and_its_dates(look_up, p, medication, coverage, entries):
    answer = await look_up(medication, asOf="2026-06-01")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    validated(body)
    p.follows("formulary", body)
    assert (p.of(body, "coverage"), p.of(body, "reason")) == ([coverage], [])
    found = p.of(body, "entry")
    assert {(one["drug"][0]["text"], flags(one)) for one in found} == entries
    for one in found:
        assert one["version"] == ["2"] and one["inForce"] == [{"start": "2026-01-01", "end": "2026-12-31"}]
        assert (
            "North: drug formulary" in one["citation"][0]["display"] and "plan-north" in one["citation"][0]["citation"]
        )


@pytest.mark.parametrize(
    ("medication", "more", "reason"),
    [
        ({"text": "metformin"}, {"asOf": "2025-12-31"}, "no-formulary-in-force"),
        ({"text": "metformin"}, {"asOf": "2027-01-01"}, "no-formulary-in-force"),
        ({"text": "metformin"}, {"plan": "plan-south", "asOf": "2026-06-01"}, "no-formulary-in-force"),
        ({"text": "lisinopril"}, {"asOf": "2026-06-01"}, "no-entry"),
        ({"text": "no such drug at all"}, {"asOf": "2026-06-01"}, "medication-unknown"),
    ],
)
async def test_where_nothing_in_force_says_anything_that_is_said(look_up, p, medication, more, reason):
    body = (await look_up(medication, **more)).json()
    p.follows("formulary", body)
    assert (p.of(body, "coverage"), p.of(body, "reason"), p.of(body, "entry")) == (["unknown"], [reason], [])
    (statement,) = p.of(body, "statement")
    assert "nothing" in statement and "lists the medication" not in statement


@pytest.mark.parametrize(
    ("medication", "plan", "code", "expression"),
    [
        ({"text": "metformin"}, "", "required", "Parameters.parameter"),
        ({"coding": [{"system": "urn:x", "code": "1"}]}, "plan-north", "required", "Parameters.parameter[1].value"),
    ],
)
async def test_a_wrong_input_is_named_by_its_place(look_up, medication, plan, code, expression):
    answer = await look_up(medication, plan=plan)
    assert answer.status_code == 400
    assert [(one["code"], one["expression"]) for one in answer.json()["issue"]] == [(code, [expression])]


async def test_both_a_plan_and_a_coverage_are_one_too_many(alone, p):
    answer = await alone.invoke(
        "formulary",
        p.given("plan", "string", "plan-north"),
        p.given("coverage", "Reference", {"reference": "Coverage/1"}),
        p.given("medication", "CodeableConcept", {"text": "metformin"}),
    )
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (400, "invariant")


async def test_with_retrieval_down_nothing_is_said_of_coverage(look_up, alone, monkeypatch):
    services = alone.container.operations.by_name["formulary"]._knowing
    monkeypatch.setattr(services, "_retrieval", "http://127.0.0.1:1/retrieval")
    answer = await look_up({"text": "metformin"}, asOf="2026-06-01")
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (503, "transient")
