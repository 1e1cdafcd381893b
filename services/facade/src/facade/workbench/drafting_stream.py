"""The draft as it is written: one JSON object per line for the page's script."""

import json
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

from service_contracts.drafts import SECTION_TITLES
from service_contracts.reconciliation import Claim, ReconciliationFailed, ReconciliationFinished, Verdict
from service_runtime.log import LogCode, log
from service_runtime.secrets import SecretError
from sqlalchemy.exc import SQLAlchemyError

from facade.pipeline.drafting import Drafting
from facade.workbench.failures import draft_failure

__all__ = ["NDJSON", "draft_lines", "sentence_state"]

NDJSON = "application/x-ndjson"


def sentence_state(claims: Sequence[Claim]) -> str:
    """Return how a sentence is shown while the draft is written; what is worst about it decides.

    ``agrees`` needs every claim of it supported: a sentence with one unchecked claim is never shown as checked.
    """
    verdicts = {claim.verdict for claim in claims}
    for verdict, state in (
        (Verdict.CONTRADICTED, "disagrees"),
        (Verdict.NOT_CHECKED, "unchecked"),
        (Verdict.NO_EVIDENCE, "no-evidence"),
        (Verdict.SUPPORTED, "agrees"),
    ):
        if verdict in verdicts:
            return state
    return "no-claim"


async def draft_lines(drafting: Drafting, ehr_id: str, encounter: str, request_id: str) -> AsyncIterator[bytes]:
    """Draft the document and tell how it goes; the last line is ``finished`` or ``failed``."""
    try:
        async for event in drafting.stream(ehr_id, encounter, request_id):
            if isinstance(event, ReconciliationFinished):
                yield _line({"event": "finished"})
            elif isinstance(event, ReconciliationFailed):
                yield _line({"event": "failed", "advice": draft_failure(event.code)})
            else:
                yield _line(
                    {
                        "event": "sentence",
                        "section": event.section,
                        "title": SECTION_TITLES[event.section],
                        "index": event.index,
                        "text": event.text,
                        "state": sentence_state(event.claims),
                    }
                )
    except (SecretError, SQLAlchemyError, OSError) as error:
        # The answer has begun, so its status can no longer tell of this.
        log(LogCode.REQUEST_FAILED, level=logging.ERROR, stage="workbench", error_type=type(error).__name__)
        yield _line({"event": "failed", "advice": "Something Preceptor needs is not there now."})


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"
