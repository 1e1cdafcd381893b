"""The durable outbox: transactions that must reach an EHR exactly once."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from service_runtime.envelope import EnvelopeCipher
from sqlalchemy.ext.asyncio import AsyncSession

from facade.store.database import Database
from facade.store.leases import LeaseQueue, RetryPolicy
from facade.store.tables import OutboxRow

__all__ = ["ClaimedEffect", "Effect", "Outbox"]


@dataclass(frozen=True)
class Effect:
    """A transaction Bundle for an EHR. ``id`` is deterministic, so that an effect is kept once.

    ``names`` says, entry by entry, what each resource is called in ``StoredDocument.written``.
    """

    id: str
    ehr_id: str
    document_id: str
    patient_key: str
    kind: str
    encounter: str
    bundle: dict[str, Any]
    names: tuple[str, ...]
    request_id: str


@dataclass(frozen=True)
class ClaimedEffect:
    """An effect this process delivers."""

    row: OutboxRow
    encounter: str
    bundle: dict[str, Any]
    names: tuple[str, ...]


class Outbox:
    """Keeps effects sealed until the EHR has them; those of one document go out in order."""

    def __init__(
        self, database: Database, cipher: EnvelopeCipher, *, owner: str, lease_s: float, retry: RetryPolicy
    ) -> None:
        self._database = database
        self._cipher = cipher
        self.queue: LeaseQueue[OutboxRow] = LeaseQueue(
            database, OutboxRow, owner=owner, lease_s=lease_s, retry=retry, in_order_by="document_id"
        )

    async def sealed_row(self, effect: Effect) -> dict[str, object]:
        """Return the row of an effect, to be added with ``add_row`` inside a transaction.

        Sealing may call the secret store, which must not happen while the database is locked.
        """
        now = datetime.now(UTC)
        payload = json.dumps({"encounter": effect.encounter, "bundle": effect.bundle, "names": effect.names}).encode()
        return {
            "id": effect.id,
            "ehr_id": effect.ehr_id,
            "state": "pending",
            "attempts": 0,
            "failures": 0,
            "next_attempt_at": now,
            "request_id": effect.request_id,
            "created_at": now,
            "document_id": effect.document_id,
            "patient_key": effect.patient_key,
            "kind": effect.kind,
            "sealed": await self._cipher.seal(payload, scope=effect.patient_key, aad=f"outbox.sealed/{effect.id}"),
        }

    async def add_row(self, session: AsyncSession, row: dict[str, object]) -> bool:
        """Add a sealed effect unless it is there already; return whether it was added."""
        return await self._database.insert_new(session, OutboxRow, row)

    async def add(self, effect: Effect) -> bool:
        """Add one effect in a transaction of its own; return whether it was new."""
        row = await self.sealed_row(effect)
        async with self._database.session() as session:
            return await self.add_row(session, row)

    async def open(self, row: OutboxRow) -> ClaimedEffect:
        """Unseal a row that ``queue.claim`` returned; raise ``SecretError`` when that cannot be done now."""
        raw = await self._cipher.open(row.sealed, scope=row.patient_key, aad=f"outbox.sealed/{row.id}")
        payload = json.loads(raw)
        return ClaimedEffect(row, payload["encounter"], payload["bundle"], tuple(payload["names"]))
