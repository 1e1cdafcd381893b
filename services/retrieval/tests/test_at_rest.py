"""The files of the embedded index: nothing readable in them, and no key but its own opens them or changes a byte."""

import hashlib
import json
import warnings

import pytest
from retrieval.embedded_index import open_embedded_index
from retrieval.index import IndexKeyMissing, IndexUnreadable, WrongIndexKey
from retrieval.index_key import INDEX_FILE, KEY_FILE
from retrieval.sqlcipher_store import SqlCipherStore
from service_runtime.secrets import MemorySecretStore

CANARY = "Zanzibar-Quokka sentence that was ingested"


def contents(folder):
    # The -shm file is the lock table that readers of an open index share: it holds no content and always changes.
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.endswith("-shm")]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
async def folder(tmp_path, secrets, make):
    where = tmp_path / "index"
    index = await open_embedded_index(where, secrets)
    fact = make.dose().model_copy(update={"statement": CANARY})
    await index.write([make.document(facts=[fact], passages=[CANARY] * 50, names=[(CANARY.lower(), ("metformin",))])])
    yield where
    await index.close()


@pytest.fixture
def other_secrets():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MemorySecretStore()


async def test_the_files_on_disk_hold_nothing_of_what_was_ingested(folder):
    everything = b"".join(path.read_bytes() for path in folder.iterdir())
    assert len(everything) > 20_000
    for trace in (b"Zanzibar", b"Quokka", b"zanzibar", b"metformin", b"CREATE TABLE", b"SQLite format"):
        assert trace not in everything


async def test_the_key_beside_the_index_is_wrapped_and_readable_by_its_owner_only(folder):
    kept = json.loads((folder / KEY_FILE).read_text())
    assert set(kept) == {"index", "transit_key", "wrapped"}
    assert folder.stat().st_mode & 0o077 == 0


async def test_a_secret_store_with_another_key_is_refused_and_nothing_changes(folder, other_secrets):
    before = contents(folder)
    with pytest.raises(WrongIndexKey, match="does not open the wrapped key"):
        await open_embedded_index(folder, other_secrets)
    assert contents(folder) == before


async def test_a_wrapped_key_of_another_index_is_refused(folder, tmp_path, secrets):
    other = await open_embedded_index(tmp_path / "other", secrets)
    await other.close()
    swapped = tmp_path / "other" / KEY_FILE
    own = json.loads((folder / KEY_FILE).read_text())
    # With the id of this index: the context does not fit. As it is: the key is another.
    taken = json.loads(swapped.read_text())
    for forged in (taken, taken | {"index": own["index"]}):
        (folder / KEY_FILE).write_text(json.dumps(forged))
        before = contents(folder)
        with pytest.raises(WrongIndexKey):
            await open_embedded_index(folder, secrets)
        assert contents(folder) == before


def test_a_wrong_raw_key_leaves_every_byte_as_it_was(tmp_path):
    path = tmp_path / INDEX_FILE
    SqlCipherStore(path, b"a" * 32).close()
    before = contents(tmp_path)
    with pytest.raises(WrongIndexKey):
        SqlCipherStore(path, b"b" * 32)
    assert contents(tmp_path) == before
    SqlCipherStore(path, b"a" * 32).close()


async def test_an_index_without_its_wrapped_key_is_never_taken_for_a_new_one(folder, secrets):
    (folder / KEY_FILE).unlink()
    before = contents(folder)
    with pytest.raises(IndexKeyMissing, match=KEY_FILE):
        await open_embedded_index(folder, secrets)
    assert contents(folder) == before


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"index": "x"}'])
async def test_a_damaged_key_file_is_named(folder, secrets, damage):
    (folder / KEY_FILE).write_text(damage)
    with pytest.raises(IndexUnreadable, match=KEY_FILE):
        await open_embedded_index(folder, secrets)


async def test_a_damaged_index_is_refused(folder, secrets, tmp_path):
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / KEY_FILE).write_bytes((folder / KEY_FILE).read_bytes())
    (damaged / INDEX_FILE).write_bytes(b"\x00" * 8192)
    with pytest.raises(WrongIndexKey, match="or the file is damaged"):
        await open_embedded_index(damaged, secrets)


def test_an_index_of_a_newer_release_is_refused(tmp_path):
    store = SqlCipherStore(tmp_path / INDEX_FILE, b"a" * 32)
    store.file.run("PRAGMA user_version = 99")
    store.close()
    with pytest.raises(IndexUnreadable, match="format 99"):
        SqlCipherStore(tmp_path / INDEX_FILE, b"a" * 32)


async def test_two_that_open_a_new_index_at_once_share_its_key(tmp_path, secrets, make):
    import asyncio

    one, two = await asyncio.gather(*(open_embedded_index(tmp_path / "new", secrets) for _ in range(2)))
    await one.write([make.document(facts=[make.dose()])])
    assert await two.refresh()
    assert len((await two.evidence(make.query("metformin"))).facts) == 1
    await one.close()
    await two.close()
