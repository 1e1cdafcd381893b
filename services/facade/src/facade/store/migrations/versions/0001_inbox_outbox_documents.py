"""Inbox, outbox, documents, decisions and subscriptions."""

import sqlalchemy as sa
from advanced_alchemy.types import BigIntIdentity, DateTimeUTC
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _leased() -> list[sa.Column[object]]:
    return [
        sa.Column("sequence", BigIntIdentity, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(36), nullable=False, unique=True),
        sa.Column("ehr_id", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("next_attempt_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("lease_owner", sa.String(64)),
        sa.Column("lease_until", DateTimeUTC(timezone=True)),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("finished_at", DateTimeUTC(timezone=True)),
    ]


def upgrade() -> None:
    """Go to this version."""
    op.create_table(
        "inbox_event",
        *_leased(),
        sa.Column("subscription", sa.String(128), nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer),
        sa.Column("dedupe_key", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("ehr_id", "subscription", "epoch", "dedupe_key"),
    )
    op.create_index("ix_inbox_event_due", "inbox_event", ["state", "next_attempt_at"])
    op.create_table(
        "outbox_effect",
        *_leased(),
        sa.Column("document_id", sa.String(36), nullable=False),
        sa.Column("patient_key", sa.String(36), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_outbox_effect_due", "outbox_effect", ["state", "next_attempt_at"])
    op.create_index("ix_outbox_effect_document", "outbox_effect", ["document_id"])
    op.create_table(
        "document",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("ehr_id", sa.String(32), nullable=False),
        sa.Column("patient_key", sa.String(36), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("updated_at", DateTimeUTC(timezone=True), nullable=False),
    )
    op.create_index("ix_document_patient_key", "document", ["patient_key"])
    op.create_table(
        "decision",
        sa.Column("sequence", BigIntIdentity, primary_key=True, autoincrement=True),
        sa.Column("document_id", sa.String(36), sa.ForeignKey("document.id"), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("made_at", DateTimeUTC(timezone=True), nullable=False),
    )
    op.create_index("ix_decision_document_id", "decision", ["document_id"])
    op.create_table(
        "subscription",
        sa.Column("ehr_id", sa.String(32), primary_key=True),
        sa.Column("subscription", sa.String(128), primary_key=True),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("highest", sa.Integer, nullable=False),
        sa.Column("since", DateTimeUTC(timezone=True), nullable=False),
    )


def downgrade() -> None:
    """Go back to the version before."""
    for table in ("subscription", "decision", "document", "outbox_effect", "inbox_event"):
        op.drop_table(table)
