"""What a launch asks for, and what is said to be missing."""

import pytest
from facade.smart.scopes import not_granted, requested_scopes


def test_a_standalone_launch_asks_for_the_choice_of_patient_and_stay():
    registered = "openid launch launch/patient patient/Patient.rs"

    assert requested_scopes(registered, standalone=False) == registered
    assert requested_scopes(registered, standalone=True) == (
        "openid launch/patient patient/Patient.rs launch/encounter"
    )


@pytest.mark.requirement(
    "a8",
    "hl7.fhir.uv.smart-app-launch_2.2.0@147",
    "clients should examine the granted scopes by the authorization server and respond accordingly.",
)
@pytest.mark.parametrize(
    ("requested", "granted", "missing"),
    [
        ("openid fhirUser launch", "openid fhirUser launch", ()),
        ("patient/Patient.rs", "patient/Patient.rs", ()),
        ("patient/Patient.rs", "patient/*.rs", ()),
        ("patient/Patient.rs", "patient/Patient.read", ()),
        ("patient/Patient.rs", "patient/*.*", ()),
        ("patient/Patient.rs", "patient/Patient.r patient/Patient.s", ()),
        ("patient/Patient.rs", "patient/Patient.r", ("the patient's name, birth date and sex",)),
        ("patient/Patient.rs", "user/Patient.rs", ("the patient's name, birth date and sex",)),
        ("patient/Patient.rs", "patient/Patient.sr", ("the patient's name, birth date and sex",)),
        ("patient/Encounter.rs", "patient/Encounter.rs?class=IMP", ("the hospital stay",)),
        ("user/Practitioner.rs user/PractitionerRole.rs", "", ("your name",)),
        ("online_access", "", ("staying signed in after the EHR's token has run out",)),
        ("user/Coverage.rs", "", ("user/Coverage.rs",)),
        ("launch/patient launch openid", "", ()),
    ],
)
def test_scopes_are_compared_by_their_meaning(requested, granted, missing):
    assert not_granted(requested, granted) == missing
