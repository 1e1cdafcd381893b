"""The same promises of the store on SQLite and on PostgreSQL: nothing lost, nothing twice, nothing readable."""

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from facade.decisions import Decision, DecisionAction, InvalidDecision
from facade.fhir.criteria import Limit, criteria
from facade.fhir.home import Home
from facade.store.database import Database
from facade.store.documents import Documents, DocumentStatus, Signature
from facade.store.inbox import EventKind, Inbox, NewEvent
from facade.store.leases import RetryPolicy
from facade.store.outbox import Effect, Outbox
from facade.store.resource_rows import IndexKeyRow, ResourceRow, TermRow
from facade.store.resources import Resources
from facade.store.subscriptions import Arrival
from facade.store.tables import Base, DocumentRow, InboxRow, OutboxRow
from service_runtime.envelope import EnvelopeCipher
from service_runtime.secrets import DecryptionRefused, MemorySecretStore
from sqlalchemy import event as event_of_engine
from sqlalchemy import select, text, update

MARKED = "Zebediah Quillfeather"
RETRY = RetryPolicy(base_s=0.0, max_s=0.0, quarantine_after=3)
POSTGRES_BIN = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)
NOBODY = 65534
PASSWORD = "a password for tests"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """A PostgreSQL server of its own on a free port, or a reason why there is none."""
    binaries = POSTGRES_BIN or (Path(shutil.which("initdb")).parent if shutil.which("initdb") else None)
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed here")
    as_nobody = ["setpriv", f"--reuid={NOBODY}", "--clear-groups", f"--regid={NOBODY}"] if os.getuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="preceptor-pg-") as folder:
        if as_nobody:
            os.chown(folder, NOBODY, NOBODY)
        data = f"{folder}/data"
        Path(folder, "pw").write_text(PASSWORD)
        Path(folder, "pw").chmod(0o644)
        quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
        init = [
            f"{binaries}/initdb",
            "-D",
            data,
            "-U",
            "postgres",
            "--auth=trust",
            "--auth-host=scram-sha-256",
            "--no-sync",
            f"--pwfile={folder}/pw",
        ]
        subprocess.run([*as_nobody, *init], **quiet)
        port = _free_port()
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        control = [*as_nobody, f"{binaries}/pg_ctl", "-D", data, "-w"]
        subprocess.run([*control, "-o", options, "-l", f"{folder}/log", "start"], **quiet)
        try:
            yield port
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], **quiet)


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'store.sqlite3'}"
    port = request.getfixturevalue("postgres")
    name = f"test_{os.urandom(4).hex()}"
    connection = await asyncpg.connect(
        host="127.0.0.1", port=port, user="postgres", password=PASSWORD, database="postgres"
    )
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return f"postgresql+asyncpg://postgres@127.0.0.1:{port}/{name}"


@pytest.fixture
async def database(url):
    async def password():
        return PASSWORD

    one = Database(url, password)
    await one.migrate()
    yield one
    await one.close()


@pytest.fixture
def cipher():
    with pytest.warns(UserWarning, match="memory only"):
        return EnvelopeCipher(MemorySecretStore(), "facade-phi")


@pytest.fixture
def inbox(database, cipher):
    return Inbox(database, cipher, owner="a", lease_s=60, retry=RETRY)


@pytest.fixture
def outbox(database, cipher):
    return Outbox(database, cipher, owner="a", lease_s=60, retry=RETRY)


@pytest.fixture
def documents(database, cipher):
    return Documents(database, cipher)


def event(key="1", focus="Encounter/1", epoch=0):
    return NewEvent("sandbox", "s", epoch, key, EventKind.ENCOUNTER, focus, "r")


def effect(document="d", kind="document", encounter="Encounter/1"):
    bundle = {"entry": [{"name": MARKED}]}
    return Effect(f"{document}-{kind}", "sandbox", document, "scope", kind, encounter, bundle, ("composition",), "r")


async def test_the_migrations_make_the_tables_the_code_expects(database):
    async with database._engine.connect() as connection:
        differences = await connection.run_sync(_differences)
    assert differences == []
    await database.migrate()
    await database.check()


def _differences(connection):
    return compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), Base.metadata)


