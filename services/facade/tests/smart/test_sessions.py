"""Sessions: how long they last, who may use them, and what is kept of them."""

from datetime import UTC, datetime, timedelta

import pytest
from facade.smart.sessions import SessionContext, SessionEnded, Sessions
from facade.store.database import Database
from facade.store.tables import SessionRow
from service_runtime.envelope import EnvelopeCipher
from service_runtime.secrets import DecryptionRefused
from sqlalchemy import func, select


class Clock:
    def __init__(self):
        self.now = datetime(2026, 1, 1, 8, 0, tzinfo=UTC)

    def __call__(self):
        return self.now

    def pass_s(self, seconds):
        self.now += timedelta(seconds=seconds)


def context(**changes):
    good = {
        "patient": "Patient/canary-patient",
        "encounter": "Encounter/canary-encounter",
        "practitioner": "Practitioner/dr-1",
        "patient_name": "Canary Name",
        "access_token": "canary-token",
        "token_endpoint": "https://ehr.example.org/token",
        "token_expires_at": datetime(2026, 1, 1, 9, 0, tzinfo=UTC),
        "csrf_token": "canary-csrf",
    }
    return SessionContext(**{**good, **changes})


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def database(tmp_path):
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'sessions.sqlite3'}")
    await database.migrate()
    yield database
    await database.close()


@pytest.fixture
def sessions(database, secrets, clock):
    return Sessions(database, EnvelopeCipher(secrets, "facade-phi"), idle_s=900, absolute_s=28_800, clock=clock)


async def test_a_session_is_found_with_its_secret(sessions):
    new = await sessions.open("sandbox", context())

    found = await sessions.find(new.window, new.secret)

    assert found.context == context()
    assert found.ehr_id == "sandbox"


async def test_another_secret_another_window_or_none_finds_nothing(sessions):
    mine, other = await sessions.open("sandbox", context()), await sessions.open("sandbox", context())

    for window, secret in [
        (mine.window, other.secret),
        (other.window, mine.secret),
        (mine.window, None),
        (mine.window, ""),
        ("no-such-window", mine.secret),
        (mine.window, mine.secret + "x"),
    ]:
        with pytest.raises(SessionEnded):
            await sessions.find(window, secret)


async def test_a_session_ends_when_it_is_not_used(sessions, clock):
    new = await sessions.open("sandbox", context())
    clock.pass_s(899)
    await sessions.find(new.window, new.secret)
    clock.pass_s(899)
    await sessions.find(new.window, new.secret)
    clock.pass_s(900)

    with pytest.raises(SessionEnded):
        await sessions.find(new.window, new.secret)


async def test_a_session_ends_after_its_longest_time_however_much_it_is_used(sessions, clock):
    new = await sessions.open("sandbox", context())
    for _ in range(47):
        clock.pass_s(600)
        await sessions.find(new.window, new.secret)
    clock.pass_s(600)

    with pytest.raises(SessionEnded):
        await sessions.find(new.window, new.secret)


async def test_a_session_that_was_closed_is_gone(sessions):
    new = await sessions.open("sandbox", context())
    await sessions.end(new.window)

    with pytest.raises(SessionEnded):
        await sessions.find(new.window, new.secret)


async def test_what_ended_is_removed(sessions, database, clock):
    await sessions.open("sandbox", context())
    clock.pass_s(901)
    await sessions.open("sandbox", context())

    async with database.reading() as reading:
        assert (await reading.execute(select(func.count()).select_from(SessionRow))).scalar_one() == 1


async def test_nothing_about_patient_tokens_or_the_cookie_is_readable_on_the_disk(sessions, tmp_path):
    new = await sessions.open("sandbox", context())

    raw = b"".join(file.read_bytes() for file in tmp_path.glob("sessions.sqlite3*"))
    assert new.window.encode() in raw
    assert b"canary" not in raw.lower()
    assert new.secret.encode() not in raw


async def test_a_context_copied_to_another_session_does_not_open(sessions, database):
    mine, other = await sessions.open("sandbox", context()), await sessions.open("sandbox", context())
    async with database.session() as writing:
        (await writing.get(SessionRow, other.window)).sealed = (await writing.get(SessionRow, mine.window)).sealed

    with pytest.raises(DecryptionRefused):
        await sessions.find(other.window, other.secret)


async def test_each_session_has_its_own_proof_for_forms(sessions):
    new = await sessions.open("sandbox", context())
    session = await sessions.find(new.window, new.secret)

    assert session.accepts_csrf("canary-csrf")
    for wrong in (None, "", "canary-csr", "canary-csrf "):
        assert not session.accepts_csrf(wrong)
