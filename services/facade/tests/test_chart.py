"""A chart from FHIR: what counts as leaving with a medicine, as a problem, as an allergy, and what does not."""

from datetime import date

import pytest
from facade.gather.chart import DISCHARGE_ORDER_SYSTEM, StayResources, chart_of
from service_contracts.chart import MedicationChange

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
STAY = {
    "resourceType": "Encounter",
    "id": "e",
    "meta": {"versionId": "4"},
    "status": "finished",
    "subject": {"reference": "Patient/p"},
    "period": {"start": "2026-11-20T08:00:00Z", "end": "2026-11-24T10:00:00Z"},
    "diagnosis": [
        {"condition": {"reference": "Condition/second"}, "rank": 2},
        {"condition": {"reference": "Condition/first"}, "rank": 1},
    ],
}
PATIENT = {"resourceType": "Patient", "id": "p", "gender": "female", "birthDate": "1961-12-01"}


def chart(**resources):
    return chart_of(StayResources(**{"encounter": STAY, "patient": PATIENT, **resources}), date(2026, 11, 25))


def concept(text, system=None, code=None):
    return {"text": text, **({"coding": [{"system": system, "code": code}]} if code else {})}


def order(drug, category="discharge", *, sig=None, encounter="e", **more):
    return {
        "resourceType": "MedicationRequest",
        "id": more.pop("id", f"{category}-{drug}"),
        "status": "active",
        "intent": "order",
        "category": [{"coding": [{"code": category}]}],
        "medicationCodeableConcept": concept(drug, RXNORM, drug),
        "encounter": {"reference": f"Encounter/{encounter}"},
        "authoredOn": "2026-11-24T09:00:00Z" if category == "discharge" else "2026-01-01",
        "dosageInstruction": [{"text": sig}] if sig else [],
        **more,
    }


def condition(identifier, text="Heart failure", *, status="active", **more):
    return {
        "resourceType": "Condition",
        "id": identifier,
        "code": concept(text, "http://snomed.info/sct", identifier),
        "clinicalStatus": {"coding": [{"code": status}]},
        **more,
    }


def allergy(text, status="active", code=None):
    return {
        "resourceType": "AllergyIntolerance",
        "id": text,
        "code": concept(text, "http://snomed.info/sct", code),
        "clinicalStatus": {"coding": [{"code": status}]},
        "reaction": [{"manifestation": [{"text": "Rash"}]}],
    }


def observation(loinc, value, when, status="final"):
    return {
        "resourceType": "Observation",
        "id": f"{loinc}-{when}",
        "status": status,
        "code": concept("x", "http://loinc.org", loinc),
        "valueQuantity": {"value": value, "unit": "mg/dL", "code": "mg/dL"},
        "effectiveDateTime": when,
    }


def test_a_stay_without_anything_is_a_chart_without_anything():
    empty = chart()
    assert (empty.encounter.reference, empty.encounter.version) == ("Encounter/e", "4")
    assert (empty.age_years, empty.sex) == (64, "female")
    assert (empty.medications, empty.conditions, empty.allergies, empty.orders) == ((), (), (), ())


def test_a_chart_holds_nothing_that_names_the_patient():
    named = {**PATIENT, "name": [{"family": "Quillfeather"}], "telecom": [{"value": "555-0100"}]}
    assert "Quillfeather" not in chart(patient=named).model_dump_json()
    assert "555-0100" not in chart(patient=named).model_dump_json()


@pytest.mark.parametrize(
    ("requests", "wanted"),
    [
        ([order("A")], {"A": MedicationChange.NEW}),
        ([order("A", sig="5 mg daily"), order("A", "community", sig="5 mg daily")], {"A": MedicationChange.CONTINUED}),
        ([order("A", sig="10 mg daily"), order("A", "community", sig="5 mg daily")], {"A": MedicationChange.CHANGED}),
        ([order("A", sig="5 mg BID"), order("A", "community", sig="5 mg daily")], {"A": MedicationChange.CHANGED}),
        ([order("A", sig="5 mg daily"), order("A", "community")], {"A": MedicationChange.CONTINUED}),
        ([order("A"), order("B", "community")], {"A": MedicationChange.NEW}),
        ([order("B", "community")], {"B": MedicationChange.CONTINUED}),
        ([order("A"), order("B", "community", status="stopped")], {"A": "new", "B": MedicationChange.STOPPED}),
        ([order("A", "inpatient")], {}),
        ([order("A", encounter="another")], {}),
        ([order("A", status="cancelled")], {}),
        ([order("A", status="entered-in-error")], {}),
        ([order("A", intent="plan")], {}),
    ],
    ids=[
        "new", "continued", "dose-changed", "rhythm-changed", "not-comparable", "home-only-is-not-listed",
        "no-discharge-list", "stopped", "inpatient-only", "another-stay", "cancelled", "error", "plan",
    ],
)  # fmt: skip
def test_what_the_patient_leaves_with(requests, wanted):
    found = {one.name: one.change for one in chart(medication_requests=requests).medications}
    assert found == wanted


def dosage(value=None, frequency=None, text=None, **repeat):
    quantity = {"doseQuantity": {"value": value, "unit": "mg", "code": "mg"}}
    timing = {"repeat": {"frequency": frequency, "period": 1, "periodUnit": "d", **repeat}}
    return {
        **({"text": text} if text else {}),
        **({"doseAndRate": [quantity]} if value else {}),
        **({"timing": timing} if frequency else {}),
    }


