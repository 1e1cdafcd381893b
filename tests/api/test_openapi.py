"""Whatever the OpenAPI document allows can be sent without a server error: schemathesis tries.

It has a way in everywhere (an access token for everything, a CDS client's key, the secret of the Subscription), so that
it gets past the door and into the room. A fixed seed makes the same requests each time.
"""

import json
import os
import subprocess
from collections import Counter
from pathlib import Path

import httpx
import pytest
from service_runtime.vault_store import connect_secret_store

from tests.interop.signing_proxy import ISSUER, KEY
from tests.interop.software import missing_tools, python_environment
from tests.interop.stays import ended_stay

pytestmark = pytest.mark.timeout(300)

HERE = Path(__file__).parent
EVERYTHING = "system/*.cruds"
LIMIT_S = 60


@pytest.fixture(scope="session")
def schemathesis():
    if missing := missing_tools("uv"):
        pytest.skip(f"schemathesis is installed with {missing[0]}, which is not here: the routes were not tried by it")
    return python_environment(HERE / "schemathesis.txt").parent / "st"


@pytest.fixture
async def document(facade):
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"{facade}/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


async def test_the_document_says_what_other_systems_call_and_nothing_of_the_pages(document):
    addresses = set(document["paths"])

    assert {"/fhir/{ehr_id}/metadata", "/fhir/{ehr_id}/$ask", "/cds-services", "/subscriptions/{ehr_id}"} <= addresses
    assert not any(address.startswith(("/workbench", "/smart")) for address in addresses)


async def test_every_operation_but_discovery_needs_access(document):
    public = {
        (method, address)
        for address, methods in document["paths"].items()
        for method, operation in methods.items()
        if operation["security"] == []
    }

    assert public == {
        ("get", "/healthz"),
        ("get", "/readyz"),
        ("get", "/.well-known/jwks.json"),
        ("get", "/cds-services"),
        ("get", "/fhir/{ehr_id}/.well-known/smart-configuration"),
        ("get", "/fhir/{ehr_id}/metadata"),
        ("get", "/fhir/{ehr_id}/OperationDefinition/{operation}"),
    }


@pytest.fixture
async def access(tmp_path, addresses, facade, gateway, oauth_server, openbao, hospital_ward):
    """The file that says how to get in, for an EHR whose stay has just ended."""
    async with hospital_ward() as client:
        await ended_stay(client, "Tried")
    base = addresses.own_base("oauth")
    token = await oauth_server.token("reader", base, EVERYTHING)
    file = tmp_path / "access.json"
    store = connect_secret_store(openbao.settings("facade"))
    file.write_text(
        json.dumps(
            {
                "base": facade,
                "token": token,
                "secret": (await store.read("facade/subscriptions/oauth"))["token"],
                "cds_issuer": ISSUER,
                "cds_key": KEY.as_dict(private=True),
                "resources": await _ids(base, token),
            }
        )
    )
    return file


async def _ids(base, token):
    """The ids of our resources by type."""
    types = ("Composition", "DocumentReference", "DetectedIssue", "Provenance", "Task", "Device")
    found = {}
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=20) as http:
        for name in types:
            bundle = (await http.get(f"{base}/{name}")).json()
            found[name] = [entry["resource"]["id"] for entry in bundle.get("entry", [])]
    assert all(found.values()), found
    return found


def test_no_request_makes_a_server_error(schemathesis, access, facade, tmp_path):
    report = tmp_path / "report.ndjson"
    command = [str(schemathesis), "--config-file", str(HERE / "schemathesis.toml"), "run", f"{facade}/openapi.json"]
    command += ["--report", "ndjson", "--report-ndjson-path", str(report)]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": str(HERE / "hooks.py"), "PRECEPTOR_API_ACCESS": str(access)}

    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=LIMIT_S * 3, check=False
    )

    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
    answered = _statuses(report)
    assert sum(sum(statuses.values()) for statuses in answered.values()) > 1_000
    # Each was tried behind its door, most of them with success.
    assert all(set(statuses) - {401, 403, 405, 415} for statuses in answered.values()), answered
    assert sum(200 in statuses for statuses in answered.values()) >= 15, answered


def _statuses(report: Path) -> dict[str, Counter[int]]:
    """How often each operation answered with each status."""
    found: dict[str, Counter[int]] = {}
    for line in report.read_text().splitlines():
        recorded = json.loads(line).get("ScenarioFinished", {}).get("recorder", {"label": "", "interactions": {}})
        for interaction in recorded["interactions"].values():
            status = (interaction.get("response") or {}).get("status_code", 0)
            found.setdefault(recorded["label"], Counter())[status] += 1
    return found
