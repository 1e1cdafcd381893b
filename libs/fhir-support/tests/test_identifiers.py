"""What is caused by the same thing has the same identifier, and nothing else has."""

import uuid
from urllib.parse import parse_qs

from fhir_support.identifiers import EFFECT_TAG, deterministic_id, effect_tag, tag_query
from hypothesis import given
from hypothesis import strategies as st

PARTS = st.lists(st.text(max_size=20), min_size=1, max_size=4)


@given(PARTS, PARTS)
def test_identifiers_are_equal_exactly_when_their_causes_are(a: list[str], b: list[str]) -> None:
    assert (deterministic_id(*a) == deterministic_id(*b)) is (a == b)
    assert uuid.UUID(deterministic_id(*a)).version == 5


def test_a_conditional_create_searches_for_what_the_resource_carries() -> None:
    unique = deterministic_id("x")
    tag = effect_tag(unique)
    assert parse_qs(tag_query(unique)) == {"_tag": [f"{EFFECT_TAG}|{tag['code']}"]}
