"""OpenBao and its agent as one context, for the suite's own commands and for tests."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from service_runtime.settings import VaultSettings

from preceptor.openbao.agent import Agent
from preceptor.openbao.bootstrap import bring_up, issue_agent_token
from preceptor.openbao.server import OpenBaoServer

__all__ = ["RunningOpenBao", "running_openbao", "vault_environment", "vault_settings"]


@dataclass(frozen=True)
class RunningOpenBao:
    """What services need: where the server and its agent are; and the process, for tests that break it."""

    server: OpenBaoServer
    agent_socket: Path
    process: subprocess.Popen[bytes]

    def environment(self, role: str) -> dict[str, str]:
        """Return the environment variables of ``VaultSettings`` for a service."""
        return vault_environment(self.server, self.agent_socket, role)

    def settings(self, role: str) -> VaultSettings:
        """Return what a service would read from that environment."""
        return vault_settings(self.server, self.agent_socket, role)


def vault_settings(server: OpenBaoServer, agent_socket: Path, role: str) -> VaultSettings:
    """Return what a service of this role would read from ``vault_environment``."""
    return VaultSettings(
        address=server.address, role=role, login="agent", agent_socket=agent_socket, ca_file=server.ca_file
    )


def vault_environment(server: OpenBaoServer, agent_socket: Path, role: str) -> dict[str, str]:
    """Return the environment variables of ``VaultSettings`` for a service; none of them is secret."""
    return {
        "PRECEPTOR_VAULT_ADDRESS": server.address,
        "PRECEPTOR_VAULT_ROLE": role,
        "PRECEPTOR_VAULT_LOGIN": "agent",
        "PRECEPTOR_VAULT_AGENT_SOCKET": str(agent_socket),
        "PRECEPTOR_VAULT_CA_FILE": str(server.ca_file),
    }


@contextmanager
def running_openbao(server: OpenBaoServer, agent_socket: Path, policies: Path, log: Path) -> Iterator[RunningOpenBao]:
    """Run the server and the agent; both end with the context. Raises ``OpenBaoError``."""
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603  our own command
            server.prepare(), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        token = bring_up(server, process, policies)
        with Agent(agent_socket, server.client, token, lambda: issue_agent_token(server)):
            yield RunningOpenBao(server, agent_socket, process)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