@pytest.mark.parametrize(
    ("instructions", "dose_mg", "times"),
    [
        ([dosage(500, 2)], 500, 2),
        ([dosage(text="500mg PO BID")], 500, 2),
        ([dosage(500, 2, "500mg PO BID")], 500, 2),
        ([dosage(875, 2, "875/125mg PO BID")], None, 2),
        ([dosage(500, 3, "500mg PO BID")], 500, None),
        ([dosage(250, 2, "500mg PO BID")], None, 2),
        ([dosage(500, 1, frequencyMax=2)], 500, None),
        ([dosage(40, 1), dosage(20, 1)], None, None),
        ([dosage()], None, None),
        ([], None, None),
    ],
    ids=[
        "structured", "text", "both-agree", "combination", "rhythms-differ", "doses-differ", "range", "taper",
        "says-nothing", "no-instruction",
    ],
)  # fmt: skip
def test_a_dose_that_is_stated_in_two_ways_is_no_dose(instructions, dose_mg, times):
    (one,) = chart(medication_requests=[order("A", dosageInstruction=instructions)]).medications
    assert (one.dose.value if one.dose else None, one.times_per_day) == (dose_mg, times)


def test_the_drug_is_found_wherever_the_order_keeps_it():
    by_reference = order("A", id="1")
    del by_reference["medicationCodeableConcept"]
    contained = {**by_reference, "id": "2", "medicationReference": {"reference": "#m"}}
    contained["contained"] = [{"resourceType": "Medication", "id": "m", "code": concept("Contained")}]
    referred = {**by_reference, "id": "3", "medicationReference": {"reference": "Medication/m"}}
    shown = {**by_reference, "id": "4", "medicationReference": {"reference": "Medication/x", "display": "Shown"}}
    nothing = {**by_reference, "id": "5"}
    medications = {"Medication/m": {"resourceType": "Medication", "id": "m", "code": concept("Referred")}}
    found = chart(medication_requests=[contained, referred, shown, nothing], medications=medications)
    assert [one.name for one in found.medications] == ["Contained", "Referred", "Shown", "unnamed medication"]


def test_the_principal_diagnosis_comes_first_and_old_problems_stay_out():
    found = chart(
        conditions=[
            condition("second", "Diabetes"),
            condition("first"),
            condition("old", "Broken arm", status="resolved"),
            condition("active", "Asthma"),
            condition("wrong", "Gout", verificationStatus={"coding": [{"code": "entered-in-error"}]}),
        ]
    ).conditions
    assert [(one.name, one.principal) for one in found] == [
        ("Heart failure", True),
        ("Diabetes", False),
        ("Asthma", False),
    ]


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ({"text": "(display unavailable)"}, None),
        ({"text": "Display unavailable", "coding": [{"display": "(display unavailable)"}]}, None),
        ({"coding": [{"display": "(display unavailable)"}, {"display": "Heart failure"}]}, "Heart failure"),
        ({"text": " ", "coding": [{"display": "Heart failure"}]}, "Heart failure"),
    ],
)
def test_a_condition_without_a_name_is_not_given_one(code, name):
    found = chart(conditions=[{**condition("first"), "code": code}]).conditions
    assert [one.name for one in found] == ([name] if name else [])


def test_having_no_allergy_is_no_allergy():
    found = chart(
        allergies=[allergy("Penicillin"), allergy("Latex", "resolved"), allergy("No known allergy", code="716186003")]
    ).allergies
    assert [(one.name, one.reaction) for one in found] == [("Penicillin", "Rash")]


def test_the_latest_final_value_of_the_stay_counts():
    found = chart(
        observations=[
            observation("2160-0", 1.0, "2026-11-21T08:00:00Z"),
            observation("2160-0", 1.4, "2026-11-23T08:00:00Z"),
            observation("2160-0", 9.9, "2026-11-24T08:00:00Z", status="preliminary"),
            observation("2160-0", 8.8, "2026-12-24T08:00:00Z"),
            observation("0000-0", 7.7, "2026-11-23T08:00:00Z"),
        ]
    ).observations
    assert [(one.name, one.value.value) for one in found] == [("creatinine", 1.4)]


def test_discharge_orders_keep_the_clinicians_words():
    def request(kind, **more):
        return {
            "resourceType": "ServiceRequest",
            "id": kind,
            "status": "active",
            "encounter": {"reference": "Encounter/e"},
            "category": [{"coding": [{"system": DISCHARGE_ORDER_SYSTEM, "code": kind}]}],
            "code": {"text": f"about {kind}"},
            **more,
        }

    found = chart(
        orders=[
            request("activity", patientInstruction="No lifting."),
            request("follow-up", occurrenceTiming={"repeat": {"boundsDuration": {"value": 6, "code": "wk"}}}),
            request("diet", status="revoked"),
            request("imaging"),
        ]
    ).orders
    assert [(one.kind, one.text) for one in found] == [("activity", "No lifting."), ("follow-up", "about follow-up")]
    assert (found[1].within.value, found[1].within.unit) == (6, "wk")


@pytest.mark.parametrize("status", ["active", "cancelled"])
def test_only_an_active_coverage_names_a_plan(status):
    coverage = {"status": status, "class": [{"type": {"coding": [{"code": "plan"}]}, "value": "plan-1"}]}
    assert chart(coverages=[coverage]).formulary_plan == ("plan-1" if status == "active" else None)
