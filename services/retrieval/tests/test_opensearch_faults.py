"""OpenSearch breaks while it is written and searched: nothing lost, nothing doubled, callers answered in time."""

import asyncio
import time
from dataclasses import replace

import pytest
from opensearchpy.exceptions import ConnectionError as NoConnection
from retrieval.index import Checkpoint, IndexUnavailable, WriteCounts
from retrieval.ingress import NotReady
from retrieval.opensearch.cluster import Conflict
from retrieval.opensearch.names import Names
from retrieval.opensearch.queries import visible
from retrieval.opensearch.rows import document_row, passage_rows
from retrieval.opensearch.writing import Change, Writing
from retrieval.opensearch_index import OpenSearchIndex, open_opensearch_index
from retrieval.service import RetrievalService
from service_contracts.evidence import PassageQuery


class FaultyClient:
    """The real client, whose bulks meet the faults that a test lists, one each time, and then none."""

    def __init__(self, client, *faults):
        self._client = client
        self.faults = list(faults)

    def __getattr__(self, name):
        return getattr(self._client, name)

    async def bulk(self, *, index, body):
        fault = self.faults.pop(0) if self.faults else None
        if fault == "refused":
            return {"items": [{name: {"status": 429, "error": {"type": "rejected"}}} for name in _names(body)]}
        if fault == "half":
            lines, rest = _halves(body)
            done = await self._client.bulk(index=index, body=lines)
            refused = [{name: {"status": 429, "error": {"type": "rejected"}}} for name in _names(rest)]
            return {"items": [*done["items"], *refused]}
        answer = await self._client.bulk(index=index, body=body)
        if fault == "answer lost":
            raise NoConnection("N/A", "the answer was lost", None)
        return answer


def _names(lines):
    return [name for line in lines for name in ("create", "update", "delete") if name in line]


