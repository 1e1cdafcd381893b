"""How a service proves who it is to a Vault."""

import json
import socket
from pathlib import Path
from typing import Protocol

import hvac

__all__ = ["AgentLogin", "KubernetesLogin", "VaultLogin"]


class VaultLogin(Protocol):
    """Obtains a token; called again when the token has run out."""

    def __call__(self, client: hvac.Client) -> str:
        """Return a client token, or raise an ``hvac`` or ``OSError`` exception."""
        ...


class AgentLogin:
    """Asks a local agent socket for a response-wrapped, single-use AppRole secret id.

    Nothing secret is ever in a file or in the environment; a second unwrapping is refused by the Vault, so a
    stolen answer is noticed.
    """

    def __init__(self, agent_socket: Path, role: str) -> None:
        self._socket = agent_socket
        self._role = role

    def __call__(self, client: hvac.Client) -> str:
        """See ``VaultLogin``."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(5.0)
            connection.connect(str(self._socket))
            connection.sendall(json.dumps({"role": self._role}).encode() + b"\n")
            answer = json.loads(connection.makefile("rb").readline())
        unwrapped = client.sys.unwrap(token=answer["wrapped_secret_id"])
        login = client.auth.approle.login(
            role_id=answer["role_id"], secret_id=unwrapped["data"]["secret_id"], use_token=False
        )
        return str(login["auth"]["client_token"])


class KubernetesLogin:
    """Sends the pod's projected, audience-bound service-account token."""

    def __init__(self, token_file: Path, role: str) -> None:
        self._token_file = token_file
        self._role = role

    def __call__(self, client: hvac.Client) -> str:
        """See ``VaultLogin``."""
        login = client.auth.kubernetes.login(role=self._role, jwt=self._token_file.read_text(), use_token=False)
        return str(login["auth"]["client_token"])
