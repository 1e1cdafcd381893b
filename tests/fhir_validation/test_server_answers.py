"""Every kind of answer of ``/fhir`` has no error by the official validator."""

from typing import Any

import pytest

from .official import OfficialValidator, errors_of
from .server_answers import answers
from .test_written_resources import _facade_examples

pytestmark = pytest.mark.timeout(900)  # the first run fetches and builds the validator

ANSWERS = answers(_facade_examples())


@pytest.mark.requirement(
    "c6", "", "Every resource we return validates against R4 (structure, required bindings, invariants); references "
    "resolve; JSON has no nulls.",
)  # fmt: skip
@pytest.mark.parametrize("resource", [row[1] for row in ANSWERS], ids=[row[0] for row in ANSWERS])
def test_an_answer_is_valid(official: OfficialValidator, resource: dict[str, Any]) -> None:
    assert [str(error) for error in errors_of(official.judge(resource))] == []
