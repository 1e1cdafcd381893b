"""How services prove who they are to a Vault, and what they see when it fails."""

import json
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import hvac
import pytest
from preceptor.openbao.bootstrap import root_token
from preceptor.openbao.running import RunningOpenBao
from service_runtime.secrets import SecretNotFound, SecretStoreUnavailable
from service_runtime.settings import VaultSettings
from service_runtime.vault_login import AgentLogin
from service_runtime.vault_store import VaultSecretStore, connect_secret_store

Run = Callable[[], AbstractContextManager[RunningOpenBao]]


def answer_of_the_agent(running: RunningOpenBao, request: bytes) -> dict[str, str]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(running.agent_socket))
        connection.sendall(request)
        answer: dict[str, str] = json.loads(connection.makefile("rb").readline())
        return answer


def test_the_agent_hands_out_wrapped_secrets_only(openbao: RunningOpenBao) -> None:
    answer = answer_of_the_agent(openbao, b'{"role": "facade"}\n')
    assert answer.keys() == {"role_id", "wrapped_secret_id"}
    client = openbao.server.client(answer["wrapped_secret_id"])
    lookup = client.adapter.post("/v1/sys/wrapping/lookup", json={"token": answer["wrapped_secret_id"]})
    assert lookup["data"]["creation_path"] == "auth/approle/role/facade/secret-id"
    assert lookup["data"]["creation_ttl"] <= 60


@pytest.mark.parametrize(
    ("request_line", "error"),
    [
        (b'{"role": "root"}\n', "unknown role"),
        (b'{"role": "../facade"}\n', "unknown role"),
        (b'{"role": ["facade"]}\n', "unknown role"),
        (b'["facade"]\n', "not a request"),
        (b"facade\n", "not a request"),
        (b"\xff\n", "not a request"),
        (b"{" + b" " * 5000 + b"}\n", "not a request"),
    ],
)
def test_the_agent_refuses_what_it_does_not_know(openbao: RunningOpenBao, request_line: bytes, error: str) -> None:
    assert answer_of_the_agent(openbao, request_line) == {"error": error}


def test_a_wrapped_secret_opens_once(openbao: RunningOpenBao) -> None:
    wrapped = answer_of_the_agent(openbao, b'{"role": "facade"}\n')["wrapped_secret_id"]
    openbao.server.client(wrapped).sys.unwrap()
    with pytest.raises(hvac.exceptions.InvalidRequest, match="not valid or does not exist"):
        openbao.server.client(wrapped).sys.unwrap()


def test_a_secret_id_logs_in_once(openbao: RunningOpenBao) -> None:
    answer = answer_of_the_agent(openbao, b'{"role": "facade"}\n')
    secret_id = openbao.server.client(answer["wrapped_secret_id"]).sys.unwrap()["data"]["secret_id"]
    client = openbao.server.client()
    assert client.auth.approle.login(answer["role_id"], secret_id, use_token=False)["auth"]["client_token"]
    with pytest.raises(hvac.exceptions.InvalidRequest):
        client.auth.approle.login(answer["role_id"], secret_id, use_token=False)


async def test_a_stolen_wrapped_secret_is_noticed(
    openbao: RunningOpenBao, vault_settings: Callable[[str], VaultSettings], capfd: pytest.CaptureFixture[str]
) -> None:
    settings = vault_settings("facade")
    assert settings.agent_socket is not None
    honest = AgentLogin(settings.agent_socket, "facade")

    class Overheard(AgentLogin):
        """A login whose answer was read, and unwrapped, by somebody else first."""

        def __call__(self, client: hvac.Client) -> str:
            unwrap = client.sys.unwrap

            def thief_is_faster(token: str | None = None) -> object:
                openbao.server.client(client.token).sys.unwrap()
                return unwrap(token)

            client.sys.unwrap = thief_is_faster
            return super().__call__(client)

    with pytest.raises(SecretStoreUnavailable, match="refused"):
        await VaultSecretStore(settings, Overheard(settings.agent_socket, "facade")).check()
    assert "secret-store.login-refused" in "".join(capfd.readouterr())
    await VaultSecretStore(settings, honest).check()


