"""A version of a resource as the rows that keep it and what it is found by."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sqlalchemy import Insert, Table, insert

from facade.fhir.terms import DateRange
from facade.store.database import Work
from facade.store.resource_rows import DateRow, ResourceRow, TermRow

__all__ = ["EPOCH", "INSERT_NEW", "Beside", "Prepared", "index_of", "row_of"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Into the tables themselves: there are dozens of rows to an answer, and none of them is an object to anybody.
_INSERT_TERMS, _INSERT_DATES = (insert(cast(Table, one.__table__)) for one in (TermRow, DateRow))
_RESOURCES = cast(Table, ResourceRow.__table__)
INSERT_NEW = insert(_RESOURCES).returning(_RESOURCES.c.sequence, sort_by_parameter_order=True)


@dataclass(frozen=True)
class Prepared:
    """A resource sealed and indexed, ready to be added inside a transaction."""

    ehr_id: str
    resource_type: str
    id: str
    at: datetime
    content: bytes
    scope: str
    sealed: bytes
    digests: frozenset[bytes]
    dates: frozenset[tuple[str, DateRange]]


@dataclass(frozen=True)
class Beside:
    """What is written in the same transaction as something else: new resources, and ``rows`` of other tables."""

    resources: Sequence[Prepared]
    rows: Work[None]


def row_of(prepared: Prepared, *, version: int, after_ms: int) -> dict[str, Any]:
    """Return the row of a version; it is updated after ``after_ms`` (milliseconds since 1970)."""
    return {
        "ehr_id": prepared.ehr_id,
        "resource_type": prepared.resource_type,
        "resource_id": prepared.id,
        "version": version,
        "is_current": True,
        # A version is never older than the one before it, whatever the clocks of two processes say.
        "updated_ms": max((prepared.at - EPOCH) // timedelta(milliseconds=1), after_ms + 1),
        "content": prepared.content,
        "scope": prepared.scope,
        "sealed": prepared.sealed,
    }


def index_of(versions: Iterable[tuple[int, Prepared]]) -> list[tuple[Insert, list[dict[str, Any]]]]:
    """Return what inserts what versions are found by."""
    inserted = list(versions)
    terms = [{"digest": one, "resource": sequence} for sequence, prepared in inserted for one in prepared.digests]
    dates = [
        {"resource": sequence, "code": code, "low": span.low, "high": span.high}
        for sequence, prepared in inserted
        for code, span in prepared.dates
    ]
    return [(statement, rows) for statement, rows in ((_INSERT_TERMS, terms), (_INSERT_DATES, dates)) if rows]
