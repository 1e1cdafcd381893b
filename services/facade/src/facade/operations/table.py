"""Which operations there are, what each needs and how long it may take: the table that routes and CapabilityStatement
use."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from service_contracts.tasks import task

from facade.fhir.capability import AdvertisedOperation

__all__ = ["NOT_YET", "OPERATIONS", "OperationSpec", "advertised", "definition", "raw_definition"]

_CANONICAL = "https://preceptor.health/fhir/OperationDefinition"
_FEEDBACK_MS = 2_000
_ANSWER_MS = 1_000
"""What is waited beyond the deadline for the answer that was cut off by it to be put together."""


@dataclass(frozen=True)
class OperationSpec:
    """One operation. ``scopes`` are the interactions (letter, type) that a token must allow, each on the patient of
    the stay; ``budget_ms`` is the deadline of a synchronous request. ``at_once`` of them are worked on at a time: with
    more of them each only takes longer, until all are late."""

    name: str
    scopes: tuple[tuple[str, str], ...]
    budget_ms: int
    at_once: int = 32

    @property
    def limit_s(self) -> float:
        """After how long a synchronous request is given up."""
        return (self.budget_ms + _ANSWER_MS) / 1000

    @property
    def patience_s(self) -> float:
        """How long a request may wait for its turn: what is left then is enough for an answer that is cut short."""
        return self.budget_ms / 2000

    @property
    def needs(self) -> str:
        """The scopes in the words of the definition."""
        return " and ".join(f"{resource_type}.{letter}" for letter, resource_type in self.scopes)


OPERATIONS: Mapping[str, OperationSpec] = {
    one.name: one
    for one in (
        OperationSpec("draft", (("c", "Composition"), ("c", "Task"), ("r", "Composition")),
                      task("discharge-instructions").budget_ms),
        OperationSpec("check", (("r", "DetectedIssue"),), task("discharge-instructions").budget_ms),
        OperationSpec("ask", (("s", "DocumentReference"),), task("literature-search").budget_ms),
        OperationSpec("formulary", (("s", "DocumentReference"),), task("formulary").budget_ms),
        OperationSpec("triage", (("c", "RiskAssessment"),), task("triage").budget_ms, at_once=6),
        OperationSpec("triage-feedback", (("r", "RiskAssessment"), ("u", "RiskAssessment")), _FEEDBACK_MS),
    )
}  # fmt: skip

NOT_YET = ("code",)
"""Operations whose service does not exist yet: not advertised, and answered ``not-supported``."""


@cache
def raw_definition(name: str) -> dict[str, Any]:
    """Return the OperationDefinition of an operation as it is kept, without what depends on where it is served."""
    text = files("facade.operations").joinpath("definitions", f"{name}.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def definition(name: str) -> dict[str, Any]:
    """Return the OperationDefinition as it is served: with its canonical URL, and what a token needs for it."""
    spec = OPERATIONS[name]
    comment = (
        f"POST only, because addresses are logged and patients do not belong there. A token needs {spec.needs}"
        " (SMART v2; v1 read and write give the same). A patient/ scope is held to the token's own patient, granular"
        f" scopes to what they find. A synchronous request is answered within {spec.limit_s:g} s, or with an"
        " OperationOutcome of code timeout; with Prefer: respond-async it is answered 202 with a Content-Location to"
        " ask. Every call is recorded as an AuditEvent."
    )
    kept = raw_definition(name)
    head = {"resourceType": kept["resourceType"], "id": kept["id"], "url": f"{_CANONICAL}/{name}"}
    return {**head, **kept, "comment": comment}


def advertised(served: Iterable[str]) -> list[AdvertisedOperation]:
    """Return what the CapabilityStatement lists: every operation that is really ``served`` here."""
    return [AdvertisedOperation(name, definition(name)["url"]) for name in OPERATIONS if name in set(served)]