async def test_sqlite_is_as_durable_as_it_promises(tmp_path):
    one = Database(f"sqlite+aiosqlite:///{tmp_path / 'x.sqlite3'}")
    async with one.session() as session:
        found = [(await session.execute(text(f"PRAGMA {name}"))).scalar() for name in ("journal_mode", "synchronous")]
    await one.close()
    assert found == ["wal", 2]


async def test_an_event_is_stored_once_however_often_it_comes(inbox):
    assert await inbox.store([event("1"), event("2"), event("1")]) == 2
    assert await inbox.store([event("2")]) == 0
    assert await inbox.store([event("2", epoch=1)]) == 1


async def test_events_are_claimed_in_order_and_by_one_worker_each(inbox, database, cipher):
    other = Inbox(database, cipher, owner="b", lease_s=60, retry=RETRY)
    await inbox.store([event(str(number), f"Encounter/{number}") for number in range(6)])
    rows = await asyncio.gather(*(one.queue.claim() for one in (inbox, other) * 3))
    assert len({row.id for row in rows}) == 6
    assert await inbox.queue.claim() is None
    opened = await inbox.open(min(rows, key=lambda row: row.sequence))
    assert (opened.focus, opened.kind, opened.ehr_id) == ("Encounter/0", EventKind.ENCOUNTER, "sandbox")


async def test_a_claim_ends_with_its_lease_and_the_late_worker_changes_nothing(inbox, database, cipher):
    await inbox.store([event()])
    now = datetime.now(UTC)
    inbox.queue._clock = lambda: now
    other = Inbox(database, cipher, owner="b", lease_s=60, retry=RETRY)
    late = await inbox.queue.claim()
    assert await other.queue.claim() is None
    other.queue._clock = lambda: now + timedelta(seconds=61)
    again = await other.queue.claim()
    assert again.id == late.id
    await inbox.queue.finish(late)
    assert await inbox.queue.counts() == {"pending": 1}
    await other.queue.finish(again)
    assert await inbox.queue.counts() == {"done": 1}


async def test_what_a_dead_process_had_claimed_is_freed_by_the_next_of_its_name_only(inbox, database, cipher):
    await inbox.store([event()])
    await inbox.queue.claim()
    other = Inbox(database, cipher, owner="b", lease_s=60, retry=RETRY)
    assert await other.queue.release_own() == 0
    assert await inbox.queue.release_own() == 1
    assert (await other.queue.claim()).attempts == 2


async def test_failures_that_count_end_in_quarantine_and_others_never_do(inbox):
    await inbox.store([event()])
    for _ in range(10):
        assert not await inbox.queue.fail(await inbox.queue.claim(), counts=False)
    ended = [await inbox.queue.fail(await inbox.queue.claim(), counts=True) for _ in range(3)]
    assert ended == [False, False, True]
    assert await inbox.queue.counts() == {"quarantined": 1}
    assert await inbox.queue.claim() is None
    assert await inbox.queue.requeue() == 1
    assert (await inbox.queue.claim()).failures == 0


def test_retries_wait_longer_each_time_and_never_longer_than_said():
    policy = RetryPolicy(base_s=1, max_s=30, quarantine_after=8)
    waits = [[policy.delay_s(attempt) for _ in range(50)] for attempt in (1, 3, 200)]
    assert 0.5 <= min(waits[0]) <= max(waits[0]) <= 1
    assert 2 <= min(waits[1]) <= max(waits[1]) <= 4
    assert 15 <= min(waits[2]) <= max(waits[2]) <= 30


async def test_effects_of_one_document_go_out_in_order_and_others_do_not_wait(outbox):
    await outbox.add(effect("d1", "task-failed"))
    await outbox.add(effect("d1", "document"))
    await outbox.add(effect("d2", "document"))
    first, second = await outbox.queue.claim(), await outbox.queue.claim()
    assert [(row.document_id, row.kind) for row in (first, second)] == [("d1", "task-failed"), ("d2", "document")]
    assert await outbox.queue.claim() is None
    await outbox.queue.finish(first, sealed=b"")
    third = await outbox.queue.claim()
    assert (await outbox.open(third)).names == ("composition",)
    assert third.kind == "document"


async def test_an_effect_is_kept_once(outbox):
    assert await outbox.add(effect())
    assert not await outbox.add(effect())


