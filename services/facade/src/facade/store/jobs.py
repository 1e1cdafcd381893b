"""What clients asked for with ``Prefer: respond-async``: kept until it is done, and its result until it is fetched.

Request and result are sealed. A job is worked on under a lease, so that one whose process is killed is taken up again.
"""

import hashlib
import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from advanced_alchemy.types import DateTimeUTC
from fhir_support.identifiers import deterministic_id
from service_runtime.envelope import EnvelopeCipher
from sqlalchemy import Index, LargeBinary, String, delete, func, select, update
from sqlalchemy.orm import Mapped, mapped_column

from facade.resources.ids import patient_scope
from facade.store.database import Database
from facade.store.leases import LeaseQueue, RetryPolicy, State
from facade.store.tables import LeasedRow

__all__ = ["Job", "JobRow", "JobState", "Jobs", "owner_of"]

_KEPT = timedelta(hours=1)
_GIVEN_UP = timedelta(hours=24)


class JobState(State):
    """The states of a job: those of a leased row, and one that its client has taken back."""

    CANCELLED = "cancelled"


class JobRow(LeasedRow):
    """A job. ``owner`` is a digest of whose it is, ``scope`` the encryption scope of whom it is about."""

    __tablename__ = "operation_job"
    __table_args__ = (
        Index("ix_operation_job_due", "state", "next_attempt_at"),
        Index("ix_operation_job_owner", "owner", "state"),
        Index("ix_operation_job_expires_at", "expires_at"),
    )

    owner: Mapped[str] = mapped_column(String(64))
    operation: Mapped[str] = mapped_column(String(32))
    scope: Mapped[str] = mapped_column(String(36))
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    result: Mapped[bytes | None] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))


@dataclass(frozen=True)
class Job:
    """What its client may know of a job: where it stands, and the result (status and resource) once there is one."""

    id: str
    operation: str
    state: str
    claimed: bool
    expires_at: datetime
    result: dict[str, Any] | None = None


def owner_of(*whose: str | None) -> str:
    """Return the digest under which a job is kept for a client, a person and a patient."""
    return hashlib.sha256(json.dumps(whose).encode()).hexdigest()


class Jobs:
    """Adds, hands out and finishes jobs. What has expired is deleted."""

    def __init__(
        self, database: Database, cipher: EnvelopeCipher, *, owner: str, lease_s: float, retry: RetryPolicy
    ) -> None:
        self._database = database
        self._cipher = cipher
        self.queue: LeaseQueue[JobRow] = LeaseQueue(database, JobRow, owner=owner, lease_s=lease_s, retry=retry)

    async def add(
        self, ehr_id: str, owner: str, operation: str, request: dict[str, Any], *, patient: str | None, request_id: str
    ) -> str:
        """Keep a job and return its id. When this returns it is on the disk."""
        job_id, now = str(uuid.uuid4()), datetime.now(UTC)
        scope = patient_scope(ehr_id, patient) if patient else deterministic_id("operations", ehr_id)
        row = {
            "id": job_id,
            "ehr_id": ehr_id,
            "state": JobState.PENDING,
            "attempts": 0,
            "failures": 0,
            "next_attempt_at": now,
            "request_id": request_id,
            "created_at": now,
            "owner": owner,
            "operation": operation,
            "scope": scope,
            "sealed": await self._seal(request, scope, "sealed", job_id),
            "expires_at": now + _GIVEN_UP,
        }
        async with self._database.session() as session:
            await self._database.insert_new(session, JobRow, row)
        return job_id

    async def waiting(self, owner: str) -> int:
        """Return how many jobs of an owner are not done."""
        query = select(func.count()).where(JobRow.owner == owner, JobRow.state == JobState.PENDING)
        async with self._database.reading() as session:
            return int(await session.scalar(query) or 0)

    async def request(self, row: JobRow) -> dict[str, Any]:
        """Unseal what was asked for; raise ``SecretError`` when that cannot be done now."""
        opened: dict[str, Any] = json.loads(
            await self._cipher.open(row.sealed, scope=row.scope, aad=f"operation_job.sealed/{row.id}")
        )
        return opened

    async def finish(self, row: JobRow, result: dict[str, Any]) -> None:
        """Keep the result for its client; what was asked for is forgotten."""
        sealed = await self._seal(result, row.scope, "result", row.id)
        await self.queue.finish(row, sealed=b"", result=sealed, expires_at=datetime.now(UTC) + _KEPT)

    async def get(self, ehr_id: str, owner: str, job_id: str) -> Job | None:
        """Return a job to the client that began it; to any other, and after it has expired, there is none."""
        query = select(JobRow).where(
            JobRow.id == job_id,
            JobRow.ehr_id == ehr_id,
            JobRow.owner == owner,
            JobRow.state != JobState.CANCELLED,
            JobRow.expires_at > datetime.now(UTC),
        )
        async with self._database.reading() as session:
            row = (await session.scalars(query)).one_or_none()
        if row is None:
            return None
        result = None
        if row.result is not None:
            place = f"operation_job.result/{row.id}"
            result = json.loads(await self._cipher.open(row.result, scope=row.scope, aad=place))
        return Job(row.id, row.operation, row.state, row.lease_owner is not None, row.expires_at, result)

    async def cancel(self, ehr_id: str, owner: str, job_id: str) -> bool:
        """Forget a job and its result; return whether there was one. What runs already ends without being kept."""
        statement = (
            update(JobRow)
            .where(
                JobRow.id == job_id,
                JobRow.ehr_id == ehr_id,
                JobRow.owner == owner,
                JobRow.state != JobState.CANCELLED,
                JobRow.expires_at > datetime.now(UTC),
            )
            .values(state=JobState.CANCELLED, lease_owner=None, lease_until=None, sealed=b"", result=None)
            .execution_options(synchronize_session=False)
        )
        async with self._database.session() as session:
            return bool(getattr(await session.execute(statement), "rowcount", 0))

    async def delete_expired(self) -> int:
        """Delete what has expired; return how many."""
        statement = delete(JobRow).where(JobRow.expires_at <= datetime.now(UTC))
        async with self._database.session() as session:
            return int(getattr(await session.execute(statement), "rowcount", 0))

    async def _seal(self, content: dict[str, Any], scope: str, column: str, job_id: str) -> bytes:
        raw = json.dumps(content, ensure_ascii=False).encode()
        return await self._cipher.seal(raw, scope=scope, aad=f"operation_job.{column}/{job_id}")
