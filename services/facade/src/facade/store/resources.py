"""Our own results as FHIR resources: versioned, sealed, and found by terms that only the key holder can compute.

A row is one version. What a resource says is sealed for its patient; what it can be found by is kept as keyed digests
(HMAC-SHA256 under a data key of the tenant, whose wrapped form is the only one stored), so the database shows neither
names nor codes nor references. The dates in the index are the moments at which we wrote.
"""

import contextlib
import hmac
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from fhir_support.identifiers import deterministic_id
from service_runtime.envelope import EnvelopeCipher
from service_runtime.secrets import SecretError, SecretStore
from sqlalchemy import ColumnElement, Connection, and_, func, select, true, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from facade.fhir.criteria import Criterion, Limit
from facade.fhir.home import Home
from facade.fhir.served import SERVED
from facade.fhir.terms import COMPARTMENT, patients_of, resource_dates, resource_terms
from facade.resources.ids import patient_scope
from facade.store.database import Database
from facade.store.resource_index import IndexKeys, digest, meets, within
from facade.store.resource_rows import ResourceRow
from facade.store.resource_writing import EPOCH, INSERT_NEW, Beside, Prepared, index_of, row_of

__all__ = ["Found", "Order", "Place", "Resources", "StoredResource"]

Order = Literal["kept", "oldest", "newest"]
"""``kept`` is the order in which versions were kept: what changes while pages are turned comes again, and nothing is
missed. The others go by ``_lastUpdated``."""

Place = tuple[int, int]
"""Where a version stands in every order: when it was updated, and its sequence."""


@dataclass(frozen=True)
class StoredResource:
    """One version of a resource, with ``id`` and ``meta``; ``about`` are the patients whose compartment it is in."""

    resource_type: str
    id: str
    version: int
    updated: datetime
    resource: dict[str, Any]
    about: frozenset[str]
    place: Place


@dataclass(frozen=True)
class Found:
    """A page of resources, whether there are more, and how many there are in all (None: not counted)."""

    resources: tuple[StoredResource, ...]
    more: bool
    total: int | None


