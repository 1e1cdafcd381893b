"""Keeps an AuditEvent of every access before anything is answered: what cannot be recorded is not shown."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from fhir_support.errors import ServiceUnavailable
from service_runtime.secrets import SecretError
from sqlalchemy.exc import SQLAlchemyError

from facade.fhir.access import Access
from facade.resources.access_event import AccessParties, access_event
from facade.store.resource_writing import Beside
from facade.store.resources import Resources, StoredResource

__all__ = ["Auditor", "Call"]


@dataclass(frozen=True)
class Call:
    """One request to ``/fhir``: whose it is, the base it came to, its X-Request-Id and the network address."""

    access: Access
    base: str
    request_id: str
    address: str | None = None


class Auditor:
    """Writes to our own store, where ``/fhir/AuditEvent`` shows it to those whose scopes allow."""

    def __init__(self, resources: Resources, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._resources = resources
        self._clock = clock

    async def read(self, call: Call, interaction: str, stored: StoredResource) -> None:
        """Record that one resource, or a version of it, was read."""
        target = f"{stored.resource_type}/{stored.id}"
        if interaction == "vread":
            target = f"{target}/_history/{stored.version}"
        await self._keep(call, interaction, _patients([stored]), target=target)

    async def query(self, call: Call, interaction: str, text: str, found: Iterable[StoredResource]) -> None:
        """Record a search or a history: one event for each patient of whom something was found."""
        await self._keep(call, interaction, _patients(found), query=text)

    async def refused(self, call: Call, interaction: str, text: str) -> None:
        """Record that a known client asked for what it may not have."""
        await self._keep(call, interaction, [None], query=text, outcome="4")

    async def operation(
        self, call: Call, name: str, patient: str | None, outcome: str = "0", beside: Beside | None = None
    ) -> None:
        """Record that an operation (``$draft``) was invoked, and how it ended: 0, 4 (refused) or 8 (failed).

        What the operation leaves behind is written ``beside`` it: both are kept, or neither.
        """
        await self._keep(call, "operation", [patient], query=name, outcome=outcome, beside=beside)

    async def _keep(
        self,
        call: Call,
        interaction: str,
        patients: list[str | None],
        *,
        target: str | None = None,
        query: str | None = None,
        outcome: str = "0",
        beside: Beside | None = None,
    ) -> None:
        access, at = call.access, self._clock()
        user = access.user if access.user is not None or access.subject == access.client_id else access.subject
        parties = AccessParties(access.client_id, call.address, user, call.base)
        try:
            prepared = []
            for patient in patients:
                event = access_event(
                    parties,
                    interaction,
                    patient=f"{access.home.ehr_base}/{patient}" if patient else None,
                    target=target,
                    query=query,
                    request_id=call.request_id,
                    at=at,
                    outcome=outcome,
                )
                prepared.append(await self._resources.prepare(access.ehr_id, event, patient=patient, at=at))
            await self._resources.put_new(*prepared, beside=beside)
        except (SecretError, SQLAlchemyError, OSError):
            raise ServiceUnavailable("The access cannot be recorded now.") from None


def _patients(found: Iterable[StoredResource]) -> list[str | None]:
    return [*sorted({patient for stored in found for patient in stored.about})] or [None]
