"""Assertions that were used, the cards that CDS services gave, and the feedback on them."""

import sqlalchemy as sa
from advanced_alchemy.types import BigIntIdentity, DateTimeUTC
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this version."""
    op.create_table(
        "used_assertion",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("expires_at", DateTimeUTC(timezone=True), nullable=False),
    )
    op.create_index("ix_used_assertion_expires_at", "used_assertion", ["expires_at"])
    op.create_table(
        "cds_card",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("ehr_id", sa.String(32), nullable=False),
        sa.Column("patient_key", sa.String(36), nullable=False),
        sa.Column("service", sa.String(32), nullable=False),
        sa.Column("alert_key", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("repeat_of", sa.String(36)),
        sa.Column("reason", sa.String(64)),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("shown_at", DateTimeUTC(timezone=True), nullable=False),
    )
    op.create_index("ix_cds_card_patient_key", "cds_card", ["patient_key"])
    op.create_index("ix_cds_card_alert", "cds_card", ["ehr_id", "alert_key", "shown_at"])
    op.create_table(
        "cds_feedback",
        sa.Column("sequence", BigIntIdentity, primary_key=True, autoincrement=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("card_id", sa.String(36), sa.ForeignKey("cds_card.id"), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("given_at", DateTimeUTC(timezone=True), nullable=False),
        sa.UniqueConstraint("digest"),
    )
    op.create_index("ix_cds_feedback_card_id", "cds_feedback", ["card_id"])


def downgrade() -> None:
    """Go back to the version before."""
    for table in ("cds_feedback", "cds_card", "used_assertion"):
        op.drop_table(table)
