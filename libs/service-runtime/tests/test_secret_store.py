"""What every secret store promises, held against the in-memory twin and a real OpenBao."""

import uuid
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from service_runtime.secrets import DecryptionRefused, MemorySecretStore, SecretNotFound, SecretStore
from service_runtime.settings import VaultSettings
from service_runtime.vault_store import connect_secret_store

KEY = "facade-phi"
SIGNING_KEY = "facade-client-assertion"
RSA_KEY = "facade-client-assertion-rs384"


@pytest.fixture(params=["memory", "openbao"])
def store(request: pytest.FixtureRequest) -> SecretStore:
    if request.param == "memory":
        with pytest.warns(UserWarning, match="memory only"):
            return MemorySecretStore()
    settings: Callable[[str], VaultSettings] = request.getfixturevalue("vault_settings")
    return connect_secret_store(settings("facade"))


@pytest.fixture
def path() -> str:
    return f"facade/subscriptions/{uuid.uuid4()}"


async def test_what_was_written_is_read(store: SecretStore, path: str) -> None:
    await store.write(path, {"token": "a", "other": "b"})
    assert await store.read(path) == {"token": "a", "other": "b"}


async def test_a_second_write_replaces_all_fields(store: SecretStore, path: str) -> None:
    await store.write(path, {"token": "a", "other": "b"})
    await store.write(path, {"token": "c"})
    assert await store.read(path) == {"token": "c"}


async def test_nothing_at_a_path_is_not_found(store: SecretStore, path: str) -> None:
    with pytest.raises(SecretNotFound):
        await store.read(path)


@pytest.fixture
def patient_keys(request: pytest.FixtureRequest) -> Callable[[str], SecretStore]:
    """Stores with the role that may destroy what it keeps."""

    def store(kind: str) -> SecretStore:
        if kind == "memory":
            with pytest.warns(UserWarning, match="memory only"):
                return MemorySecretStore()
        settings: Callable[[str], VaultSettings] = request.getfixturevalue("vault_settings")
        return connect_secret_store(settings("retrieval"))

    return store


@pytest.mark.parametrize("kind", ["memory", "openbao"])
async def test_what_is_kept_first_stays_until_it_is_destroyed(
    patient_keys: Callable[[str], SecretStore], kind: str
) -> None:
    store, path = patient_keys(kind), f"retrieval/patient-keys/{uuid.uuid4()}/one"
    await store.destroy(path)
    assert await store.keep_first(path, {"wrapped": "a"}) == {"wrapped": "a"}
    assert await store.keep_first(path, {"wrapped": "b"}) == {"wrapped": "a"}
    assert await store.read(path) == {"wrapped": "a"}
    await store.destroy(path)
    with pytest.raises(SecretNotFound):
        await store.read(path)
    assert await store.keep_first(path, {"wrapped": "c"}) == {"wrapped": "c"}


async def test_a_data_key_opens_with_its_context(store: SecretStore) -> None:
    key = await store.new_data_key(KEY, b"patient-1")
    assert len(key.plaintext) == 32
    assert await store.unwrap_data_key(KEY, key.wrapped, b"patient-1") == key.plaintext


async def test_no_two_data_keys_are_alike(store: SecretStore) -> None:
    first, second = await store.new_data_key(KEY, b"same"), await store.new_data_key(KEY, b"same")
    assert first.plaintext != second.plaintext
    assert first.wrapped != second.wrapped


async def test_a_data_key_says_nothing_of_itself(store: SecretStore) -> None:
    key = await store.new_data_key(KEY, b"patient-1")
    assert key.plaintext.hex() not in repr(key)
    assert key.wrapped not in repr(key)


async def test_another_context_is_refused(store: SecretStore) -> None:
    key = await store.new_data_key(KEY, b"patient-1")
    with pytest.raises(DecryptionRefused):
        await store.unwrap_data_key(KEY, key.wrapped, b"patient-2")


async def test_another_key_is_refused(store: SecretStore) -> None:
    key = await store.new_data_key(KEY, b"patient-1")
    with pytest.raises(DecryptionRefused):
        await store.unwrap_data_key("canary", key.wrapped, b"patient-1")


@pytest.mark.parametrize(
    "change", [lambda w: w[:-8] + "AAAAAAA=", lambda w: w[:20], lambda w: "no wrapped key", lambda w: ""]
)
async def test_a_changed_wrapped_key_is_refused(store: SecretStore, change: Callable[[str], str]) -> None:
    key = await store.new_data_key(KEY, b"patient-1")
    with pytest.raises(DecryptionRefused):
        await store.unwrap_data_key(KEY, change(key.wrapped), b"patient-1")


async def test_a_signature_verifies_with_the_public_key(store: SecretStore) -> None:
    signature = await store.sign(SIGNING_KEY, b"message")
    assert len(signature) == 96, "JWS wants r and s, 48 bytes each"
    r, s = (int.from_bytes(half, "big") for half in (signature[:48], signature[48:]))
    public = load_pem_public_key((await store.public_key_pem(SIGNING_KEY)).encode())
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(encode_dss_signature(r, s), b"message", ec.ECDSA(SHA384()))


async def test_an_rs384_signature_verifies_with_the_public_key(store: SecretStore) -> None:
    signature = await store.sign(RSA_KEY, b"message")
    public = load_pem_public_key((await store.public_key_pem(RSA_KEY)).encode())
    assert isinstance(public, rsa.RSAPublicKey)
    assert public.key_size == 3072
    public.verify(signature, b"message", PKCS1v15(), SHA384())


async def test_the_round_trip_works(store: SecretStore) -> None:
    await store.check()
