"""Resources are returned as R4 JSON without nulls, and a wrong one names its element but never its value."""

import json

import pytest
from fhir_support.r4 import ResourceInvalid, dump, validated

PATIENT = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Zyxwv"}], "birthDate": "1970-01-01"}


def test_a_valid_resource_comes_back_as_it_was() -> None:
    assert validated(PATIENT) == PATIENT
    assert b"null" not in dump(validated(PATIENT))


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"birthDate": "Zyxwv"}, "birthDate"),
        ({"name": [{"family": ["Zyxwv"]}]}, "name"),
        ({"favouriteColour": "Zyxwv"}, "favouriteColour"),
        ({"deceasedBoolean": True, "deceasedDateTime": "2020-01-01"}, "."),
    ],
)
def test_a_wrong_element_is_named_without_its_value(change: dict[str, object], path: str) -> None:
    with pytest.raises(ResourceInvalid) as caught:
        validated(PATIENT | change)
    assert "Zyxwv" not in str(caught.value)
    assert any(found.startswith(path) for found in caught.value.paths)


@pytest.mark.parametrize("resource_type", ["NoSuchThing", "", "patient", "os.path"])
def test_a_type_that_does_not_exist_is_refused(resource_type: str) -> None:
    with pytest.raises(ResourceInvalid):
        validated({"resourceType": resource_type})


def test_bytes_keep_every_letter() -> None:
    resource = validated(PATIENT | {"name": [{"family": "Ångström"}]})
    assert json.loads(dump(resource))["name"][0]["family"] == "Ångström"
