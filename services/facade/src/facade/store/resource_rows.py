"""The tables of our own results: versions, what they are found by, and the wrapped keys of that index."""

from advanced_alchemy.types import BigIntIdentity
from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from facade.store.tables import Base

__all__ = ["DIGEST_BYTES", "DateRow", "IndexKeyRow", "ResourceRow", "TermRow"]

DIGEST_BYTES = 16


class ResourceRow(Base):
    """One version of one resource; ``content`` is a keyed digest of what it says."""

    __tablename__ = "fhir_resource"
    __table_args__ = (
        UniqueConstraint("ehr_id", "resource_type", "resource_id", "version"),
        Index("ix_fhir_resource_current", "ehr_id", "resource_type", "is_current", "sequence"),
    )

    sequence: Mapped[int] = mapped_column(BigIntIdentity, primary_key=True, autoincrement=True)
    ehr_id: Mapped[str] = mapped_column(String(32))
    resource_type: Mapped[str] = mapped_column(String(32))
    resource_id: Mapped[str] = mapped_column(String(64))
    version: Mapped[int]
    is_current: Mapped[bool]
    updated_ms: Mapped[int] = mapped_column(BigInteger)
    content: Mapped[bytes] = mapped_column(LargeBinary)
    scope: Mapped[str] = mapped_column(String(36))
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class TermRow(Base):
    """One thing a version can be found by."""

    __tablename__ = "fhir_term"

    digest: Mapped[bytes] = mapped_column(LargeBinary(DIGEST_BYTES), primary_key=True)
    resource: Mapped[int] = mapped_column(BigInteger, ForeignKey("fhir_resource.sequence"), primary_key=True)


class DateRow(Base):
    """One date a version can be found by, in microseconds since 1970, ``high`` not included."""

    __tablename__ = "fhir_date"

    resource: Mapped[int] = mapped_column(BigInteger, ForeignKey("fhir_resource.sequence"), primary_key=True)
    code: Mapped[str] = mapped_column(String(32), primary_key=True)
    low: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    high: Mapped[int] = mapped_column(BigInteger, primary_key=True)


class IndexKeyRow(Base):
    """The wrapped key of a tenant's digests."""

    __tablename__ = "fhir_index_key"

    ehr_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    wrapped: Mapped[str] = mapped_column(String(512))
