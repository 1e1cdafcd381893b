"""What reconciliation needs of the services beside it, as Protocols with their failures."""

from collections.abc import AsyncIterator
from typing import Protocol

from service_contracts.drafts import DraftEvent, DraftRequest
from service_contracts.evidence import Evidence, EvidenceQuery

__all__ = ["Drafting", "DraftingFailed", "EvidenceSource", "EvidenceUnavailable"]


class DraftingFailed(Exception):
    """No draft can be had. ``code`` is one of those of ``ReconciliationFailed``; ``message`` holds no patient data."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code = code
        self.message = message


class EvidenceUnavailable(Exception):
    """Retrieval is down, failed, or did not answer in the time it is given."""


class Drafting(Protocol):
    """Writes drafts."""

    def draft(self, request: DraftRequest) -> AsyncIterator[DraftEvent]:
        """Stream the draft; raise ``DraftingFailed``, also in the middle of it."""
        ...


class EvidenceSource(Protocol):
    """Knows facts."""

    async def evidence(self, query: EvidenceQuery) -> Evidence:
        """Return the facts about the subjects; raise ``EvidenceUnavailable``."""
        ...