def _halves(lines):
    starts = [place for place, line in enumerate(lines) if _names([line])]
    middle = starts[len(starts) // 2]
    return lines[:middle], lines[middle:]


@pytest.fixture
async def opened(connect_node):
    """Open the index of a tenant, its cluster changed by the test."""
    indexes = []

    async def open_index(tenant, change=lambda cluster: cluster, **more):
        index = await open_opensearch_index(change(connect_node(**more)), tenant)
        indexes.append(index)
        return index

    yield open_index
    for index in indexes:
        await index.close()


def faulty(*faults):
    return lambda cluster: replace(cluster, client=FaultyClient(cluster.client, *faults))


def documents(make, count, version="1"):
    return [make.document(f"label/{n}", version=version, passages=[f"words {n}", "more"]) for n in range(count)]


async def everything(index):
    await index.refresh()
    found = await index.passages(PassageQuery(text="words more", limit=50, budget_ms=60_000))
    return await index.counts(), sorted(one.id for one in found)


@pytest.mark.parametrize(
    "faults", [("refused",), ("half", "half", "half"), ("answer lost",), ("half", "answer lost", "refused", "half")]
)
async def test_bulks_that_are_refused_in_part_or_whose_answers_are_lost_are_finished_once(opened, make, faults):
    tenant = f"faults_{len(faults)}_{faults[0].replace(' ', '_')}"
    index = await opened(tenant, faulty(*faults))
    assert await index.write(documents(make, 10)) == WriteCounts(added=10)
    counts, ids = await everything(index)
    assert (counts["document"], counts["passage"]) == (10, 20)
    assert ids == sorted(f"label/{n}#{m}" for n in range(10) for m in range(2))
    await index.remove([f"label/{n}" for n in range(10)])


async def test_a_cluster_that_stays_busy_is_an_error_and_keeps_nothing_of_the_batch(opened, make):
    index = await opened("busy", faulty(*["half"] * 50), patience_s=1.0)
    with pytest.raises(IndexUnavailable, match="could not be written"):
        await index.write(documents(make, 10), Checkpoint("input", 10))
    healthy = await opened("busy")
    counts, ids = await everything(healthy)
    assert (counts["document"], ids, await healthy.checkpoint("input")) == (0, [], None)
    assert await healthy.write(documents(make, 10), Checkpoint("input", 10)) == WriteCounts(added=10)
    assert len((await everything(healthy))[1]) == 20


async def half_written(writing, make):
    """Do what a writer has done when it is killed before, or hangs at, the step that makes its change count."""
    batch = Change(*await writing._begin())
    never = make.document("label/never", names=[("ghost", ("ghost",))], passages=["never words"])
    row_id = batch.add(batch.documents, document_row(never, 1, None))
    for row in passage_rows(never, row_id, None):
        batch.add(batch.passages, row)
    await writing.cluster.bulk(writing.names.passages, batch.passages)
    await writing.cluster.bulk(writing.names.documents, batch.documents)
    return batch


async def test_what_a_killed_writer_left_never_counts_and_its_lease_runs_out(opened, make):
    index = await opened("killed")
    await half_written(Writing(index._cluster, Names("killed"), lease_s=1.0), make)
    other = await opened("killed")
    started = time.monotonic()
    await other.write(documents(make, 2))
    assert time.monotonic() - started > 0.3
    counts, _ = await everything(other)
    assert counts["document"] == 2
    assert await other.ingredients() == frozenset()
    assert (await other.keys()) == ["label/0", "label/1"]


async def test_a_writer_that_hung_is_refused_when_another_took_over(opened, make):
    index = await opened("hung")
    writing = Writing(index._cluster, Names("hung"), lease_s=0.5)
    batch = await half_written(writing, make)
    other = await opened("hung")
    await other.write(documents(make, 2))
    with pytest.raises(Conflict):
        await writing._finish(batch, set())
    assert await other.ingredients() == frozenset()
    assert (await everything(other))[0]["document"] == 2


async def test_two_writers_take_turns(opened, make):
    one, two = await opened("turns"), await opened("turns")
    batches = documents(make, 8)
    await asyncio.gather(*(index.write([document]) for index, document in zip([one, two] * 4, batches, strict=True)))
    counts, ids = await everything(one)
    assert (counts["document"], len(ids)) == (8, 16)


async def test_rows_that_were_removed_are_deleted_once_no_reader_looks_at_them(opened, make, monkeypatch):
    from retrieval.opensearch import writing

    index, reader = await opened("garbage"), await opened("garbage")
    await index.write(documents(make, 3))
    await reader.refresh()
    await index.write(documents(make, 3, version="2"))
    monkeypatch.setattr(writing, "_KEEP_REMOVED_S", -1.0)
    await index.write(documents(make, 1, version="3"))
    await index._cluster.refresh(index._names.passages)
    rows = [hit["_source"] async for hit in index._cluster.rows(index._names.passages, {"match_all": {}})]
    assert not [row for row in rows if row.get("removed", 10) <= 2]
    # The reader is so far behind that it cannot be told what went: it reads everything anew.
    await reader.refresh()
    assert await everything(reader) == await everything(await opened("garbage"))


async def test_a_red_index_is_said_to_be_unavailable(opened, opensearch):
    with opensearch.node.client() as admin:
        nowhere = {"settings": {"index.routing.allocation.require._name": "nowhere"}}
        body = {**nowhere, "aliases": {"preceptor-passages-red": {}}}
        admin.put("/preceptor-passages-red-000001?wait_for_active_shards=0&timeout=1s", json=body).raise_for_status()
        index = await opened("red")
        try:
            with pytest.raises(IndexUnavailable):
                await index.passages(PassageQuery(text="words", budget_ms=5_000))
        finally:
            admin.delete("/preceptor-passages-red-000001").raise_for_status()


async def serving(index: OpenSearchIndex):
    async def open_index():
        return index

    service = RetrievalService(open_index, refresh_every_s=0.2)
    service._index = index
    return service


async def test_a_cluster_that_hangs_is_not_waited_for_beyond_the_time_given(opened, opensearch, make):
    index = await opened("paused")
    await index.write(documents(make, 2))
    await index.refresh()
    service = await serving(index)
    opensearch.pause()
    try:
        started = time.monotonic()
        with pytest.raises((TimeoutError, NotReady)):
            await service.passages_for(PassageQuery(text="words", budget_ms=500))
        assert time.monotonic() - started < 2.0
        writing = asyncio.create_task(index.write(documents(make, 4, version="2")))
        await asyncio.sleep(1.0)
        assert not writing.done()
    finally:
        opensearch.resume()
    assert await writing == WriteCounts(added=4)
    assert (await index.counts())["document"] == 6
    assert await service.passages_for(PassageQuery(text="words", budget_ms=30_000))


async def test_a_cluster_killed_in_a_bulk_load_loses_and_doubles_nothing(opened, opensearch, make):
    index = await opened("power", patience_s=120.0)
    batches = [documents(make, 300)[start : start + 20] for start in range(0, 300, 20)]
    kept: list[int] = []
    some = asyncio.Event()

    async def load():
        for position, batch in enumerate(batches, start=1):
            await index.write(batch, Checkpoint("load", position))
            kept.append(position)
            if position == 4:
                some.set()

    loading = asyncio.create_task(load())
    await some.wait()
    await asyncio.to_thread(opensearch.kill)
    acknowledged = len(kept)
    with pytest.raises((IndexUnavailable, TimeoutError, NotReady)):
        await (await serving(index)).passages_for(PassageQuery(text="words", budget_ms=500))
    await asyncio.to_thread(opensearch.start_again)
    try:
        await loading
    except IndexUnavailable:
        done = await index.checkpoint("load")
        assert done is not None and done.position >= acknowledged
        for position, batch in enumerate(batches, start=1):
            await index.write(batch, Checkpoint("load", position))
    assert await index.checkpoint("load") == Checkpoint("load", len(batches))
    await index.refresh()
    counts = await index.counts()
    counted = index._cluster.rows(index._names.passages, visible(index._view.head))
    rows = [hit["_source"]["id"] async for hit in counted]
    assert (counts["document"], counts["passage"], len(rows), len(set(rows))) == (300, 600, 600, 600)
