"""The key of an index: a Transit data key, whose wrapped form lies beside the index file."""

import asyncio
import json
import os
import uuid
from pathlib import Path

from service_runtime.secrets import DecryptionRefused, SecretStore

from retrieval.index import IndexKeyMissing, IndexUnreadable, WrongIndexKey

__all__ = ["INDEX_FILE", "KEY_FILE", "PATIENTS_FILE", "TRANSIT_KEY", "index_id", "index_key"]

INDEX_FILE = "index.db"
PATIENTS_FILE = "patients.db"
KEY_FILE = "index.key.json"
TRANSIT_KEY = "retrieval-index"


async def index_key(directory: Path, secrets: SecretStore) -> bytes:
    """Return the key of the index in ``directory``, made and wrapped when there is no index yet.

    The context of the Transit key is the id of the index, so that a wrapped key opens no index but its own.
    Raises ``WrongIndexKey``, ``IndexKeyMissing``, ``IndexUnreadable`` or the ``SecretError`` of the store.
    """
    path = directory / KEY_FILE
    if not path.exists():
        for name in (INDEX_FILE, PATIENTS_FILE):
            if (directory / name).exists():
                raise IndexKeyMissing(f"{KEY_FILE} is missing beside {name}: restore it, or ingest into a new place")
        return await _new_key(directory, path, secrets)
    own_id, wrapped = _read(path)
    try:
        return await secrets.unwrap_data_key(TRANSIT_KEY, wrapped, own_id.encode())
    except (DecryptionRefused, ValueError):
        raise WrongIndexKey("the secret store's key does not open the wrapped key of this index") from None


def index_id(directory: Path) -> str:
    """Return the id of the index in ``directory``, whose key was asked for before."""
    return _read(directory / KEY_FILE)[0]


def _read(path: Path) -> tuple[str, str]:
    try:
        kept = json.loads(path.read_text())
        return str(kept["index"]), str(kept["wrapped"])
    except (ValueError, KeyError, TypeError):
        raise IndexUnreadable(f"{KEY_FILE} is damaged") from None


async def _new_key(directory: Path, path: Path, secrets: SecretStore) -> bytes:
    own_id = str(uuid.uuid4())
    key = await secrets.new_data_key(TRANSIT_KEY, own_id.encode())
    if not await asyncio.to_thread(_keep_first, directory, path, own_id, key.wrapped):
        return await index_key(directory, secrets)
    return key.plaintext


def _keep_first(directory: Path, path: Path, own_id: str, wrapped: str) -> bool:
    """Write the key file unless another process was first: then its key is the one that counts."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = directory / f".{KEY_FILE}.{uuid.uuid4().hex}"
    with draft.open("w") as file:
        json.dump({"index": own_id, "transit_key": TRANSIT_KEY, "wrapped": wrapped}, file)
        file.flush()
        os.fsync(file.fileno())
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True
