"""Triage proposals and what became of them."""

import sqlalchemy as sa
from advanced_alchemy.types import BigIntIdentity, DateTimeUTC
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this version."""
    op.create_table(
        "triage_record",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("ehr_id", sa.String(32), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("answered_at", DateTimeUTC(timezone=True), nullable=False),
    )
    op.create_index("ix_triage_record_ehr_id", "triage_record", ["ehr_id"])
    op.create_index("ix_triage_record_answered_at", "triage_record", ["answered_at"])
    op.create_table(
        "triage_feedback",
        sa.Column("sequence", BigIntIdentity, primary_key=True, autoincrement=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("record_id", sa.String(36), sa.ForeignKey("triage_record.id"), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("reason", sa.LargeBinary),
        sa.Column("given_at", DateTimeUTC(timezone=True), nullable=False),
        sa.UniqueConstraint("digest"),
    )
    op.create_index("ix_triage_feedback_record_id", "triage_feedback", ["record_id"])


def downgrade() -> None:
    """Go back to the version before."""
    for table in ("triage_feedback", "triage_record"):
        op.drop_table(table)
