"""The official validator for tests: built and started when the first test asks for it."""

import os
from collections.abc import Iterator

import pytest

from .build import built_validator, missing_tools
from .official import OfficialValidator, running

_REQUIRED = os.environ.get("PRECEPTOR_REQUIRE_VALIDATOR") == "1" or os.environ.get("CI") == "true"


@pytest.fixture(scope="session")
def official() -> Iterator[OfficialValidator]:
    """Return the running validator. Where its tools are missing, tests skip; in CI they fail."""
    if missing := missing_tools():
        reason = f"the official FHIR validator needs {', '.join(missing)}: no resource was validated"
        if _REQUIRED:
            pytest.fail(reason)
        pytest.skip(reason)
    with running(built_validator()) as validator:
        yield validator
