"""Every failure a FHIR endpoint may answer with: a status and an OperationOutcome.

FhirError
├── BadRequest            400  the message cannot be understood
├── NotSupported          400  understood, but this server does not do it
├── Unauthorized          401  who calls is not known
├── Forbidden             403  who calls may not do this
├── NotFound              404  there is nothing of that name
├── MethodNotAllowed      405  not with this method
├── NotAcceptable         406  no answer of the wanted kind
├── Conflict              409  the state does not allow it
├── PreconditionFailed    412  the resource has changed
├── PayloadTooLarge       413  more bytes than are accepted
├── UnsupportedMediaType  415  the body is of a kind that is not read here
├── Unprocessable         422  understood, but not acceptable
├── InternalError         500  carries no detail
└── ServiceUnavailable    503  try again later
"""

from collections.abc import Mapping
from typing import Any, ClassVar

__all__ = [
    "BadRequest",
    "Conflict",
    "FhirError",
    "Forbidden",
    "InternalError",
    "MethodNotAllowed",
    "NotAcceptable",
    "NotFound",
    "NotSupported",
    "PayloadTooLarge",
    "PreconditionFailed",
    "ServiceUnavailable",
    "Unauthorized",
    "Unprocessable",
    "UnsupportedMediaType",
    "operation_outcome",
]


def operation_outcome(code: str, text: str, severity: str = "error") -> dict[str, Any]:
    """Return an OperationOutcome of one issue; ``code`` is an R4 ``issue-type``."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": severity, "code": code, "details": {"text": text}}],
    }


class FhirError(Exception):
    """Base of the family. ``text`` is shown to the caller: never put patient data or internals in it.

    ``headers`` are sent with the answer (``WWW-Authenticate``, ``Allow``).
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "exception"
    default: ClassVar[str] = "The request could not be served."

    def __init__(self, text: str | None = None, *, headers: Mapping[str, str] | None = None) -> None:
        self.text = text or self.default
        self.headers = dict(headers or {})
        super().__init__(self.text)

    def outcome(self) -> dict[str, Any]:
        """Return the OperationOutcome to answer with."""
        return operation_outcome(self.code, self.text)


class BadRequest(FhirError):
    """The message cannot be understood."""

    status = 400
    code = "invalid"
    default = "The request is not valid."


class NotSupported(FhirError):
    """Understood, but this server does not do it."""

    status = 400
    code = "not-supported"
    default = "This is not supported here."


class Unauthorized(FhirError):
    """Who calls is not known."""

    status = 401
    code = "login"
    default = "Authentication is required."


class Forbidden(FhirError):
    """Who calls may not do this."""

    status = 403
    code = "forbidden"
    default = "This is not allowed."


class NotFound(FhirError):
    """There is nothing of that name, or it must not be known that there is."""

    status = 404
    code = "not-found"
    default = "Not found."


class MethodNotAllowed(FhirError):
    """Not with this method."""

    status = 405
    code = "not-supported"
    default = "This is not done with this method here."


class NotAcceptable(FhirError):
    """No answer of the wanted kind; only JSON of R4 is spoken."""

    status = 406
    code = "not-supported"
    default = "Only application/fhir+json of FHIR 4.0 is answered."


class Conflict(FhirError):
    """The state does not allow it."""

    status = 409
    code = "conflict"
    default = "The current state does not allow this."


class PreconditionFailed(FhirError):
    """The resource has changed since it was read."""

    status = 412
    code = "conflict"
    default = "The resource has changed since it was read."


class PayloadTooLarge(FhirError):
    """More bytes than are accepted."""

    status = 413
    code = "too-long"
    default = "The message is too large."


class UnsupportedMediaType(FhirError):
    """The body is of a kind that is not read here."""

    status = 415
    code = "not-supported"
    default = "The body is of a kind that is not read here."


class Unprocessable(FhirError):
    """Understood, but not acceptable."""

    status = 422
    code = "processing"
    default = "The request cannot be processed."


class InternalError(FhirError):
    """Something of ours failed; the caller learns nothing more."""

    def __init__(self) -> None:
        super().__init__(self.default)


class ServiceUnavailable(FhirError):
    """Something this needs is not there now."""

    status = 503
    code = "transient"
    default = "Not available now; try again later."
