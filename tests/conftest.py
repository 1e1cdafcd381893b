"""Real processes for every test here that wants them, each started when the first asks for it and once for all.

FHIR servers, an OAuth server and clients by others, and between them OpenBao and the facade.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from facade.ehr.assertion import ClientAssertions
from fhir_support.client import FhirClient
from preceptor.openbao.running import RunningOpenBao
from service_runtime.secrets import MemorySecretStore

from tests.interop import hospital
from tests.interop.hospital import Addresses
from tests.interop.processes import running
from tests.interop.servers import NoToken, OAuthServer
from tests.interop.signing_proxy import SigningProxy, signing_proxy
from tests.interop.software import node_packages, why_no_node

TESTS = Path(__file__).parent
INTEROP = TESTS / "interop"
OAUTH_SERVER_NODE = 20
"""It calls functions that older versions of node do not have."""


@pytest.fixture(scope="session")
def addresses() -> Addresses:
    return Addresses.chosen()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("interop")


@pytest.fixture(scope="session")
def ward_secrets() -> MemorySecretStore:
    """The keys of the ward: who enters and discharges patients."""
    with pytest.warns(UserWarning, match="memory only"):
        return MemorySecretStore()


@pytest.fixture(scope="session")
def start_sekmet(folder: Path, addresses: Addresses, ward_secrets: MemorySecretStore) -> Callable[[str], Any]:
    """Starts one sekmet-fhir of the hospital, as its own command line does."""

    def start(name: str) -> Any:
        keys = asyncio.run(ClientAssertions(ward_secrets, "ward").key_set())["keys"]
        # It tries every key of a set on every assertion, and fails itself on a key of another kind.
        keys = {"keys": [key for key in keys if key["alg"] == "ES384"]}
        program, *arguments = hospital.sekmet(folder, addresses, name, keys)
        command = [str(Path(sys.executable).parent / program), *arguments]
        port = {"open": addresses.open_port, "strict": addresses.strict_port, "behind": addresses.behind_port}[name]
        ready = f"http://127.0.0.1:{port}/fhir/metadata"
        return running(command, ready=ready, log=folder / f"{name}.log", folder=folder)

    return start


@pytest.fixture(scope="session")
def open_sekmet(start_sekmet: Callable[[str], Any]) -> Iterator[Path]:
    """sekmet-fhir that asks nobody who they are."""
    with start_sekmet("open") as log:
        yield log


@pytest.fixture(scope="session")
def strict_sekmet(start_sekmet: Callable[[str], Any]) -> Iterator[Path]:
    """sekmet-fhir in its strict mode: SMART Backend Services and scopes."""
    with start_sekmet("strict") as log:
        yield log


@pytest.fixture(scope="session")
def oauth_server(folder: Path, addresses: Addresses, start_sekmet: Callable[[str], Any]) -> Iterator[OAuthServer]:
    """oidc-provider, with a sekmet-fhir behind it."""
    if why := why_no_node(OAUTH_SERVER_NODE):
        pytest.skip(f"for oidc-provider {why}: nothing was tried against an OAuth server by others")
    packages = node_packages(INTEROP / "oauth_server")
    settings = hospital.oauth(folder, addresses)
    command = ["node", str(INTEROP / "oauth_server" / "server.mjs"), str(settings)]
    ready = f"{addresses.oauth}/.well-known/openid-configuration"
    with start_sekmet("behind"), running(command, ready=ready, log=folder / "oauth.log", folder=packages) as log:
        yield OAuthServer(addresses.oauth, log)


@pytest.fixture(scope="session")
def facade(
    request: pytest.FixtureRequest, folder: Path, addresses: Addresses, openbao: RunningOpenBao
) -> Iterator[str]:
    """The facade with its secrets in OpenBao, reconciliation and retrieval beside it; yields its address.

    Every EHR it knows runs before it: one that cannot be reached is left alone for a while.
    """
    for ehr in ("open_sekmet", "strict_sekmet", *(() if why_no_node(OAUTH_SERVER_NODE) else ("oauth_server",))):
        request.getfixturevalue(ehr)
    for name in ("switches", "index"):
        (folder / name).mkdir()
    retrieval = [
        sys.executable,
        str(INTEROP / "retrieval_process.py"),
        str(addresses.retrieval_port),
        str(folder / "index"),
    ]
    reconciliation = [
        sys.executable,
        str(TESTS / "browser" / "reconciliation_process.py"),
        str(addresses.reconciliation_port),
        str(folder / "switches"),
        "0",
    ]
    with (
        running(
            reconciliation,
            ready=f"http://127.0.0.1:{addresses.reconciliation_port}/healthz",
            log=folder / "reconciliation.log",
            environment=openbao.environment("reconciliation"),
            folder=folder,
        ),
        running(
            retrieval,
            ready=f"http://127.0.0.1:{addresses.retrieval_port}/healthz",
            log=folder / "retrieval.log",
            environment=openbao.environment("retrieval"),
            folder=folder,
        ),
        running(
            [sys.executable, "-m", "facade"],
            ready=f"{addresses.facade}/healthz",
            log=folder / "facade.log",
            environment={**openbao.environment("facade"), **hospital.facade_environment(folder, addresses)},
            folder=folder,
        ),
    ):
        yield addresses.facade


@pytest.fixture(scope="session")
def gateway(addresses: Addresses, facade: str) -> Iterator[SigningProxy]:
    """Signs what CDS clients send and passes it on to the facade."""
    with signing_proxy(addresses.gateway_port, facade) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def hospital_ward(
    addresses: Addresses, oauth_server: OAuthServer
) -> Callable[[], AbstractAsyncContextManager[FhirClient]]:
    """The ward at the hospital with the OAuth server, for fixtures that outlive a test."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[FhirClient]:
        async with httpx.AsyncClient(timeout=10) as client:
            yield FhirClient(f"http://127.0.0.1:{addresses.behind_port}/fhir", client, NoToken())

    return opened
