"""Data keys are asked for once each, and nobody waits for the key of another."""

import asyncio

import pytest
from service_runtime.envelope import EnvelopeCipher
from service_runtime.secrets import DataKey, MemorySecretStore

pytestmark = pytest.mark.filterwarnings("ignore:secrets are kept in memory only")


class SlowStore(MemorySecretStore):
    """Gives the data key of one scope only when it is let go, and counts what it gives."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = asyncio.Event()
        self.given = 0

    async def new_data_key(self, key: str, context: bytes) -> DataKey:
        self.given += 1
        if context == b"slow":
            await self.let_go.wait()
        return await super().new_data_key(key, context)


async def test_one_patients_key_is_not_waited_for_by_another() -> None:
    store = SlowStore()
    cipher = EnvelopeCipher(store, "facade-phi")
    slow = asyncio.create_task(cipher.seal(b"one", scope="slow", aad="here"))
    await asyncio.sleep(0)
    sealed = await asyncio.wait_for(cipher.seal(b"other", scope="quick", aad="here"), timeout=2)
    assert await cipher.open(sealed, scope="quick", aad="here") == b"other"
    assert not slow.done()
    store.let_go.set()
    assert await cipher.open(await slow, scope="slow", aad="here") == b"one"


async def test_however_many_need_a_key_it_is_asked_for_once() -> None:
    store = SlowStore()
    cipher = EnvelopeCipher(store, "facade-phi")
    waiting = [asyncio.create_task(cipher.seal(b"x", scope="slow", aad=str(n))) for n in range(20)]
    await asyncio.sleep(0)
    store.let_go.set()
    assert len(set(await asyncio.gather(*waiting))) == 20
    assert store.given == 1
