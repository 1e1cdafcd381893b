"""The tables of the facade. Columns called ``sealed`` hold envelope-encrypted data about a patient."""

from datetime import datetime

from advanced_alchemy.base import create_registry
from advanced_alchemy.types import BigIntIdentity, DateTimeUTC
from sqlalchemy import ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

__all__ = [
    "Base",
    "DecisionRow",
    "DocumentRow",
    "InboxRow",
    "LaunchRow",
    "LeasedRow",
    "OutboxRow",
    "SessionRow",
    "SubscriptionRow",
]


class Base(DeclarativeBase):
    """Base of every table of the facade."""

    registry = create_registry()


class LeasedRow(Base):
    """A row that a worker claims for a time: whoever dies holding it loses the claim when the lease runs out.

    ``attempts`` counts claims, ``failures`` those that failed for a reason that trying again will not cure;
    ``reason`` is a code that says why the last one failed.
    """

    __abstract__ = True

    sequence: Mapped[int] = mapped_column(BigIntIdentity, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(36), unique=True)
    ehr_id: Mapped[str] = mapped_column(String(32))
    state: Mapped[str] = mapped_column(String(16), default="pending")
    attempts: Mapped[int] = mapped_column(default=0)
    failures: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))
    lease_owner: Mapped[str | None] = mapped_column(String(64))
    lease_until: Mapped[datetime | None] = mapped_column(DateTimeUTC(timezone=True))
    request_id: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))
    finished_at: Mapped[datetime | None] = mapped_column(DateTimeUTC(timezone=True))
    reason: Mapped[str | None] = mapped_column(String(64))


class InboxRow(LeasedRow):
    """A notified event. ``sealed`` is its focus reference; ``number`` is None where the EHR sent none.

    Rows with one ``group_key`` are about the same thing and are dealt with together. ``fingerprint`` tells another
    event that has the same number, because the EHR's counter was set back, from a repetition.
    """

    __tablename__ = "inbox_event"
    __table_args__ = (
        UniqueConstraint("ehr_id", "subscription", "epoch", "dedupe_key"),
        Index("ix_inbox_event_pending", "state", "sequence"),
        Index("ix_inbox_event_group", "group_key", "state", "sequence"),
        Index("ix_inbox_event_number", "ehr_id", "subscription", "epoch", "number"),
    )

    subscription: Mapped[str] = mapped_column(String(128))
    epoch: Mapped[int]
    number: Mapped[int | None]
    dedupe_key: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    group_key: Mapped[str | None] = mapped_column(String(36))
    fingerprint: Mapped[str | None] = mapped_column(String(36))


class OutboxRow(LeasedRow):
    """A transaction to be written to an EHR; those of one document go out in the order they were added.

    ``sealed`` is emptied once the EHR has it.
    """

    __tablename__ = "outbox_effect"
    __table_args__ = (
        Index("ix_outbox_effect_pending", "state", "sequence"),
        Index("ix_outbox_effect_document", "document_id"),
    )

    document_id: Mapped[str] = mapped_column(String(36))
    patient_key: Mapped[str] = mapped_column(String(36))
    kind: Mapped[str] = mapped_column(String(32))
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class DocumentRow(Base):
    """The document of one encounter; ``id`` is derived from the EHR and the encounter."""

    __tablename__ = "document"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    ehr_id: Mapped[str] = mapped_column(String(32))
    patient_key: Mapped[str] = mapped_column(String(36), index=True)
    status: Mapped[str] = mapped_column(String(16))
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))


class DecisionRow(Base):
    """One decision on one flag; rows are only ever added."""

    __tablename__ = "decision"

    sequence: Mapped[int] = mapped_column(BigIntIdentity, primary_key=True, autoincrement=True)
    document_id: Mapped[str] = mapped_column(String(36), ForeignKey("document.id"), index=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    made_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))


class SubscriptionRow(Base):
    """What is known of a subscription at its EHR.

    ``epoch`` grows when the EHR's counter was set back. ``highest`` is the highest event number heard of; every number
    up to ``through`` is accounted for. Everything that changed before ``since`` has been searched for. ``heard_at`` is
    when the EHR last said anything, ``heartbeats`` whether it is known to send heartbeats. ``payload`` is the content
    asked for, None for the usual.
    """

    __tablename__ = "subscription"

    ehr_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    subscription: Mapped[str] = mapped_column(String(128), primary_key=True)
    epoch: Mapped[int] = mapped_column(default=0)
    highest: Mapped[int] = mapped_column(default=0)
    since: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))
    through: Mapped[int] = mapped_column(default=0)
    heard_at: Mapped[datetime | None] = mapped_column(DateTimeUTC(timezone=True))
    heartbeats: Mapped[bool] = mapped_column(default=False)
    payload: Mapped[str | None] = mapped_column(String(16))


class LaunchRow(Base):
    """A launch that waits for the EHR's answer. ``sealed`` is what the token request needs."""

    __tablename__ = "launch"

    state_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    browser_hash: Mapped[str] = mapped_column(String(64))
    ehr_id: Mapped[str] = mapped_column(String(32))
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True), index=True)


class SessionRow(Base):
    """A clinician's session with one encounter. ``window`` names it in addresses and is no secret.

    Until ``renewing_until`` one process renews its tokens; the others wait.
    """

    __tablename__ = "session"

    window: Mapped[str] = mapped_column(String(32), primary_key=True)
    secret_hash: Mapped[str] = mapped_column(String(64))
    ehr_id: Mapped[str] = mapped_column(String(32))
    patient_key: Mapped[str] = mapped_column(String(36))
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    idle_until: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True), index=True)
    ends_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))
    renewing_until: Mapped[datetime | None] = mapped_column(DateTimeUTC(timezone=True))
