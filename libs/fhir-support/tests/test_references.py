"""A reference stays on the server it came from, however the address is written."""

import pytest
from fhir_support.references import InvalidReference, ResourceKey, is_below, resource_key
from hypothesis import given
from hypothesis import strategies as st

BASE = "https://ehr.example/fhir"


@pytest.mark.parametrize(
    ("url", "below"),
    [
        (BASE, True),
        (f"{BASE}/", True),
        (f"{BASE}/Patient/1", True),
        (f"{BASE}?_getpages=abc", True),
        ("https://ehr.example:443/fhir/Patient/1", True),
        ("https://EHR.example/fhir/Patient/1", True),
        ("https://ehr.example/fhirs/Patient/1", False),
        ("https://ehr.example/Patient/1", False),
        ("http://ehr.example/fhir/Patient/1", False),
        ("https://ehr.example:8443/fhir/Patient/1", False),
        ("https://ehr.example.evil.org/fhir/Patient/1", False),
        ("https://evil.org/https://ehr.example/fhir", False),
        ("https://ehr.example@evil.org/fhir/Patient/1", False),
        ("https://user:secret@ehr.example/fhir/Patient/1", False),
        ("https://ehr.example/fhir/../admin", False),
        ("https://ehr.example/fhir/../../fhir/Patient/1", False),
        ("https://ehr.example/fhir/%2e%2e/admin", False),
        ("https://ehr.example/fhir/%252e%252e/admin", False),
        ("https://ehr.example/fhir/..\\admin", False),
        ("https://ehr.example:port/fhir", False),
        ("//ehr.example/fhir/Patient/1", False),
        ("file:///fhir/Patient/1", False),
        ("", False),
    ],
)
def test_only_addresses_below_the_base_are_below_it(url: str, below: bool) -> None:
    assert is_below(url, BASE) is below


@pytest.mark.parametrize(
    ("reference", "key"),
    [
        ("Encounter/e-1", ResourceKey("Encounter", "e-1")),
        ("Encounter/e-1/_history/3", ResourceKey("Encounter", "e-1", "3")),
        (f"{BASE}/Encounter/e.1", ResourceKey("Encounter", "e.1")),
    ],
)
def test_literal_references_of_this_server_are_read(reference: str, key: ResourceKey) -> None:
    assert resource_key(reference, BASE) == key


@pytest.mark.parametrize(
    "reference",
    [
        "https://evil.example/fhir/Encounter/1",
        "urn:uuid:6f0b3f0e-7d4f-4b55-8b3c-0e8b4d6a8f00",
        "#contained",
        "Encounter",
        "Encounter/",
        "Encounter/../Patient/1",
        "Encounter?patient=1",
        "encounter/1",
        "Encounter/a/b",
        f"Encounter/{'a' * 65}",
        "",
    ],
)
def test_anything_else_is_refused(reference: str) -> None:
    with pytest.raises(InvalidReference):
        resource_key(reference, BASE)


@given(st.text(max_size=40))
def test_what_is_read_names_one_resource_and_nothing_more(reference: str) -> None:
    try:
        key = resource_key(reference, BASE)
    except InvalidReference:
        return
    assert resource_key(key.reference, BASE)[:2] == key[:2]
    assert not {"/", "?", "#", " "} & set(key.id)
