"""How a service proves who it is to a Vault."""

import json
import socket
from pathlib import Path
from typing import Protocol

import hvac
from hvac.exceptions import Forbidden, InvalidRequest

__all__ = ["AgentLogin", "KubernetesLogin", "LoginRefused", "VaultLogin"]


class LoginRefused(Exception):
    """The service could not prove who it is; the text holds no secret."""


class VaultLogin(Protocol):
    """Obtains a token; called again when the token has run out."""

    def __call__(self, client: hvac.Client) -> str:
        """Return a client token, or raise ``LoginRefused`` or an ``hvac``, ``requests`` or ``OSError`` exception."""
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
        if "wrapped_secret_id" not in answer:
            raise LoginRefused(str(answer.get("error", "the agent gave no secret")))
        # The wrapping token is the credential of this one call; in the body it would need another beside it.
        client.token = answer["wrapped_secret_id"]
        try:
            unwrapped = client.sys.unwrap()
        except (InvalidRequest, Forbidden):
            raise LoginRefused("the wrapped secret had been used or was out of date") from None
        finally:
            client.token = None
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
