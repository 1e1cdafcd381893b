"""The agent: hands wrapped, single-use secret ids to processes of the same user over a unix socket."""

import contextlib
import json
import logging
import os
import socket
import socketserver
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import hvac
import requests
from hvac.exceptions import Forbidden, VaultError
from service_runtime.log import LogCode, log

from preceptor.openbao.desired_state import ROLES
from preceptor.private_files import private_dir

__all__ = ["Agent"]

_WRAP_TTL = "30s"
_RENEW_EVERY_S = 3600.0
_REQUEST_BYTES = 256
_TIMEOUT_S = 5.0


class Agent:
    """A context manager that answers on ``socket_path`` while it is entered.

    ``client`` makes a client for a token, ``new_token`` another agent token when the one at hand has run out.
    The secret ids themselves never pass through here: the Vault answers with wrapping tokens only.
    """

    def __init__(
        self, socket_path: Path, client: Callable[[str], hvac.Client], token: str, new_token: Callable[[], str]
    ) -> None:
        self._path = socket_path
        self._client = client
        self._token = token
        self._new_token = new_token
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def __enter__(self) -> Self:
        private_dir(self._path.parent)
        self._path.unlink(missing_ok=True)
        agent = self

        class Handler(socketserver.StreamRequestHandler):
            timeout = _TIMEOUT_S

            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    self.wfile.write(json.dumps(agent._serve(self.request, self.rfile.readline)).encode() + b"\n")

        previous = os.umask(0o177)
        try:
            self._server = _Server(str(self._path), Handler)
        finally:
            os.umask(previous)
        self._threads = [
            threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True),
            threading.Thread(target=self._keep_token, daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._path.unlink(missing_ok=True)

    def _serve(self, connection: socket.socket, readline: Callable[[int], bytes]) -> dict[str, str]:
        if _peer_uid(connection) != os.getuid():
            return {"error": "another user"}
        try:
            request = json.loads(readline(_REQUEST_BYTES))
            role = request["role"]
        except (ValueError, TypeError, KeyError):
            return {"error": "not a request"}
        if not isinstance(role, str) or role not in ROLES:
            return {"error": "unknown role"}
        try:
            return self._issue(role)
        except (VaultError, requests.RequestException, OSError) as error:
            log(LogCode.SECRET_STORE_UNAVAILABLE, level=logging.WARNING, error_type=type(error).__name__)
            return {"error": "the secret store is not available"}

    def _issue(self, role: str) -> dict[str, str]:
        try:
            return self._ask(role)
        except Forbidden:
            # A token that has run out looks like a denial.
            with self._lock:
                self._token = self._new_token()
            return self._ask(role)

    def _ask(self, role: str) -> dict[str, str]:
        client = self._client(self._token)
        role_id = client.auth.approle.read_role_id(role)["data"]["role_id"]
        wrapped = client.auth.approle.generate_secret_id(role, wrap_ttl=_WRAP_TTL)["wrap_info"]["token"]
        return {"role_id": role_id, "wrapped_secret_id": wrapped}

    def _keep_token(self) -> None:
        while not self._stopping.wait(_RENEW_EVERY_S):
            with contextlib.suppress(VaultError, requests.RequestException):
                self._client(self._token).auth.token.renew_self()


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


def _peer_uid(connection: socket.socket) -> int:
    if hasattr(socket, "SO_PEERCRED"):
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", credentials)[1])
    # macOS has no SO_PEERCRED; there LOCAL_PEERCRED (level 0, option 1) gives a struct xucred: version, uid, ...
    return int(struct.unpack_from("II", connection.getsockopt(0, 1, 76))[1])
