"""Clients: those by others, in their own environment, and our own as somebody who may write everything."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from facade.ehr.assertion import ClientAssertions
from facade.ehr.backend_services import BackendServicesTokens
from facade.ehr.client_authentication import ClientAuthentication
from facade.ehr.discovery import Discovery
from facade.ehr.registry import Ehr
from fhir_support.client import FhirClient
from service_runtime.secrets import MemorySecretStore

from . import hospital
from .hospital import Addresses
from .servers import NoToken
from .software import missing_tools, python_environment

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def clients_python() -> Path:
    """The Python that has the clients by others."""
    if missing := missing_tools("uv"):
        pytest.skip(f"clients by others are installed with {missing[0]}, which is not here: none was tried")
    return python_environment(HERE / "clients.txt")


@pytest.fixture(scope="session")
def run_client(clients_python: Path) -> Callable[..., Any]:
    """Runs one of our short programs that use a client by others; returns the JSON it writes."""

    def run(program: str, **given: Any) -> Any:
        done = subprocess.run(
            [str(clients_python), str(HERE / "clients" / program)],
            input=json.dumps(given),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4_000:]
        return json.loads(done.stdout)

    return run


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=10) as client:
        yield client


@pytest.fixture
def ward_tokens(
    addresses: Addresses, http: httpx.AsyncClient, ward_secrets: MemorySecretStore
) -> Callable[[str, str], BackendServicesTokens]:
    """Our Backend Services at the strict server, with scopes and the name of a key; the key ``ward`` is registered."""

    def tokens(scopes: str, key: str) -> BackendServicesTokens:
        entry = hospital.registration(addresses, "strict", backend_client_id="ward", backend_scopes=scopes)
        authentication = ClientAuthentication(ward_secrets, ClientAssertions(ward_secrets, key))
        return BackendServicesTokens(Ehr.model_validate(entry), http, authentication, Discovery(http))

    return tokens


@pytest.fixture
def ward(
    addresses: Addresses, http: httpx.AsyncClient, ward_tokens: Callable[[str, str], BackendServicesTokens]
) -> Callable[[str], FhirClient]:
    """Our FHIR client as somebody who may write everything at the EHR of that name."""

    def client(ehr_id: str) -> FhirClient:
        if ehr_id == "oauth":
            # Behind the gate nobody asks; what is stored there looks the same from both sides.
            return FhirClient(f"http://127.0.0.1:{addresses.behind_port}/fhir", http, NoToken())
        base = addresses.fhir_base(ehr_id)
        if ehr_id == "open":
            return FhirClient(base, http, NoToken())
        return FhirClient(base, http, ward_tokens("system/*.cruds", "ward"))

    return client


@pytest.fixture
def until() -> Callable[..., Any]:
    """Waits until an asynchronous question has an answer that is not empty, and returns it."""

    async def wait(question: Callable[[], Any], limit_s: float = 60.0) -> Any:
        async with asyncio.timeout(limit_s):
            while not (answer := await question()):  # noqa: ASYNC110  other processes set no Event
                await asyncio.sleep(0.1)
            return answer

    return wait
