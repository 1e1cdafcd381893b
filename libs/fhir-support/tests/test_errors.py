"""Every failure has a status and an OperationOutcome that is valid R4."""

import pytest
from fhir_support import errors
from fhir_support.errors import FhirError, InternalError
from fhir_support.r4 import validated

FAMILY = [getattr(errors, name) for name in errors.__all__ if isinstance(getattr(errors, name), type)]


@pytest.mark.parametrize("kind", FAMILY, ids=lambda kind: kind.__name__)
def test_each_failure_answers_with_a_valid_outcome(kind: type[FhirError]) -> None:
    error = kind()
    outcome = validated(error.outcome())
    assert outcome["issue"][0]["severity"] == "error"
    assert outcome["issue"][0]["details"]["text"] == error.text
    assert 400 <= error.status < 600


def test_an_internal_error_cannot_be_given_details() -> None:
    with pytest.raises(TypeError):
        InternalError("the database password is wrong")  # type: ignore[call-arg]


def test_no_two_failures_look_the_same() -> None:
    told = [(kind.status, kind.code) for kind in FAMILY if kind not in (FhirError, InternalError)]
    assert len(set(told)) == len(told)
