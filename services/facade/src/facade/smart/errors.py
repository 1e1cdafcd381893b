"""Why a launch did not lead to a session, in words for the person who launched.

LaunchRefused
├── UnknownIssuer       iss is not a registered EHR
├── LaunchExpired       state unknown, used, too old, or another browser's
├── EhrRefused          the EHR answered with an error
├── EhrUnavailable      the EHR did not answer
├── IdentityRefused     the id_token does not prove who signs in
├── ContextMissing      the EHR did not say which patient and stay, or may not show them
└── NotAvailable        something of ours is not there now
"""

from typing import ClassVar

__all__ = [
    "ContextMissing",
    "EhrRefused",
    "EhrUnavailable",
    "IdentityRefused",
    "LaunchExpired",
    "LaunchRefused",
    "NotAvailable",
    "UnknownIssuer",
    "authorization_refused",
]

# RFC 6749, 4.1.2.1 and OpenID Connect Core, 3.1.2.6: what a log may repeat of an error answer.
_ERRORS = frozenset(
    {
        "access_denied",
        "invalid_request",
        "invalid_scope",
        "login_required",
        "server_error",
        "temporarily_unavailable",
        "unauthorized_client",
        "unsupported_response_type",
    }
)


class LaunchRefused(Exception):
    """Base of the family. ``reason`` goes to the log, ``title`` and ``advice`` to the page; none holds patient data."""

    status: ClassVar[int] = 400
    title: ClassVar[str] = "The launch did not work"
    advice: ClassVar[str] = "Close this page and launch again from the patient's record."

    def __init__(self, reason: str, advice: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.shown_advice = advice or self.advice


class UnknownIssuer(LaunchRefused):
    """``iss`` is missing or not the issuer of a registered EHR."""

    title = "This EHR is not registered"
    advice = (
        "Preceptor only works with EHRs it was set up for. Nothing was sent to the address that asked for the launch."
    )


class LaunchExpired(LaunchRefused):
    """``state`` is not one of ours that this browser may use now."""

    title = "This launch is no longer valid"
    advice = (
        "A launch works once, in the browser that began it, for ten minutes. Launch again from the patient's record."
    )


class EhrRefused(LaunchRefused):
    """The EHR answered, but not with what SMART App Launch says."""

    title = "The EHR refused the launch"


class EhrUnavailable(LaunchRefused):
    """The EHR did not answer in time, or something else this needs is not there."""

    status = 503
    title = "The EHR does not answer"
    advice = "Wait a moment, then launch again from the patient's record."


class IdentityRefused(LaunchRefused):
    """Who signs in could not be proven."""

    status = 403
    title = "Who you are could not be confirmed"


class ContextMissing(LaunchRefused):
    """Without a patient and a stay there is nothing to show."""

    status = 403
    title = "No stay was chosen"
    advice = "Open the patient's hospital stay in the EHR and launch Preceptor from there."


class NotAvailable(LaunchRefused):
    """The secret store or the database cannot be used now."""

    status = 503
    title = "Preceptor is not available"
    advice = "Something it needs is not there now. Wait a moment, then launch again from the patient's record."


def authorization_refused(unverified_error: str) -> EhrRefused:
    """Return the refusal for an error answer of an authorization endpoint; words that are not of the list stay out."""
    return EhrRefused(f"authorization-{unverified_error if unverified_error in _ERRORS else 'other'}")
