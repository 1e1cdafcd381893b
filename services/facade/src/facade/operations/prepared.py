"""What each operation is to the runner: it reads its input and says whose it is, then runs within a deadline."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from service_runtime.deadline import Deadline

from facade.fhir.audit import Call
from facade.operations.parameters import Inputs
from facade.store.resource_writing import Beside

__all__ = ["Answered", "Prepared", "PreparesOperation"]


@dataclass(frozen=True)
class Answered:
    """What to answer with, and what must be on the disk before: it is kept with the record of the call, or neither."""

    resource: dict[str, Any]
    keep: Beside | None = None


@dataclass(frozen=True)
class Prepared:
    """A call whose input is understood and which is allowed; ``patient`` (``Patient/ID``) is whom it is about.

    ``run`` raises ``FhirError`` and keeps within the deadline.
    """

    patient: str | None
    budget_ms: int
    run: Callable[[Deadline], Awaitable[Answered]]


class PreparesOperation(Protocol):
    """One operation."""

    async def prepare(self, call: Call, inputs: Inputs, /) -> Prepared:
        """Understand the input and decide whether it is allowed; raise ``FhirError``. Nothing is changed yet."""
        ...