async def test_document_and_effect_are_kept_together_or_not_at_all(database, documents, outbox, examples):
    document_row = await documents.sealed_row(examples.stored_document())
    effect_row = await outbox.sealed_row(effect())
    with pytest.raises(RuntimeError):
        async with database.session() as session:
            await documents.add_row(session, document_row)
            await outbox.add_row(session, effect_row)
            raise RuntimeError
    assert await documents.get("sandbox", examples.ENCOUNTER) is None
    assert await outbox.queue.claim() is None


async def test_a_document_comes_back_as_it_was_kept(documents, examples):
    stored = examples.stored_document()
    assert await documents.save(stored)
    assert not await documents.save(replace(stored, document=stored.document.model_copy(update={"flags": ()})))
    assert await documents.get("sandbox", examples.ENCOUNTER) == stored
    assert await documents.get("sandbox", "Encounter/other") is None
    assert await documents.get("another", examples.ENCOUNTER) is None


async def test_decisions_are_kept_in_order_and_only_on_flags_that_are_there(documents, examples):
    await documents.save(examples.stored_document())
    for decision in examples.decisions():
        stored = await documents.record_decision("sandbox", examples.ENCOUNTER, decision)
    assert stored.decisions == examples.decisions()
    unknown = Decision("none", DecisionAction.ACCEPT, "Practitioner/1", datetime.now(UTC))
    with pytest.raises(InvalidDecision):
        await documents.record_decision("sandbox", examples.ENCOUNTER, unknown)


async def test_a_final_document_takes_no_decision_and_no_late_delivery_undoes_it(documents, examples):
    stored = examples.stored_document()
    await documents.save(stored)
    await documents.mark_written("sandbox", stored.encounter, {"composition": "Composition/1"}, {"composition": "1"})
    sections = stored.document.sections
    signature = Signature("Practitioner/1", None, sections, datetime.now(UTC))
    await documents.begin_signature("sandbox", stored.encounter, signature)
    final = await documents.mark_final("sandbox", stored.encounter, sections)
    assert (final.status, final.signed_sections, final.signature) == (DocumentStatus.FINAL, sections, signature)
    await documents.mark_written("sandbox", stored.encounter, {"composition": "Composition/2"}, {})
    again = await documents.get("sandbox", stored.encounter)
    assert (again.status, again.written) == (DocumentStatus.FINAL, {"composition": "Composition/1"})
    with pytest.raises(InvalidDecision):
        await documents.record_decision("sandbox", stored.encounter, examples.decisions()[0])


async def test_what_is_heard_of_a_subscription_never_goes_back(inbox):
    first = await inbox.subscriptions.get("sandbox", "s")
    assert (first.epoch, first.highest, first.through) == (0, 0, 0)
    for arrival, wanted in [
        (Arrival("sandbox", "s", "r", count=5), (0, 5, 0)),
        (Arrival("sandbox", "s", "r", count=3), (0, 5, 0)),
        (Arrival("sandbox", "s", "r", count=0, counts_anew=True, is_handshake=True), (1, 0, 0)),
        (Arrival("sandbox", "s", "r", count=2), (1, 2, 0)),
        (Arrival("sandbox", "s", "r", count=1, counts_anew=True, known=1), (1, 2, 0)),
        (Arrival("sandbox", "s", "r", count=1, counts_anew=True, known=2), (2, 1, 1)),
    ]:
        state = (await inbox.receive(arrival, [])).state
        assert (state.epoch, state.highest, state.through) == wanted
        assert await inbox.subscriptions.get("sandbox", "s") == state
    later = first.since + timedelta(hours=1)
    for until in (later, first.since):
        await inbox.subscriptions.caught_up("sandbox", "s", until)
    assert (await inbox.subscriptions.get("sandbox", "s")).since == later


