"""The oldest pending row of a queue is found by an index, however many wait."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TABLES = ("inbox_event", "outbox_effect")


def upgrade() -> None:
    """Go to this version."""
    for table in _TABLES:
        op.drop_index(f"ix_{table}_due", table)
        op.create_index(f"ix_{table}_pending", table, ["state", "sequence"])


def downgrade() -> None:
    """Go back to the version before."""
    for table in _TABLES:
        op.drop_index(f"ix_{table}_pending", table)
        op.create_index(f"ix_{table}_due", table, ["state", "next_attempt_at"])
