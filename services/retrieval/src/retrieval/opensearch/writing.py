"""One change of an index: begun under the lease, made of rows that nobody sees, counted by one step or not at all."""

import asyncio
import random
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from retrieval.index import IndexBusy, IndexUnavailable
from retrieval.opensearch.cluster import Action, Cluster, Conflict, Stamp
from retrieval.opensearch.head import EMPTY, Head
from retrieval.opensearch.names import Names

__all__ = ["Change", "Writing", "read_head"]

_HEAD = "head"
_LEASE_S = 90.0
_WAIT_S = 120.0
# Readers look for changes every few seconds; rows that were removed stay this long for those that have not yet.
_KEEP_REMOVED_S = 60.0
# No call that an aborted writer made is still under way by then.
_KEEP_ABORTED_S = 3600.0
_T = TypeVar("_T")


async def read_head(cluster: Cluster, names: Names) -> tuple[Head, Stamp | None]:
    """Return the head as it is now, and what a compare-and-set has to name."""
    found = await cluster.get(names.documents, _HEAD)
    return (EMPTY, None) if found is None else (Head.load(found[0]["head"]), found[1])


@dataclass
class Change:
    """Rows to add and to mark as removed, and what they mean for the head."""

    head: Head
    stamp: Stamp
    delta: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    documents: list[Action] = field(default_factory=list)
    passages: list[Action] = field(default_factory=list)
    removed: bool = False
    _rows: int = 0

    @property
    def number(self) -> int:
        """The number of the change."""
        assert self.head.lease is not None
        return self.head.lease.change

    def add(self, to: list[Action], row: Mapping[str, Any]) -> str:
        """Add a row and return its id, which no other change can have."""
        row_id = f"{self.number}.{self._rows}"
        self._rows += 1
        to.append(({"create": {"_id": row_id}}, {**row, "row": row_id, "added": self.number}))
        return row_id

    def remove(self, to: list[Action], hit: Mapping[str, Any]) -> None:
        """Mark a row, as ``Cluster.rows`` gave it, as removed."""
        only = {"_id": hit["_id"], "if_seq_no": hit["_seq_no"], "if_primary_term": hit["_primary_term"]}
        to.append(({"update": only}, {"doc": {"removed": self.number}}))
        self.removed = True

    def weigh(self, weight: int, counts: Mapping[str, int], sign: int = 1) -> None:
        """Take a document version into account that comes, or with ``sign`` -1 goes."""
        self.delta += sign * weight
        for name, count in counts.items():
            self.counts[name] = self.counts.get(name, 0) + sign * count


@dataclass(frozen=True)
class Writing:
    """Makes changes, one at a time over all processes."""

    cluster: Cluster
    names: Names
    lease_s: float = _LEASE_S
    wait_s: float = _WAIT_S

    @asynccontextmanager
    async def change(self) -> AsyncIterator[Change]:
        """Give a change to be filled; it counts when the block has ended well. Raises ``IndexFailure``."""
        change = Change(*await self._begin())
        try:
            cleared = await self._clear(change.head)
            yield change
            await self._finish(change, cleared)
        except Conflict:
            raise IndexBusy("another process took the writing over: nothing of this batch was kept") from None
        except BaseException:
            await asyncio.shield(self._abandon(change))
            raise

    async def _finish(self, change: Change, cleared: set[int]) -> None:
        # Passages first: when a document is there, so is all of it.
        await self.cluster.bulk(self.names.passages, change.passages)
        await self.cluster.bulk(self.names.documents, change.documents)
        if change.passages or change.documents:
            after = change.head.committed(change.delta, change.counts, change.removed, time.time())
            await self._commit(after.cleared(cleared), change.stamp, change.number)
        else:
            await self._store(change.head.released().cleared(cleared), change.stamp)

    async def _begin(self) -> tuple[Head, Stamp]:
        """Take the lease; wait while another writer holds it."""
        writer, deadline = uuid.uuid4().hex, time.monotonic() + self.wait_s
        while True:
            head, stamp = await self._patiently(lambda: read_head(self.cluster, self.names))
            now = time.time()
            if head.lease is not None and head.lease.writer == writer and stamp is not None:
                return head, stamp  # an earlier try whose answer was lost
            if head.lease is None or head.lease.until < now:
                leased = head.leased(writer, now, self.lease_s)
                try:
                    return leased, await self._store(leased, stamp)
                except (Conflict, IndexUnavailable):
                    pass
            if time.monotonic() > deadline:
                raise IndexBusy(f"another process has been writing for {self.wait_s:g} s")
            await asyncio.sleep(random.uniform(0.02, 0.2))  # noqa: S311  spreads waiting writers, keeps no secret

    async def _commit(self, head: Head, stamp: Stamp, number: int) -> None:
        async def store() -> None:
            try:
                await self._store(head, stamp)
            except Conflict:
                found, _ = await read_head(self.cluster, self.names)
                if found.change < number or number in found.uncounted:
                    raise
                # It counts: an earlier try reached the cluster and its answer was lost.

        await self._patiently(store)

    async def _patiently(self, call: Callable[[], Awaitable[_T]]) -> _T:
        deadline = time.monotonic() + self.cluster.patience_s
        while True:
            try:
                return await call()
            except IndexUnavailable:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.5)

    async def _store(self, head: Head, stamp: Stamp | None) -> Stamp:
        return await self.cluster.put(self.names.documents, _HEAD, {"type": "head", "head": head.dump()}, stamp)

    async def renew(self, change: Change) -> None:
        """Keep the lease of a change that takes long; raise ``Conflict`` when it was lost."""
        change.head = change.head.renewed(time.time() + self.lease_s)
        change.stamp = await self._store(change.head, change.stamp)

    async def _abandon(self, change: Change) -> None:
        """Give the lease back. Should that fail, it runs out, and the next writer counts the change as aborted."""
        try:
            await self._store(change.head.abandoned(time.time()), change.stamp)
        except (Conflict, IndexUnavailable):
            return

    async def _clear(self, head: Head) -> set[int]:
        """Delete rows that nobody can read any more; return the changes that are done with."""
        now = time.time()
        garbage = [number for number, when in head.garbage if when < now - _KEEP_REMOVED_S]
        aborted = [number for number, when in head.aborted if when < now - _KEEP_ABORTED_S]
        if garbage or aborted:
            await self.cluster.refresh(self.names.documents, self.names.passages)
            gone = {"bool": {"should": [{"terms": {"added": aborted}}, {"terms": {"removed": garbage}}]}}
            kept = {"terms": {"removed": aborted}}
            for index in (self.names.documents, self.names.passages):
                rows = self.cluster.rows(index, gone, content=False)
                await self.cluster.bulk(index, [({"delete": {"_id": hit["_id"]}}, None) async for hit in rows])
                rows = self.cluster.rows(index, kept, content=False)
                unmarked = [({"update": {"_id": hit["_id"]}}, {"doc": {"removed": None}}) async for hit in rows]
                await self.cluster.bulk(index, unmarked)
        return {*garbage, *aborted}