@pytest.mark.parametrize("end", ["finished", "given-up"])
async def test_a_search_begins_where_it_would_have_begun_however_much_has_arrived_since(inbox, end):
    """An event without content has arrived, and what it is about has not: only the search finds that."""
    first = await inbox.subscriptions.get("sandbox", "s")
    later = first.since + timedelta(hours=1)
    empty = replace(event(), kind=EventKind.CATCH_UP, focus="s", number=1)
    await inbox.receive(Arrival("sandbox", "s", "r", numbers=(1,)), [empty])
    await inbox.all_arrived("sandbox", "s", later)
    assert (await inbox.subscriptions.get("sandbox", "s")).since == first.since
    rows = await inbox.queue.claim_together("group_key")
    await inbox.all_arrived("sandbox", "s", later)
    assert (await inbox.subscriptions.get("sandbox", "s")).since == first.since, "it may fail and begin again"
    if end == "finished":
        await inbox.queue.finish_all(rows)
        await inbox.all_arrived("sandbox", "s", later)
        assert (await inbox.subscriptions.get("sandbox", "s")).since == later
    else:
        while not await inbox.queue.fail_all(rows, counts=True):
            rows = await inbox.queue.claim_together("group_key")
        await inbox.all_arrived("sandbox", "s", later)
        assert (await inbox.subscriptions.get("sandbox", "s")).since == first.since, "it can be asked for again"


async def test_a_gap_closes_when_its_numbers_come_or_are_settled(inbox):
    async def arrive(*numbers):
        events = [replace(event(str(n), f"Encounter/{n}"), number=n) for n in numbers]
        return (await inbox.receive(Arrival("sandbox", "s", "r", numbers=numbers), events)).state

    state = await arrive(1, 3, 6)
    assert (state.through, state.highest) == (1, 6)
    assert await inbox.subscriptions.missing(state) == [2, 4, 5]
    state = await arrive(2)
    assert (state.through, await inbox.subscriptions.missing(state)) == (3, [4, 5])
    seen = state.highest
    await arrive(9)
    assert not await inbox.settle(Arrival("sandbox", "s", "r"), until=seen), "another hole was noticed meanwhile"
    state = await inbox.subscriptions.get("sandbox", "s")
    assert (state.through, await inbox.subscriptions.missing(state)) == (6, [7, 8])
    assert await inbox.settle(Arrival("sandbox", "s", "r"), until=9)
    assert (await inbox.subscriptions.get("sandbox", "s")).through == 9


async def test_events_about_one_thing_are_claimed_together_and_finished_once(inbox):
    await inbox.store([event(str(n), f"Encounter/{n % 2}") for n in range(4)])
    first = await inbox.queue.claim_together("group_key")
    assert [row.dedupe_key for row in first] == ["0", "2"]
    await inbox.store([event("4", "Encounter/0")])
    second = await inbox.queue.claim_together("group_key")
    assert [row.dedupe_key for row in second] == ["1", "3"]
    assert await inbox.queue.claim_together("group_key") == [], "the late one waits until its encounter is free"
    await inbox.queue.finish_all(first)
    assert [row.dedupe_key for row in await inbox.queue.claim_together("group_key")] == ["4"]


async def test_what_is_about_a_patient_cannot_be_read_in_the_database(
    database, inbox, outbox, documents, examples, url, tmp_path
):
    chart = examples.chart().model_copy(update={"reason": MARKED})
    await documents.save(replace(examples.stored_document(), chart=chart))
    await outbox.add(effect())
    await inbox.store([event(focus="Encounter/marked-encounter")])
    async with database.reading() as session:
        sealed = [(await session.scalars(select(table.sealed))).one() for table in (DocumentRow, InboxRow, OutboxRow)]
    assert all(MARKED.encode() not in blob and b"Encounter" not in blob for blob in sealed)
    if url.startswith("sqlite"):
        for file in tmp_path.iterdir():
            raw = file.read_bytes()
            for secret in (MARKED.encode(), b"marked-encounter", examples.ENCOUNTER.encode(), b"simvastatin"):
                assert secret not in raw, file.name


async def test_a_sealed_document_moved_to_another_patient_does_not_open(database, documents, examples):
    stored = examples.stored_document()
    await documents.save(stored)
    async with database.session() as session:
        await session.execute(update(DocumentRow).values(patient_key="00000000-0000-0000-0000-000000000000"))
    with pytest.raises(DecryptionRefused):
        await documents.get("sandbox", stored.encounter)


def home(ehr_id="sandbox"):
    return Home(ehr_id, "https://ehr.example.org/fhir", (f"https://us.example.org/fhir/{ehr_id}",))


@pytest.fixture
def resources(database, cipher):
    return Resources(database, cipher, cipher._store, key="facade-phi", home=home)


def task_of(patient="anna", status="requested", identifier="t-1", **more):
    return {
        "resourceType": "Task",
        "id": identifier,
        "status": status,
        "intent": "order",
        "for": {"reference": f"https://ehr.example.org/fhir/Patient/{patient}", "display": MARKED},
        "authoredOn": "2026-11-24T10:30:00.000Z",
        **more,
    }


