"""Our own results as FHIR resources, what they are found by, and the wrapped keys of that index."""

import sqlalchemy as sa
from advanced_alchemy.types import BigIntIdentity
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this version."""
    op.create_table(
        "fhir_resource",
        sa.Column("sequence", BigIntIdentity, primary_key=True, autoincrement=True),
        sa.Column("ehr_id", sa.String(32), nullable=False),
        sa.Column("resource_type", sa.String(32), nullable=False),
        sa.Column("resource_id", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("is_current", sa.Boolean, nullable=False),
        sa.Column("updated_ms", sa.BigInteger, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("scope", sa.String(36), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("ehr_id", "resource_type", "resource_id", "version"),
    )
    op.create_index("ix_fhir_resource_current", "fhir_resource", ["ehr_id", "resource_type", "is_current", "sequence"])
    op.create_table(
        "fhir_term",
        sa.Column("digest", sa.LargeBinary(16), primary_key=True),
        sa.Column("resource", sa.BigInteger, sa.ForeignKey("fhir_resource.sequence"), primary_key=True),
    )
    op.create_table(
        "fhir_date",
        sa.Column("resource", sa.BigInteger, sa.ForeignKey("fhir_resource.sequence"), primary_key=True),
        sa.Column("code", sa.String(32), primary_key=True),
        sa.Column("low", sa.BigInteger, primary_key=True),
        sa.Column("high", sa.BigInteger, primary_key=True),
    )
    op.create_table(
        "fhir_index_key",
        sa.Column("ehr_id", sa.String(32), primary_key=True),
        sa.Column("wrapped", sa.String(512), nullable=False),
    )


def downgrade() -> None:
    """Go back to the version before."""
    for table in ("fhir_index_key", "fhir_date", "fhir_term", "fhir_resource"):
        op.drop_table(table)
