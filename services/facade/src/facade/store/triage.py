"""Triage proposals and what became of them, kept so that the model can be watched.

A record holds no more of the patient than an age band and the sex; it is sealed all the same, under a scope of the
tenant, so that a report does not need the key of every patient. A nurse's reason is free text: it is sealed for the
patient.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from advanced_alchemy.types import BigIntIdentity, DateTimeUTC
from fhir_support.identifiers import deterministic_id
from service_contracts.triage import TriageAnswer
from service_runtime.envelope import EnvelopeCipher
from sqlalchemy import Connection, ForeignKey, LargeBinary, String, Table, insert, select
from sqlalchemy.orm import Mapped, mapped_column

from facade.resources.ids import patient_scope
from facade.store.database import Database
from facade.store.resource_writing import Beside, Prepared
from facade.store.resources import Resources
from facade.store.tables import Base

__all__ = [
    "TriageFeedback",
    "TriageFeedbackRow",
    "TriageRecord",
    "TriageRecordRow",
    "TriageRecords",
    "WatchedTriage",
    "record_of",
]


class TriageRecordRow(Base):
    """One proposal; ``id`` is that of its RiskAssessment."""

    __tablename__ = "triage_record"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    ehr_id: Mapped[str] = mapped_column(String(32), index=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    answered_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True), index=True)


class TriageFeedbackRow(Base):
    """What was said of a proposal; ``digest`` is of its content, so that a repetition is the same row.

    ``sealed`` is for the report, ``reason`` the nurse's words.
    """

    __tablename__ = "triage_feedback"

    sequence: Mapped[int] = mapped_column(BigIntIdentity, primary_key=True, autoincrement=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    record_id: Mapped[str] = mapped_column(String(36), ForeignKey("triage_record.id"), index=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    reason: Mapped[bytes | None] = mapped_column(LargeBinary)
    given_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))


_INSERT_RECORD = insert(cast(Table, TriageRecordRow.__table__))


@dataclass(frozen=True)
class TriageRecord:
    """A proposal to keep; ``content`` holds what the report needs."""

    id: str
    ehr_id: str
    content: dict[str, Any]
    at: datetime


@dataclass(frozen=True)
class TriageFeedback:
    """What a nurse decided, or what came of the visit."""

    level: int | None = None
    reason: str | None = None
    critical: bool | None = None
    hospitalised: bool | None = None


@dataclass(frozen=True)
class WatchedTriage:
    """A proposal with the latest of everything that was said of it."""

    at: datetime
    content: dict[str, Any]
    level: int | None = None
    critical: bool | None = None
    hospitalised: bool | None = None


def record_of(ehr_id: str, assessment_id: str, answer: TriageAnswer, at: datetime) -> TriageRecord:
    """Return the record of an answer."""
    sex = next((one.value for one in answer.used if one.name == "sex"), "unknown")
    content = {
        "age_band": answer.age_band,
        "sex": sex,
        "level": answer.level,
        "model_level": answer.model_level,
        "not_scored": answer.not_scored.value if answer.not_scored else None,
        "probabilities": list(answer.probabilities),
        "risks": {one.outcome: one.probability for one in answer.risks},
        "rules": [rule.id for rule in answer.floor_rules],
        "model": answer.model.digest if answer.model else None,
    }
    return TriageRecord(assessment_id, ehr_id, content, at)


class TriageRecords:
    """The records of all tenants; no question crosses from one to another."""

    def __init__(self, database: Database, cipher: EnvelopeCipher, resources: Resources) -> None:
        self._database = database
        self._cipher = cipher
        self._resources = resources

    async def keeping(self, record: TriageRecord, written: Sequence[Prepared]) -> Beside:
        """Seal a record; return it with the resources of its answer, whose ids were made for them."""
        sealed = await self._cipher.seal(
            json.dumps(record.content).encode(), scope=_scope(record.ehr_id), aad=f"triage_record.sealed/{record.id}"
        )
        row = {"id": record.id, "ehr_id": record.ehr_id, "sealed": sealed, "answered_at": record.at}

        def insert_record(connection: Connection) -> None:
            connection.execute(_INSERT_RECORD, row)

        return Beside(written, insert_record)

    async def add_feedback(
        self, ehr_id: str, record_id: str, patient: str, feedback: TriageFeedback, written: Sequence[Prepared]
    ) -> bool:
        """Keep feedback with the assessment as it stands then, both or neither; return whether it was new."""
        said = {
            "level": feedback.level,
            "critical": feedback.critical,
            "hospitalised": feedback.hospitalised,
        }
        content = json.dumps({**said, "reason": feedback.reason}, sort_keys=True)
        digest = hashlib.sha256(f"{record_id} {content}".encode()).hexdigest()
        sealed = await self._cipher.seal(
            json.dumps(said).encode(), scope=_scope(ehr_id), aad=f"triage_feedback.sealed/{digest}"
        )
        reason = None
        if feedback.reason is not None:
            reason = await self._cipher.seal(
                feedback.reason.encode(), scope=patient_scope(ehr_id, patient), aad=f"triage_feedback.reason/{digest}"
            )
        row = {
            "digest": digest,
            "record_id": record_id,
            "sealed": sealed,
            "reason": reason,
            "given_at": datetime.now(UTC),
        }
        async with self._database.session() as session:
            new = await self._database.insert_new(session, TriageFeedbackRow, row)
            if new:
                await self._resources.add_all(session, written)
        return bool(new)

    async def proposed(self, ehr_id: str, record_id: str) -> dict[str, Any] | None:
        """Return what was proposed, or None where nothing was under that id."""
        async with self._database.reading() as session:
            row = await session.get(TriageRecordRow, record_id)
        return None if row is None or row.ehr_id != ehr_id else await self._open(row)

    async def watched(self, ehr_id: str, since: datetime) -> list[WatchedTriage]:
        """Return the proposals since then with what was said of them, the oldest first."""
        records = (
            select(TriageRecordRow)
            .where(TriageRecordRow.ehr_id == ehr_id, TriageRecordRow.answered_at >= since)
            .order_by(TriageRecordRow.answered_at)
        )
        said = (
            select(TriageFeedbackRow)
            .join(TriageRecordRow, TriageRecordRow.id == TriageFeedbackRow.record_id)
            .where(TriageRecordRow.ehr_id == ehr_id, TriageRecordRow.answered_at >= since)
            .order_by(TriageFeedbackRow.sequence)
        )
        async with self._database.reading() as session:
            rows = (await session.scalars(records)).all()
            feedback = (await session.scalars(said)).all()
        latest: dict[str, dict[str, Any]] = {}
        for one in feedback:
            raw = await self._cipher.open(one.sealed, scope=_scope(ehr_id), aad=f"triage_feedback.sealed/{one.digest}")
            given = {name: value for name, value in json.loads(raw).items() if value is not None}
            latest.setdefault(one.record_id, {}).update(given)
        return [WatchedTriage(row.answered_at, await self._open(row), **latest.get(row.id, {})) for row in rows]

    async def _open(self, row: TriageRecordRow) -> dict[str, Any]:
        raw = await self._cipher.open(row.sealed, scope=_scope(row.ehr_id), aad=f"triage_record.sealed/{row.id}")
        content: dict[str, Any] = json.loads(raw)
        return content


def _scope(ehr_id: str) -> str:
    return deterministic_id("triage-watch", ehr_id)