async def kept(resources, ehr_id="sandbox", **more):
    resource = task_of(**more)
    patient = resource["for"]["reference"].rpartition("/")[2]
    prepared = await resources.prepare(ehr_id, resource, patient=patient, at=datetime.now(UTC))
    await resources.put(prepared)
    return prepared


EVERYTHING = (Limit(None, ()),)


async def test_a_result_has_a_version_for_each_change_and_none_for_a_replay(resources):
    for status in ("requested", "requested", "completed", "completed"):
        await kept(resources, status=status)
    newest = await resources.get("sandbox", "Task", "t-1")
    assert (newest.version, newest.resource["status"], newest.about) == (2, "completed", {"Patient/anna"})
    first = await resources.get("sandbox", "Task", "t-1", 1)
    assert (first.resource["status"], first.resource["meta"]["versionId"]) == ("requested", "1")
    assert first.updated < newest.updated
    assert await resources.get("sandbox", "Task", "t-1", 3) is None
    history = await resources.history("sandbox", "Task", limits=EVERYTHING, resource_id="t-1", count=10)
    assert [one.version for one in history.resources] == [2, 1]


async def test_writers_at_once_make_one_version_each_and_one_newest(resources):
    same = await resources.prepare("sandbox", task_of(identifier="t-2"), patient="anna", at=datetime.now(UTC))
    await asyncio.gather(*(resources.put(same) for _ in range(4)))
    changed = [
        await resources.prepare(
            "sandbox", task_of(identifier="t-2", description=str(n)), patient="anna", at=datetime.now(UTC)
        )
        for n in range(4)
    ]
    await asyncio.gather(*(resources.put(one) for one in changed))
    history = await resources.history("sandbox", "Task", limits=EVERYTHING, resource_id="t-2", count=10)
    assert [one.version for one in history.resources] == [5, 4, 3, 2, 1]
    found = await resources.search("sandbox", "Task", limits=EVERYTHING, count=10)
    assert [one.version for one in found.resources] == [5]


async def test_results_are_found_by_terms_dates_and_limits_and_by_nobody_else(resources):
    for identifier, patient, status in (("t-1", "anna", "failed"), ("t-2", "bert", "failed"), ("t-3", "bert", "draft")):
        await kept(resources, identifier=identifier, patient=patient, status=status)
    await kept(resources, "another", identifier="t-4")

    async def ids(pairs, limits=EVERYTHING, ehr_id="sandbox"):
        asked = criteria("Task", pairs, home(ehr_id))
        found = await resources.search(ehr_id, "Task", limits=limits, criteria=asked, count=10)
        assert found.total == len(found.resources)
        return {one.id for one in found.resources}

    bert = (Limit("Patient/bert", ()),)
    assert await ids([]) == {"t-1", "t-2", "t-3"}
    assert await ids([("status", "failed")]) == {"t-1", "t-2"}
    assert await ids([("status", "failed"), ("patient", "bert")]) == {"t-2"}
    assert await ids([("status", "failed")], bert) == {"t-2"}
    assert await ids([("patient", "anna")], bert) == set()
    assert await ids([], ()) == set()
    granular = (Limit("Patient/anna", criteria("Task", [("status", "draft")], home())), *bert)
    assert await ids([], granular) == {"t-2", "t-3"}
    assert await ids([("authored-on", "2026-11-24")]) == {"t-1", "t-2", "t-3"}
    assert await ids([("authored-on", "lt2026-11-24"), ("_lastUpdated", "gt2020")]) == set()
    assert await ids([("_lastUpdated", "gt2020"), ("_id", "t-1,t-4")]) == {"t-1"}
    assert await ids([], ehr_id="another") == {"t-4"}


