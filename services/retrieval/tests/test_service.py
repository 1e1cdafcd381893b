"""The life of an index in a replica: opened late, opened again, refreshed while it serves."""

import asyncio

import pytest
from retrieval.embedded_index import open_embedded_index
from retrieval.index import WrongIndexKey
from retrieval.ingress import NotReady
from retrieval.service import RetrievalService
from retrieval.starter import STARTER_PREFIX, load_starter, starter_documents
from service_contracts.evidence import FactKind, SubjectKind
from service_runtime.secrets import SecretStoreUnavailable


async def until(true, tries=400):
    for _ in range(tries):
        try:
            if await true():
                return
        except NotReady:
            pass
        await asyncio.sleep(0.02)
    raise AssertionError("it never came true")


async def ready(service):
    service.check()
    return True


@pytest.fixture
async def running(tmp_path, secrets):
    tasks = []

    def start(open_index=None):
        async def from_folder():
            return await open_embedded_index(tmp_path / "index", secrets, read=False)

        service = RetrievalService(open_index or from_folder, refresh_every_s=0.05)
        tasks.append(asyncio.create_task(service.run()))
        return service

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_an_empty_folder_becomes_an_index_of_the_starter_knowledge(running, make):
    service = running()
    with pytest.raises(NotReady, match="index-opening"):
        service.check()
    await until(lambda: ready(service))
    found = await service.evidence_for(
        make.query("Glucophage", make.subject("laparoscopic cholecystectomy", SubjectKind.PROCEDURE))
    )
    kinds = {fact.body.kind for fact in found.facts}
    assert {FactKind.DOSE_LIMIT, FactKind.ACTIVITY_PROTOCOL} <= kinds
    assert set(found.searched) == set(FactKind) - {FactKind.FORMULARY_STATUS}
    assert all(fact.source.publisher and fact.source.identifier for fact in found.facts)


async def test_what_another_process_ingests_is_served_without_restart(running, make, tmp_path, secrets):
    service = running()
    await until(lambda: ready(service))
    before = (await service.evidence_for(make.query("Wonderdrug"))).index_version
    writer = await open_embedded_index(tmp_path / "index", secrets, read=False)
    await writer.write([make.document(facts=[make.dose("wonderdrug")])])
    await writer.close()

    async def found():
        return (await service.evidence_for(make.query("Wonderdrug"))).facts

    await until(found)
    assert (await service.evidence_for(make.query("Wonderdrug"))).index_version != before


@pytest.mark.parametrize(
    ("error", "reason"),
    [(SecretStoreUnavailable("sealed"), "secret-store-unavailable"), (WrongIndexKey("no"), "index-not-open")],
)
async def test_an_index_that_cannot_be_opened_is_not_ready_and_is_tried_again(
    running, make, tmp_path, secrets, error, reason
):
    troubles = [error, error]

    async def open_index():
        if troubles:
            raise troubles.pop()
        return await open_embedded_index(tmp_path / "index", secrets, read=False)

    service = running(open_index)

    async def told():
        try:
            service.check()
        except NotReady as refused:
            return refused.reason == reason
        return False

    await until(told)
    with pytest.raises(NotReady):
        await service.evidence_for(make.query("metformin"))
    await until(lambda: ready(service))


async def test_starter_facts_of_an_earlier_release_go_and_those_of_a_site_stay(index, make):
    await index.write([make.document(f"{STARTER_PREFIX}old.yaml/x", kind="starter"), make.document("site/x")])
    await load_starter(index)
    assert await index.keys("site/") == ["site/x"]
    assert await index.keys(STARTER_PREFIX) == sorted(document.key for document in starter_documents())


async def test_passages_keep_to_the_time_they_are_given(running, make):
    from service_contracts.evidence import PassageQuery

    service = running()
    await until(lambda: ready(service))
    assert await service.passages_for(PassageQuery(text="words", budget_ms=5_000)) == []
