"""Launches under way and the sessions of the clinician's page."""

import sqlalchemy as sa
from advanced_alchemy.types import DateTimeUTC
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this version."""
    op.create_table(
        "launch",
        sa.Column("state_hash", sa.String(64), primary_key=True),
        sa.Column("browser_hash", sa.String(64), nullable=False),
        sa.Column("ehr_id", sa.String(32), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", DateTimeUTC(timezone=True), nullable=False),
    )
    op.create_index("ix_launch_expires_at", "launch", ["expires_at"])
    op.create_table(
        "session",
        sa.Column("window", sa.String(32), primary_key=True),
        sa.Column("secret_hash", sa.String(64), nullable=False),
        sa.Column("ehr_id", sa.String(32), nullable=False),
        sa.Column("patient_key", sa.String(36), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("idle_until", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("ends_at", DateTimeUTC(timezone=True), nullable=False),
    )
    op.create_index("ix_session_idle_until", "session", ["idle_until"])


def downgrade() -> None:
    """Go back to the version before."""
    for table in ("session", "launch"):
        op.drop_table(table)