async def test_nothing_of_a_result_can_be_read_in_the_database_or_moved_in_it(database, resources):
    await kept(resources)
    await kept(resources, identifier="t-2", patient="bert")
    async with database.reading() as session:
        rows = (await session.execute(select(ResourceRow.sealed, ResourceRow.content, ResourceRow.scope))).all()
        terms = (await session.execute(select(TermRow.digest))).scalars().all()
        columns = (await session.execute(text("SELECT * FROM fhir_resource"))).all()
    sealed = b"".join(row.sealed + row.content + row.scope.encode() for row in rows)
    raw = sealed + b"".join(terms) + str(columns).encode()
    for secret in (MARKED, "anna", "Patient/", "requested"):
        assert secret.encode() not in raw
    assert len(set(terms)) > 10
    async with database.session() as session:
        mine = (await session.scalars(select(ResourceRow).where(ResourceRow.resource_id == "t-1"))).one()
        others = (await session.scalars(select(ResourceRow).where(ResourceRow.resource_id == "t-2"))).one()
        mine.sealed, mine.scope = others.sealed, others.scope
    with pytest.raises(DecryptionRefused):
        await resources.get("sandbox", "Task", "t-1")


async def test_a_code_has_another_digest_for_every_tenant(database, resources):
    one = await resources.prepare("sandbox", task_of(), patient="anna", at=datetime.now(UTC))
    other = await resources.prepare("another", task_of(), patient="anna", at=datetime.now(UTC))
    assert not one.digests & other.digests
    again = Resources(database, resources._cipher, resources._cipher._store, key="facade-phi", home=home)
    assert (await again.prepare("sandbox", task_of(), patient="anna", at=datetime.now(UTC))).digests == one.digests


@pytest.mark.parametrize("order", ["kept", "oldest", "newest"])
async def test_pages_of_results_hold_each_of_them_once_in_every_order(resources, order):
    for number in range(7):
        await kept(resources, identifier=f"t-{number}", status="draft" if number % 2 else "failed")
    seen, after = [], None
    while True:
        found = await resources.search("sandbox", "Task", limits=EVERYTHING, count=3, after=after, order=order)
        assert found.total == 7
        seen += [one.id for one in found.resources]
        if not found.more:
            break
        after = found.resources[-1].place
    expected = [f"t-{number}" for number in range(7)]
    assert seen == (expected[::-1] if order == "newest" else expected)


def insert_new(database, connection, number):
    row = {"ehr_id": f"ehr-{number}", "wrapped": f"key-{number}"}
    return connection.execute(database._insert(IndexKeyRow, None, ()), row).rowcount == 1


async def test_writers_at_once_share_a_transaction_and_each_is_told_its_own_outcome(database):
    begun = []
    engine = database._writer._engine if database._writer else database._engine.sync_engine
    event_of_engine.listen(engine, "begin", lambda _: begun.append(1))

    async def write(number):
        def work(connection):
            if number == 7:
                raise ValueError("no such thing")
            return insert_new(database, connection, number % 20)

        return await database.write(work)

    outcomes = await asyncio.gather(*(write(number) for number in range(30)), return_exceptions=True)
    assert [type(one) for one in outcomes if isinstance(one, Exception)] == [ValueError]
    assert isinstance(outcomes[7], ValueError)
    assert sum(one is True for one in outcomes) == 20, "another writer of the same row was first, once"
    async with database.reading() as session:
        assert len((await session.scalars(select(IndexKeyRow))).all()) == 20
    begun.clear()
    await asyncio.gather(*(write(number) for number in range(100, 107)))
    if database._engine.dialect.name == "sqlite":
        assert len(begun) <= 2


async def test_a_writer_told_to_stop_takes_nobody_along(database):
    is_sqlite = database._writer is not None
    started, go = threading.Event(), threading.Event()

    def slow(connection):
        started.set()
        # With PostgreSQL this runs in the event loop, which must go on.
        if is_sqlite:
            go.wait(10)
        insert_new(database, connection, 1)

    leader = asyncio.create_task(database.write(slow))
    await asyncio.to_thread(started.wait, 10)
    others = [
        asyncio.create_task(database.write(lambda connection, number=number: insert_new(database, connection, number)))
        for number in (2, 3)
    ]
    await asyncio.sleep(0.05)
    if is_sqlite:
        others[1].cancel()
    leader.cancel()
    go.set()
    ended = await asyncio.gather(leader, *others, return_exceptions=True)
    assert not is_sqlite or isinstance(ended[0], asyncio.CancelledError)
    assert ended[1] is True
    async with database.reading() as session:
        kept = {row.ehr_id for row in (await session.scalars(select(IndexKeyRow))).all()}
    assert {"ehr-2"} <= kept
    if is_sqlite:
        assert "ehr-3" not in kept, "it was stopped before anybody had begun it"
