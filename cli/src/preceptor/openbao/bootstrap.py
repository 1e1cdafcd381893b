"""From a listening server to one that is unsealed, set up and without a root token."""

import base64
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import hvac
from hvac.exceptions import VaultDown

from preceptor.openbao.desired_state import AGENT_POLICY, configure
from preceptor.openbao.errors import UnsealKeyMissing
from preceptor.openbao.server import OpenBaoServer
from preceptor.private_files import write_private

__all__ = ["bring_up", "issue_agent_token", "root_token"]

_AGENT_PERIOD = "24h"


def bring_up(server: OpenBaoServer, process: subprocess.Popen[bytes], policies: Path) -> str:
    """Initialize if new, unseal, configure, and return the agent's token; raise ``OpenBaoError``.

    The root token exists only inside this call: the first start gets it with the unseal key, a later one makes
    another from that key (``sys/generate-root``), and both are revoked before this returns.
    """
    server.wait_until_listening(process)
    initial_root = _initialize(server)
    _unseal(server)
    server.wait_until_active(process)
    with root_token(server, initial_root) as root:
        configure(root, policies)
        return _agent_token(root)


def issue_agent_token(server: OpenBaoServer) -> str:
    """Return another agent token; for when the one in use has run out, as after a night's sleep of the machine."""
    with root_token(server) as root:
        return _agent_token(root)


@contextmanager
def root_token(server: OpenBaoServer, initial: str | None = None) -> Iterator[hvac.Client]:
    """Give a client with a root token, made from the unseal key if there is none, and revoke it afterwards."""
    root = server.client(initial or _generate_root(server))
    try:
        yield root
    finally:
        # A store that was sealed meanwhile cannot revoke; nobody holds the token any more.
        with suppress(VaultDown):
            root.auth.token.revoke_self()


def _initialize(server: OpenBaoServer) -> str | None:
    client = server.client()
    if client.sys.is_initialized():
        return None
    answer = client.sys.initialize(secret_shares=1, secret_threshold=1)
    write_private(server.unseal_key_file, answer["keys_base64"][0].encode())
    return str(answer["root_token"])


def _unseal(server: OpenBaoServer) -> None:
    client = server.client()
    if client.sys.is_sealed():
        client.sys.submit_unseal_key(_unseal_key(server))


def _unseal_key(server: OpenBaoServer) -> str:
    try:
        return server.unseal_key_file.read_text().strip()
    except FileNotFoundError:
        raise UnsealKeyMissing(
            f"OpenBao's data in {server.state_dir} cannot be opened without {server.unseal_key_file.name}: "
            "put that file back, or remove the folder to begin anew"
        ) from None


def _generate_root(server: OpenBaoServer) -> str:
    """Make a root token from the unseal key, by the server's operator socket (closed on its network listener)."""
    transport = httpx.HTTPTransport(uds=str(server.operator_socket))
    with httpx.Client(transport=transport, base_url="http://operator/v1/sys/generate-root", timeout=10) as http:
        http.delete("/attempt").raise_for_status()
        attempt = http.put("/attempt", json={}).raise_for_status().json()
        answer = http.put("/update", json={"key": _unseal_key(server), "nonce": attempt["nonce"]})
        encoded = answer.raise_for_status().json()["encoded_root_token"]
    masked = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
    return bytes(a ^ b for a, b in zip(masked, attempt["otp"].encode(), strict=True)).decode()


def _agent_token(root: hvac.Client) -> str:
    created = root.auth.token.create_orphan(
        policies=[AGENT_POLICY], no_default_policy=True, period=_AGENT_PERIOD, renewable=True, display_name="agent"
    )
    return str(created["auth"]["client_token"])