async def test_a_role_the_agent_does_not_serve_cannot_log_in(vault_settings: Callable[[str], VaultSettings]) -> None:
    with pytest.raises(SecretStoreUnavailable):
        await connect_secret_store(vault_settings("sandbox-ehr")).check()


async def test_a_denial_is_not_an_outage(vault_settings: Callable[[str], VaultSettings]) -> None:
    store = connect_secret_store(vault_settings("reconciliation"))
    with pytest.raises(SecretNotFound):
        await store.read("facade/subscriptions/sandbox")
    await store.check()


async def test_a_token_that_has_run_out_is_replaced_unseen(
    openbao: RunningOpenBao, vault_settings: Callable[[str], VaultSettings]
) -> None:
    tokens: list[str] = []
    settings = vault_settings("facade")
    assert settings.agent_socket is not None
    login = AgentLogin(settings.agent_socket, "facade")

    def remembered(client: hvac.Client) -> str:
        tokens.append(login(client))
        return tokens[-1]

    store = VaultSecretStore(settings, remembered)
    await store.check()
    # A role without the default policy may not even revoke its own token, so a root token does it.
    with root_token(openbao.server) as root:
        root.auth.token.revoke(tokens[0])
    await store.check()
    assert len(tokens) == 2


async def test_what_was_written_survives_a_kill_and_a_restart(run_openbao: Run) -> None:
    with run_openbao() as running:
        store = connect_secret_store(running.settings("facade"))
        await store.write("facade/subscriptions/sandbox", {"token": "kept"})
        token = await store.read("services/token")
        key = await store.new_data_key("facade-phi", b"scope")
        running.process.send_signal(signal.SIGKILL)
        running.process.wait()
        started = time.monotonic()
        with pytest.raises(SecretStoreUnavailable):
            await store.read("services/token")
        assert time.monotonic() - started < 3.5
    with run_openbao() as running:
        for again in (store, connect_secret_store(running.settings("facade"))):
            assert await again.read("facade/subscriptions/sandbox") == {"token": "kept"}
            assert await again.read("services/token") == token
            assert await again.unwrap_data_key("facade-phi", key.wrapped, b"scope") == key.plaintext


async def test_a_sealed_store_is_unavailable_and_says_so_in_time(run_openbao: Run) -> None:
    with run_openbao() as running:
        store = connect_secret_store(running.settings("facade"))
        await store.check()
        with root_token(running.server) as root:
            root.sys.seal()
        for operation in (store.check(), store.read("services/token")):
            started = time.monotonic()
            with pytest.raises(SecretStoreUnavailable):
                await operation
            assert time.monotonic() - started < 3.5


async def test_a_store_that_hangs_is_unavailable_within_its_timeouts(run_openbao: Run) -> None:
    with run_openbao() as running:
        store = connect_secret_store(running.settings("facade"))
        await store.check()
        running.process.send_signal(signal.SIGSTOP)
        try:
            started = time.monotonic()
            with pytest.raises(SecretStoreUnavailable):
                await store.check()
            assert time.monotonic() - started < 3.5
        finally:
            running.process.send_signal(signal.SIGCONT)


def test_only_the_unseal_key_is_kept_in_a_file(run_openbao: Run) -> None:
    with run_openbao() as running:
        folder = running.server.state_dir
        key = running.server.unseal_key_file
        assert key.stat().st_mode & 0o777 == 0o600
        assert key.stat().st_uid == os.getuid()
        readable = [path for path in folder.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
        assert readable == [], "the TLS key's file is gone once the server has read it"
        assert [path.name for path in folder.rglob("*") if path.stat().st_mode & 0o077] == []
