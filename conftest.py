"""Fixtures for tests anywhere in the repository: a real OpenBao and a real OpenSearch, set up as the suite does."""

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from preceptor.openbao.running import RunningOpenBao, running_openbao
from preceptor.openbao.server import OpenBaoServer
from preceptor.opensearch.distribution import assembled
from preceptor.opensearch.errors import ToolMissing
from preceptor.opensearch.java import java_program
from preceptor.opensearch.node import OpenSearchNode
from preceptor.opensearch.running import CLIENTS, RunningOpenSearch, running_opensearch
from service_runtime.settings import VaultSettings
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parent
POLICIES = ROOT / "policies" / "vault"
OPENSEARCH_POLICIES = ROOT / "policies" / "opensearch"
CACHE = ROOT / ".preceptor" / "cache"


class _ByFolder(LoadScopeScheduling):
    """Keeps in one worker what shares processes: the tests of a folder, and all that runs more than one service."""

    def _split_scope(self, nodeid: str) -> str:
        folder = nodeid.partition("::")[0].rpartition("/")[0]
        return "tests" if folder.startswith("tests/") else folder


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Schedule by folder, whatever ``--dist`` says."""
    return _ByFolder(config, log)


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback interface that were free a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture
def openbao_server() -> Iterator[OpenBaoServer]:
    """A server that is not running yet, with a folder of its own."""
    with TemporaryDirectory(prefix="preceptor-") as folder:
        port, cluster_port = free_ports(2)
        yield OpenBaoServer(Path(folder) / "openbao", Path(folder) / "run", port, cluster_port)


@pytest.fixture
def run_openbao(openbao_server: OpenBaoServer) -> Callable[[], AbstractContextManager[RunningOpenBao]]:
    """Starts the server of this test; calling it again starts it on the data it had."""
    folder = openbao_server.socket_dir
    return lambda: running_openbao(openbao_server, folder / "agent.sock", POLICIES, folder.parent / "openbao.log")


@pytest.fixture(scope="session")
def openbao() -> Iterator[RunningOpenBao]:
    """One running server, unsealed and set up, for every test that does not break it."""
    with TemporaryDirectory(prefix="preceptor-") as folder:
        port, cluster_port = free_ports(2)
        run = Path(folder) / "run"
        server = OpenBaoServer(Path(folder) / "openbao", run, port, cluster_port)
        with running_openbao(server, run / "agent.sock", POLICIES, Path(folder) / "openbao.log") as running:
            yield running


@pytest.fixture(scope="session")
def vault_settings(openbao: RunningOpenBao) -> Callable[[str], VaultSettings]:
    """Settings with which a service of the given role reaches the shared server."""
    return openbao.settings


@pytest.fixture(scope="session")
def opensearch() -> Iterator[RunningOpenSearch]:
    """One running OpenSearch node with the policies in place; skipped where Java or Maven is missing."""
    try:
        distribution = assembled(CACHE)
        java_program()
    except ToolMissing as missing:
        pytest.skip(str(missing))
    with TemporaryDirectory(prefix="preceptor-") as folder:
        port, transport_port = free_ports(2)
        node = OpenSearchNode(Path(folder) / "opensearch", distribution, port, transport_port)
        clients = (*CLIENTS, "stranger")
        with running_opensearch(node, OPENSEARCH_POLICIES, Path(folder) / "opensearch.log", clients) as running:
            yield running
