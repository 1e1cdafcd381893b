"""What resources are found by: dates of every precision, escaped values, and whose a reference is."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from facade.fhir.criteria import DateTest, criterion, split_values
from facade.fhir.home import Home
from facade.fhir.results import own_resources
from facade.fhir.served import COMMON, SERVED
from facade.fhir.terms import DateRange, date_range, patients_of
from fhir_support.errors import FhirError
from hypothesis import given
from hypothesis import strategies as st

EHR, BASE = "https://ehr.example.org/fhir", "https://us.example.org/fhir/north"
HOME = Home("north", EHR, (BASE, "https://us.example.org/fhir"))
FORMATS = ("%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%dT%H:%MZ", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ")
moments = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001  the strategy wants them so
spans = st.tuples(st.integers(0, 50), st.integers(1, 20)).map(lambda two: DateRange(two[0], two[0] + two[1]))


def micro(moment):
    return (moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@given(moments)
def test_a_date_stands_for_every_moment_within_it_and_the_more_exact_lies_in_the_less(moment):
    outer = DateRange(-(2**70), 2**70)
    for form in FORMATS:
        span = date_range(moment.strftime(form).zfill(4))
        assert span is not None
        assert span.low <= micro(moment) < span.high
        assert outer.low <= span.low < span.high <= outer.high
        outer = span


@given(moments, st.integers(-14 * 60, 14 * 60))
def test_a_zone_moves_a_date(moment, minutes):
    sign, hours = "+" if minutes >= 0 else "-", f"{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    span = date_range(f"{moment:%Y-%m-%dT%H:%M:%S}{sign}{hours}")
    utc = date_range(f"{moment:%Y-%m-%dT%H:%M:%S}Z")
    assert span is not None and utc is not None
    assert utc.low - span.low == minutes * 60_000_000


@given(st.text(max_size=40))
def test_no_text_breaks_the_reading_of_dates(text):
    span = date_range(text)
    assert span is None or (re.match(r"\d{4}", text) and span.low < span.high)


@given(spans, spans)
def test_the_prefixes_mean_what_they_mean_together(asked, held):
    holds = {prefix: DateTest(prefix, asked).holds(held) for prefix in ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")}
    assert holds["ne"] is not holds["eq"]
    assert holds["ge"] == (holds["gt"] or holds["eq"]) and holds["le"] == (holds["lt"] or holds["eq"])
    assert not holds["sa"] or holds["gt"]
    assert not holds["eb"] or holds["lt"]
    assert not (holds["sa"] and holds["eb"])


@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=5))
def test_values_come_back_out_of_their_escapes(values):
    written = ",".join(re.sub(r"([\\,$|])", r"\\\1", value) for value in values)
    read = [re.sub(r"\\(.)", r"\1", value) for value in split_values(written)]
    assert [value.replace("\n", "") for value in read] == [value.replace("\n", "") for value in values]


CODES = sorted({*COMMON, *(code for one in SERVED.values() for code in one.parameters)})


@given(
    st.sampled_from(sorted(SERVED)),
    st.one_of(st.sampled_from(CODES), st.text()),
    st.text(max_size=30),
)
def test_every_parameter_is_understood_or_refused(kind, name, value):
    try:
        assert criterion(kind, name, value, HOME).code == name.partition(":")[0]
    except FhirError as error:
        assert error.status == 400


@pytest.mark.parametrize(
    ("reference", "canonical"),
    [
        ("Composition/1", "Composition/1"),
        ("Composition/1/_history/2", "Composition/1"),
        (f"{BASE}/Composition/1", "Composition/1"),
        ("https://us.example.org/fhir/Composition/1", "Composition/1"),
        ("https://us.example.org/fhir/south/Composition/1", "https://us.example.org/fhir/south/Composition/1"),
        (f"{EHR}/Composition/1", f"{EHR}/Composition/1"),
        (f"{EHR}/Patient/1", "Patient/1"),
        ("Patient/1", "Patient/1"),
        (f"{EHR}/Patient/1/_history/4", "Patient/1"),
        ("https://evil.example/fhir/Patient/1", "https://evil.example/fhir/Patient/1"),
        (f"{EHR}.evil.example/Patient/1", f"{EHR}.evil.example/Patient/1"),
        (f"{EHR}/../Patient/1", f"{EHR}/../Patient/1"),
        ("https://user@ehr.example.org/fhir/Patient/1", "https://user@ehr.example.org/fhir/Patient/1"),
        ("urn:uuid:1", "urn:uuid:1"),
        ("#contained", "#contained"),
    ],
)
def test_a_resource_has_one_name_however_it_is_referred_to(reference, canonical):
    assert HOME.canonical(reference) == canonical


@pytest.mark.parametrize(
    ("said", "patient"),
    [
        ("1", "Patient/1"), ("Patient/1", "Patient/1"), (f"{EHR}/Patient/1", "Patient/1"), ("Practitioner/1", None),
        ("https://evil.example/Patient/1", None), (f"{BASE}/Patient/1", "Patient/1"), ("Patient/1/x", None), ("", None),
        ("Patient/", None), ("1,2", None), ("*", None), (None, None), (["1"], None), ({"id": "1"}, None), (7, None),
    ],
)  # fmt: skip
def test_whom_a_token_is_about_is_a_patient_of_the_ehr_or_nobody(said, patient):
    assert HOME.patient(said) == patient


def test_the_compartment_is_that_of_r4():
    def about(kind, **elements):
        return patients_of({"resourceType": kind, **elements}, HOME)

    anna, bert, doctor = ({"reference": f"{EHR}/{one}"} for one in ("Patient/anna", "Patient/bert", "Practitioner/1"))
    assert about("Composition", subject=anna, author=[doctor]) == {"Patient/anna"}
    both = {"Patient/anna", "Patient/bert"}
    assert about("Composition", subject=anna, author=[bert], attester=[{"party": doctor}]) == both
    assert about("Composition", subject=anna, attester=[{"party": bert}]) == both
    assert about("DocumentReference", subject=anna, author=[bert]) == both
    assert about("DetectedIssue", patient=anna, author=bert) == {"Patient/anna"}
    assert about("RiskAssessment", subject=anna) == {"Patient/anna"}
    assert about("Provenance", target=[anna, doctor]) == {"Patient/anna"}
    assert about("AuditEvent", agent=[{"who": bert}], entity=[{"what": anna}]) == both
    assert about("Task", **{"for": anna, "owner": bert}) == {"Patient/anna"}
    assert about("Device", patient=anna) == frozenset()
    assert about("DetectedIssue", patient={"reference": "https://evil.example/Patient/anna"}) == frozenset()
    assert about("DetectedIssue", patient={"identifier": {"value": "anna"}}) == frozenset()


def test_what_the_ehr_was_sent_has_our_ids_and_the_same_twice(examples):
    transaction = examples.bundles()["document"]
    how = {"document_id": "d", "ehr_base": EHR, "model": examples.reconciled().model}
    made = [{one["id"]: one for one in own_resources(transaction, **how)} for _ in range(2)]
    assert made[0] == made[1]
    assert len(made[0]) == len(transaction.names)
    assert not re.search(r"urn:uuid:[0-9a-f-]+\"?, *\"display", str(made[0]))
    task = next(one for one in made[0].values() if one["resourceType"] == "Task")
    assert task["for"]["reference"] == f"{EHR}/Patient/patient-1"
    assert task["output"][0]["valueReference"]["reference"].removeprefix("Composition/") in made[0]
