"""What clients asked for with Prefer: respond-async."""

import sqlalchemy as sa
from advanced_alchemy.types import BigIntIdentity, DateTimeUTC
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this version."""
    op.create_table(
        "operation_job",
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
        sa.Column("reason", sa.String(64)),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("operation", sa.String(32), nullable=False),
        sa.Column("scope", sa.String(36), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("result", sa.LargeBinary),
        sa.Column("expires_at", DateTimeUTC(timezone=True), nullable=False),
    )
    op.create_index("ix_operation_job_due", "operation_job", ["state", "next_attempt_at"])
    op.create_index("ix_operation_job_owner", "operation_job", ["owner", "state"])
    op.create_index("ix_operation_job_expires_at", "operation_job", ["expires_at"])


def downgrade() -> None:
    """Go back to the version before."""
    op.drop_table("operation_job")