class Resources:
    """The store of all tenants; no question crosses from one to another."""

    def __init__(
        self, database: Database, cipher: EnvelopeCipher, secrets: SecretStore, *, key: str, home: Callable[[str], Home]
    ) -> None:
        self._database = database
        self._cipher = cipher
        self._keys = IndexKeys(database, secrets, key)
        self._home = home

    async def prepare(self, ehr_id: str, resource: Mapping[str, Any], *, patient: str | None, at: datetime) -> Prepared:
        """Seal and index ``resource``, which has its ``id``; ``patient`` is whom it is about, by id or reference.

        Sealing may call the secret store, which must not happen while the database is locked.
        """
        home = self._home(ehr_id)
        key = await self._keys.of(ehr_id)
        resource_type, resource_id = str(resource["resourceType"]), str(resource["id"])
        about = patients_of(resource, home)
        owner = home.patient(patient)
        if owner is not None and SERVED[resource_type].compartment:
            about |= {owner}
        body = {**resource, "meta": _own_meta(resource)}
        plain = json.dumps({"about": sorted(about), "resource": body}, ensure_ascii=False).encode()
        scope = patient_scope(ehr_id, min(about)) if about else deterministic_id("fhir-tenant", ehr_id)
        terms = {*resource_terms(body, home), *((COMPARTMENT, one) for one in about)}
        return Prepared(
            ehr_id,
            resource_type,
            resource_id,
            at,
            hmac.digest(key, b"content\n" + plain, "sha256"),
            scope,
            await self._cipher.seal(plain, scope=scope, aad=_place(ehr_id, resource_type, resource_id)),
            frozenset(digest(key, resource_type, term) for term in terms),
            frozenset(resource_dates(body)),
        )

    async def warm(self, ehr_id: str, patient: str) -> None:
        """Get the key of a patient before it is needed; a failure shows when it is."""
        with contextlib.suppress(SecretError):
            await self._cipher.warm(patient_scope(ehr_id, patient))

    async def add(self, session: AsyncSession, prepared: Prepared) -> bool:
        """Add a version inside a transaction; return False, adding nothing, when the newest one says the same."""
        this = and_(
            ResourceRow.ehr_id == prepared.ehr_id,
            ResourceRow.resource_type == prepared.resource_type,
            ResourceRow.resource_id == prepared.id,
        )
        newest = select(ResourceRow).where(this, ResourceRow.is_current.is_(True)).with_for_update()
        before = (await session.scalars(newest)).one_or_none()
        if before is not None and hmac.compare_digest(before.content, prepared.content):
            return False
        if before is None:
            sequence = await self._insert(session, prepared, version=1, after_ms=0)
        else:
            sequence = await self._insert(session, prepared, version=before.version + 1, after_ms=before.updated_ms)
        if sequence is None:
            # Another process was first; now its version is there to compare with.
            return await self.add(session, prepared)
        if before is not None:
            # Only the row that is locked: another writer may hold an older one while it waits for this.
            older = update(ResourceRow).where(ResourceRow.sequence == before.sequence).values(is_current=False)
            await session.execute(older)
        return True

    async def add_all(self, session: AsyncSession, prepared: Sequence[Prepared]) -> None:
        """Add several inside a transaction."""
        for one in prepared:
            await self.add(session, one)

    async def put(self, *prepared: Prepared) -> None:
        """Add in a transaction of its own."""
        async with self._database.session() as session:
            await self.add_all(session, prepared)

    async def put_new(self, *prepared: Prepared, beside: Beside | None = None) -> None:
        """Add several whose ids were made for them, so that nothing can be there before, with what is ``beside``."""
        new = (*beside.resources, *prepared) if beside else prepared
        rows = [row_of(one, version=1, after_ms=0) for one in new]

        def work(connection: Connection) -> None:
            if beside is not None:
                beside.rows(connection)
            sequences = connection.execute(INSERT_NEW, rows).scalars().all()
            for statement, indexed in index_of(zip(sequences, new, strict=True)):
                connection.execute(statement, indexed)

        await self._database.write(work)

    async def _insert(self, session: AsyncSession, prepared: Prepared, *, version: int, after_ms: int) -> int | None:
        """Insert a version with what it is found by; return its sequence, or None when it is there already."""
        row = row_of(prepared, version=version, after_ms=after_ms)
        sequence: int | None = await self._database.insert_new_row(session, ResourceRow, row, ResourceRow.sequence)
        if sequence is not None:
            for statement, indexed in index_of([(sequence, prepared)]):
                await session.execute(statement, indexed)
        return sequence

    async def get(
        self, ehr_id: str, resource_type: str, resource_id: str, version: int | None = None
    ) -> StoredResource | None:
        """Return the newest version of a resource, or the one asked for."""
        which = ResourceRow.is_current.is_(True) if version is None else ResourceRow.version == version
        query = select(ResourceRow).where(
            ResourceRow.ehr_id == ehr_id,
            ResourceRow.resource_type == resource_type,
            ResourceRow.resource_id == resource_id,
            which,
        )
        async with self._database.reading() as session:
            row = (await session.scalars(query)).one_or_none()
        return None if row is None else await self._open(row)

    async def search(
        self,
        ehr_id: str,
        resource_type: str,
        *,
        limits: Iterable[Limit],
        criteria: Sequence[Criterion] = (),
        count: int,
        after: Place | None = None,
        order: Order = "kept",
        total: bool = True,
    ) -> Found:
        """Return the newest versions that meet ``criteria`` within ``limits``; ``after`` is the last one seen."""
        key = await self._keys.of(ehr_id)
        where = and_(
            ResourceRow.ehr_id == ehr_id,
            ResourceRow.resource_type == resource_type,
            ResourceRow.is_current.is_(True),
            *(meets(key, resource_type, one) for one in criteria),
            within(key, resource_type, limits),
        )
        return await self._page(where, count=count, after=after, order=order, total=total)

    async def history(
        self,
        ehr_id: str,
        resource_type: str,
        *,
        limits: Iterable[Limit],
        resource_id: str | None = None,
        since: datetime | None = None,
        count: int,
        after: Place | None = None,
    ) -> Found:
        """Return versions within ``limits``, the newest first: of one resource, or of the type."""
        key = await self._keys.of(ehr_id)
        where = and_(
            ResourceRow.ehr_id == ehr_id,
            ResourceRow.resource_type == resource_type,
            true() if resource_id is None else ResourceRow.resource_id == resource_id,
            true() if since is None else ResourceRow.updated_ms >= (since - EPOCH) // timedelta(milliseconds=1),
            within(key, resource_type, limits),
        )
        return await self._page(where, count=count, after=after, order="newest", total=True)

    async def derived_key(self, ehr_id: str, purpose: str) -> bytes:
        """Return a key of the tenant for another purpose than the index."""
        return hmac.digest(await self._keys.of(ehr_id), f"derived\n{purpose}".encode(), "sha256")

    async def _page(
        self, where: ColumnElement[bool], *, count: int, after: Place | None, order: Order, total: bool
    ) -> Found:
        places = (ResourceRow.sequence,) if order == "kept" else (ResourceRow.updated_ms, ResourceRow.sequence)
        query = select(ResourceRow).where(where).limit(count + 1)
        query = query.order_by(*(one.desc() if order == "newest" else one.asc() for one in places))
        if after is not None:
            place, seen = tuple_(*places), after[1:] if order == "kept" else after
            query = query.where(place < seen if order == "newest" else place > seen)
        async with self._database.reading() as session:
            rows = (await session.scalars(query)).all() if count else []
            counted = (
                await session.scalar(select(func.count()).select_from(ResourceRow).where(where)) if total else None
            )
        return Found(tuple([await self._open(row) for row in rows[:count]]), len(rows) > count, counted)

    async def _open(self, row: ResourceRow) -> StoredResource:
        where = _place(row.ehr_id, row.resource_type, row.resource_id)
        content = json.loads(await self._cipher.open(row.sealed, scope=row.scope, aad=where))
        place = (row.updated_ms, row.sequence)
        resource, updated = content["resource"], EPOCH + timedelta(milliseconds=row.updated_ms)
        instant = updated.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        meta = {"versionId": str(row.version), "lastUpdated": instant, **resource.pop("meta", {})}
        resource = {"resourceType": row.resource_type, "id": row.resource_id, "meta": meta, **resource}
        about = frozenset(content["about"])
        return StoredResource(row.resource_type, row.resource_id, row.version, updated, resource, about, place)


def _own_meta(resource: Mapping[str, Any]) -> dict[str, Any]:
    """What ``meta`` says beside version and time, which are the store's to say."""
    meta = resource.get("meta") or {}
    return {name: meta[name] for name in ("profile", "security", "tag") if meta.get(name)}


def _place(ehr_id: str, resource_type: str, resource_id: str) -> str:
    return f"fhir_resource.sealed/{ehr_id}/{resource_type}/{resource_id}"
