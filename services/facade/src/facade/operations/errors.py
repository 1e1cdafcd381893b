"""What can be wrong with a call of an operation, each issue with the FHIRPath of the element at fault.

FhirError
├── InvalidParameters   400  one issue for each fault, all of them at once
├── NotImplementedYet   501  a known operation whose service does not exist here
├── DeadlineExceeded    504  the time of a synchronous request ran out; code timeout
├── TooManyAtOnce       503  the time to wait for a turn ran out, nothing was begun; code throttled
└── TooManyJobs         429  the client has too many jobs waiting; code throttled
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fhir_support.errors import BadRequest, FhirError

__all__ = ["DeadlineExceeded", "InvalidParameters", "Issue", "NotImplementedYet", "TooManyAtOnce", "TooManyJobs"]


@dataclass(frozen=True)
class Issue:
    """One fault. ``code`` is an R4 issue-type; ``expression`` names the element, and never repeats its value."""

    code: str
    text: str
    expression: str

    def as_fhir(self) -> dict[str, Any]:
        """Return the element of an OperationOutcome."""
        return {
            "severity": "error",
            "code": self.code,
            "details": {"text": self.text},
            "expression": [self.expression],
        }


class InvalidParameters(BadRequest):
    """The input is not what the OperationDefinition says."""

    def __init__(self, issues: Iterable[Issue]) -> None:
        super().__init__("The parameters are not what the OperationDefinition says.")
        self.issues = tuple(issues)

    def outcome(self) -> dict[str, Any]:
        """See ``FhirError.outcome``."""
        return {"resourceType": "OperationOutcome", "issue": [issue.as_fhir() for issue in self.issues]}


class NotImplementedYet(FhirError):
    """A known operation whose service does not exist here (RFC 9110, 15.6.2)."""

    status = 501
    code = "not-supported"
    default = "This operation is not available here."


class DeadlineExceeded(FhirError):
    """The time of a synchronous request ran out, and nothing of the answer was ready."""

    status = 504
    code = "timeout"
    default = "The time ran out before there was an answer; ask again, or with Prefer: respond-async."


class TooManyAtOnce(FhirError):
    """So many requests are worked on that this one could not be begun in time."""

    status = 503
    code = "throttled"
    default = "Too many requests at once: this one was not begun, and nothing was checked."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "1"})


class TooManyJobs(FhirError):
    """The client has too many jobs waiting."""

    status = 429
    code = "throttled"
    default = "Too many requests of this client are waiting; ask for their results first."
