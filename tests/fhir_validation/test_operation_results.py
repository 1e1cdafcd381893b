"""Every answer of the operations, and each of their definitions, has no error by the official validator."""

from typing import Any

import pytest

from .official import OfficialValidator, errors_of
from .operation_results import results
from .test_written_resources import _facade_examples

pytestmark = pytest.mark.timeout(900)  # the first run fetches and builds the validator

RESULTS = list(results(_facade_examples()))


@pytest.mark.requirement(
    "c6", "", "Every resource we return validates against R4 (structure, required bindings, invariants)"
)
@pytest.mark.parametrize("resource", [row[1] for row in RESULTS], ids=[row[0] for row in RESULTS])
def test_an_answer_is_valid(official: OfficialValidator, resource: dict[str, Any]) -> None:
    assert [str(error) for error in errors_of(official.judge(resource))] == []


def test_answers_have_no_nulls_and_no_empty_elements() -> None:
    def check(value: Any, place: str) -> None:
        assert value is not None and value != "" and value != [] and value != {}, place
        for key, child in (
            value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ())
        ):
            check(child, f"{place}.{key}")

    for name, resource in RESULTS:
        check(resource, name)
