"""What did not work on the page, in words for the clinician, and how each failure of ours reads."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from litestar import Request, Response
from service_runtime.log import LogCode, log
from service_runtime.secrets import SecretError
from sqlalchemy.exc import SQLAlchemyError

from facade.decisions import InvalidDecision
from facade.pipeline.reconciliation import DraftingFailed
from facade.pipeline.signing import AlreadySigned, ChangedInEhr, NotYetWritten, SigningError, UnknownDocument
from facade.smart.errors import LaunchRefused
from facade.smart.sessions import SessionEnded
from facade.workbench.pages import message_page

__all__ = ["DRAFT_FAILURES", "PageRefused", "draft_failure", "refusal", "told"]

DRAFT_FAILURES = {
    "drafting-unavailable": "The drafting service is not running.",
    "adapter-unknown": "The model that writes discharge instructions is not installed.",
    "adapter-refused": "The model that writes discharge instructions failed its integrity check and was not used.",
    "draft-incomplete": "The draft was not finished in time.",
    "overloaded": "Too many drafts are being written right now.",
    "reconciliation-unavailable": "The service that checks drafts cannot be reached.",
    "reconciliation-answer-invalid": "The service that checks drafts gave an answer that cannot be used.",
    "reconciliation-refused": "The service that checks drafts refused the request.",
    "ehr-unavailable": "The EHR does not answer.",
    "ehr-refused": "The EHR did not let Preceptor read the chart.",
    "encounter-not-found": "The EHR does not have this stay.",
    "chart-invalid": "The chart holds something that cannot be understood.",
    "document-invalid": "The draft could not be put into the form the EHR needs.",
    "secret-store-unavailable": "The draft could not be stored securely.",
}


class PageRefused(Exception):
    """A request the page answers with a message. ``back`` is where to go on; ``items`` are listed below it."""

    def __init__(
        self,
        frame_ancestors: tuple[str, ...],
        status: int,
        title: str,
        advice: str,
        *,
        back: str | None = None,
        items: Sequence[str] = (),
    ) -> None:
        super().__init__(title)
        self.frame_ancestors = frame_ancestors
        self.status = status
        self.title = title
        self.advice = advice
        self.back = back
        self.items = tuple(items)


def refusal(_: Request[Any, Any, Any], error: PageRefused) -> Response[str]:
    """Answer with the message page."""
    log(LogCode.REQUEST_REFUSED, status=error.status, stage="workbench")
    return message_page(
        error.frame_ancestors,
        status_code=error.status,
        title=error.title,
        advice=error.advice,
        back=error.back,
        items=error.items,
    )


def draft_failure(code: str) -> str:
    """Return the sentence for a failed draft."""
    return DRAFT_FAILURES.get(code, "The draft could not be written.")


@contextmanager
def told(frame_ancestors: tuple[str, ...], back: str) -> Iterator[None]:
    """Turn every failure that is expected inside into a ``PageRefused`` that says what to do about it."""
    try:
        yield
    except SessionEnded:
        raise PageRefused(frame_ancestors, 401, *_SESSION_ENDED) from None
    except UnknownDocument:
        raise PageRefused(frame_ancestors, 404, "There is no document yet", "Open the page again.", back=back) from None
    except InvalidDecision as error:
        raise PageRefused(
            frame_ancestors, 422, "This decision was not kept", f"{_sentence(error)}", back=back
        ) from None
    except DraftingFailed as error:
        advice = f"{draft_failure(error.code)} There is no document; nothing was changed in the EHR."
        raise PageRefused(frame_ancestors, 503, "The draft could not be written", advice, back=back) from None
    except SigningError as error:
        status, title, advice = _SIGNING.get(type(error), _EHR_SILENT)
        raise PageRefused(frame_ancestors, status, title, advice, back=back) from None
    except LaunchRefused as error:
        raise PageRefused(frame_ancestors, error.status, *_EHR_SILENT[1:], back=back) from None
    except (SecretError, SQLAlchemyError, OSError) as error:
        log(LogCode.REQUEST_FAILED, level=logging.ERROR, stage="workbench", error_type=type(error).__name__)
        advice = "Something Preceptor needs is not there now. Nothing was changed. Try again in a moment."
        raise PageRefused(frame_ancestors, 503, "Preceptor is not available", advice, back=back) from None


_SESSION_ENDED = (
    "Your session has ended",
    "To protect the patient's data this page closes when it is not used. Launch Preceptor again from the patient's "
    "record: decisions you made are kept.",
)
_EHR_SILENT = (
    503,
    "The EHR does not answer",
    "The document was not signed. Your decisions are kept. Try again in a moment; signing twice is safe.",
)
_SIGNING: dict[type[SigningError], tuple[int, str, str]] = {
    NotYetWritten: (
        409,
        "The draft is still on its way to the EHR",
        "It can be signed as soon as the EHR has it. Your decisions are kept. Try again in a moment.",
    ),
    AlreadySigned: (409, "Somebody else has signed this document", "Open the page again to see the signed document."),
    ChangedInEhr: (
        409,
        "The document was changed in the EHR",
        "The EHR's copy is no longer the one you reviewed, so it was not signed. Look at the document in the EHR; "
        "somebody may have edited or replaced it there.",
    ),
}


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
