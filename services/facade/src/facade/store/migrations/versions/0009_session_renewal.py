"""Which process renews the tokens of a session, so that a refresh token that works once is used once."""

import sqlalchemy as sa
from advanced_alchemy.types import DateTimeUTC
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this version."""
    with op.batch_alter_table("session") as table:
        table.add_column(sa.Column("renewing_until", DateTimeUTC(timezone=True), nullable=True))


def downgrade() -> None:
    """Go back to the version before."""
    with op.batch_alter_table("session") as table:
        table.drop_column("renewing_until")
