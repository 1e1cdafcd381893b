"""Events that are dealt with together, gaps in their numbers, and when an EHR was last heard."""

import sqlalchemy as sa
from advanced_alchemy.types import DateTimeUTC
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this version."""
    op.add_column("inbox_event", sa.Column("reason", sa.String(64)))
    op.add_column("inbox_event", sa.Column("group_key", sa.String(36)))
    op.add_column("inbox_event", sa.Column("fingerprint", sa.String(36)))
    op.create_index("ix_inbox_event_group", "inbox_event", ["group_key", "state", "sequence"])
    op.create_index("ix_inbox_event_number", "inbox_event", ["ehr_id", "subscription", "epoch", "number"])
    op.add_column("outbox_effect", sa.Column("reason", sa.String(64)))
    op.add_column("subscription", sa.Column("through", sa.Integer, nullable=False, server_default="0"))
    op.add_column("subscription", sa.Column("heard_at", DateTimeUTC(timezone=True)))
    op.add_column("subscription", sa.Column("heartbeats", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("subscription", sa.Column("payload", sa.String(16)))
    # What was heard of before gaps were kept apart has been searched for.
    op.execute("UPDATE subscription SET through = highest")


def downgrade() -> None:
    """Go back to the version before."""
    for column in ("payload", "heartbeats", "heard_at", "through"):
        op.drop_column("subscription", column)
    op.drop_column("outbox_effect", "reason")
    op.drop_index("ix_inbox_event_number", "inbox_event")
    op.drop_index("ix_inbox_event_group", "inbox_event")
    for column in ("fingerprint", "group_key", "reason"):
        op.drop_column("inbox_event", column)
