"""The blind index of our own results: what a resource is found by, as digests under a key of the tenant."""

import asyncio
import hmac
import json
import time
from collections.abc import Iterable
from typing import Any

from service_runtime.secrets import SecretStore
from sqlalchemy import ColumnElement, and_, false, or_, select, true

from facade.fhir.criteria import Criterion, DateTest, Limit
from facade.fhir.terms import COMPARTMENT, Term
from facade.store.database import Database
from facade.store.resource_rows import DIGEST_BYTES, DateRow, IndexKeyRow, ResourceRow, TermRow

__all__ = ["IndexKeys", "digest", "meets", "within"]

_KEY_TTL_S = 300.0


class IndexKeys:
    """The keys of all tenants: data keys of the Transit key ``transit_key``, kept wrapped in the database."""

    def __init__(self, database: Database, secrets: SecretStore, transit_key: str) -> None:
        self._database = database
        self._secrets = secrets
        self._transit_key = transit_key
        self._keys: dict[str, tuple[float, bytes]] = {}
        self._lock = asyncio.Lock()

    async def of(self, ehr_id: str) -> bytes:
        """Return the tenant's key; it is made at the first use and forgotten after a while, so that a lost secret
        store stops search as it stops decryption."""
        async with self._lock:
            held = self._keys.get(ehr_id)
            if held is not None and time.monotonic() < held[0]:
                return held[1]
            context = f"fhir-index|{ehr_id}".encode()
            async with self._database.reading() as session:
                row = await session.get(IndexKeyRow, ehr_id)
            if row is None:
                new = await self._secrets.new_data_key(self._transit_key, context)
                async with self._database.session() as session:
                    await self._database.insert_new(session, IndexKeyRow, {"ehr_id": ehr_id, "wrapped": new.wrapped})
                async with self._database.reading() as session:
                    row = await session.get_one(IndexKeyRow, ehr_id)
            key = await self._secrets.unwrap_data_key(self._transit_key, row.wrapped, context)
            self._keys[ehr_id] = (time.monotonic() + _KEY_TTL_S, key)
            return key


def digest(key: bytes, resource_type: str, term: Term) -> bytes:
    """Return what stands for ``term`` of this type in the database."""
    text = json.dumps([resource_type, *term], ensure_ascii=False)
    return hmac.digest(key, text.encode(), "sha256")[:DIGEST_BYTES]


def within(key: bytes, resource_type: str, limits: Iterable[Limit]) -> ColumnElement[bool]:
    """Return the condition that a resource is within one of ``limits``; without any, nothing is."""
    found = []
    for limit in limits:
        parts = [meets(key, resource_type, one) for one in limit.criteria]
        if limit.patient is not None:
            parts.append(_has_term(key, resource_type, [(COMPARTMENT, limit.patient)]))
        found.append(and_(true(), *parts))
    return or_(false(), *found)


def meets(key: bytes, resource_type: str, criterion: Criterion) -> ColumnElement[bool]:
    """Return the condition that a resource meets ``criterion``, as ``Criterion.met`` decides it."""
    if criterion.code == "_id":
        return ResourceRow.resource_id.in_(criterion.ids)
    if criterion.code == "_lastUpdated":
        low = ResourceRow.updated_ms * 1_000
        return or_(false(), *(_comparison(test, low, low + 1_000) for test in criterion.dates))
    if criterion.dates:
        tests = or_(*(_comparison(test, DateRow.low, DateRow.high) for test in criterion.dates))
        held = select(DateRow.resource).where(DateRow.code == criterion.code, tests)
        return ResourceRow.sequence.in_(held)
    return _has_term(key, resource_type, criterion.terms)


def _has_term(key: bytes, resource_type: str, terms: Iterable[Term]) -> ColumnElement[bool]:
    digests = [digest(key, resource_type, term) for term in terms]
    return ResourceRow.sequence.in_(select(TermRow.resource).where(TermRow.digest.in_(digests)))


def _comparison(test: DateTest, low: Any, high: Any) -> ColumnElement[bool]:
    """``DateTest.holds``, as the database evaluates it."""
    span = test.span
    inside = and_(span.low <= low, high <= span.high)
    compared: dict[str, ColumnElement[bool]] = {
        "eq": inside,
        "ne": ~inside,
        "gt": high > span.high,
        "ge": or_(high > span.high, inside),
        "lt": low < span.low,
        "le": or_(low < span.low, inside),
        "sa": low >= span.high,
        "eb": high <= span.low,
    }
    return compared[test.prefix]
