"""Every resource the facade writes has no error by the official validator."""

import importlib.util
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from .official import OfficialValidator, errors_of
from .written import Bundle, failed_drafting, preliminary, signed

pytestmark = pytest.mark.timeout(900)  # the first run fetches and builds the validator

TRANSACTIONS: dict[str, Callable[[], Bundle]] = {
    "a preliminary document": preliminary,
    "a signed document": signed,
    "a failed drafting": failed_drafting,
}
# What an EHR must receive from these; a type that is no longer written must be missed here.
WRITTEN_TYPES = {"AuditEvent", "Composition", "DetectedIssue", "Device", "DocumentReference", "Provenance"}
WRITTEN_TYPES |= {"Subscription", "Task"}

# RFC 2045 and 6838: a type, a subtype and parameters. Without a terminology server the validator leaves it unchecked.
_MEDIA_TYPE = re.compile(r"[a-z]+/[a-z0-9][a-z0-9.+-]*(; [a-z0-9-]+=[A-Za-z0-9-]+)*")


def _facade_examples() -> ModuleType:
    """Load what the facade's own tests call an example of every resource it writes."""
    path = Path(__file__).parents[2] / "services" / "facade" / "tests" / "examples.py"
    spec = importlib.util.spec_from_file_location("facade_examples", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _resources() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, transaction in TRANSACTIONS.items():
        for number, entry in enumerate(transaction()["entry"]):
            yield f"{name}: {number} {entry['resource']['resourceType']}", entry["resource"]
    for name, resource in _facade_examples().resources():
        yield f"example: {name}", resource


RESOURCES = list(_resources())


def test_every_type_that_the_facade_writes_is_among_them() -> None:
    assert {resource["resourceType"] for _, resource in RESOURCES} - {"Bundle"} == WRITTEN_TYPES


@pytest.mark.parametrize("transaction", TRANSACTIONS.values(), ids=TRANSACTIONS.keys())
def test_a_transaction_is_valid(official: OfficialValidator, transaction: Callable[[], Bundle]) -> None:
    assert [str(error) for error in errors_of(official.judge(transaction()))] == []


@pytest.mark.parametrize("resource", [row[1] for row in RESOURCES], ids=[row[0] for row in RESOURCES])
def test_a_resource_is_valid_by_itself(official: OfficialValidator, resource: dict[str, Any]) -> None:
    assert [str(error) for error in errors_of(official.judge(resource))] == []


def test_documents_have_a_media_type() -> None:
    attachments = [
        content["attachment"]["contentType"]
        for _, resource in RESOURCES
        if resource["resourceType"] == "DocumentReference"
        for content in resource["content"]
    ]
    assert len(attachments) >= 2
    assert all(_MEDIA_TYPE.fullmatch(media_type) for media_type in attachments)
