"""Our FHIR client, Backend Services and the path from notification to document, at sekmet-fhir as it is shipped."""

import asyncio
import time
from collections.abc import Callable

import httpx
import pytest
from fhir_support.client import FhirClient, FhirNotFound, FhirRequestRefused, FhirVersionConflict

from .stays import patient

pytestmark = pytest.mark.timeout(300)

SERVERS = ("open", "strict")


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    """Each mode of the server, running."""
    request.getfixturevalue(f"{request.param}_sekmet")
    return str(request.param)


@pytest.fixture
def client(server: str, ward: Callable[[str], FhirClient]) -> FhirClient:
    return ward(server)


async def test_it_says_that_it_speaks_r4(client):
    assert (await client.capabilities())["fhirVersion"] == "4.0.1"


async def test_a_search_brings_every_page(client):
    created = [await client.create(patient("Pages")) for _ in range(5)]

    found = await client.search("Patient", [("family", "Pages"), ("_count", "2")])

    assert {one["id"] for one in found} == {one["id"] for one in created}


@pytest.mark.requirement("b2", "", "Writes use conditional create, If-Match, or a transaction")
@pytest.mark.requirement("f3", "", "Conditional creation: a repetition changes nothing")
async def test_what_is_created_twice_on_condition_is_there_once(client):
    once = {**patient("Once"), "identifier": [{"system": "urn:example:once", "value": f"{time.monotonic_ns()}"}]}
    condition = f"identifier=urn:example:once|{once['identifier'][0]['value']}"

    first = await client.create(once, if_none_exist=condition)
    again = await client.create(once, if_none_exist=condition)

    assert again["id"] == first["id"]


@pytest.mark.requirement("b2", "", "Writes use conditional create, If-Match, or a transaction")
async def test_a_version_that_is_gone_is_not_overwritten(client):
    first = await client.create(patient("Version"))
    await client.update({**first, "gender": "other"}, if_match=first["meta"]["versionId"])

    with pytest.raises(FhirVersionConflict):
        await client.update({**first, "gender": "male"}, if_match=first["meta"]["versionId"])

    assert (await client.read(f"Patient/{first['id']}"))["gender"] == "other"


@pytest.mark.requirement("b2", "", "Writes use conditional create, If-Match, or a transaction")
async def test_a_transaction_is_all_or_nothing(client):
    family = f"Transaction{time.monotonic_ns()}"
    entries = [
        {"fullUrl": "urn:uuid:0", "resource": patient(family), "request": {"method": "POST", "url": "Patient"}},
        {"resource": patient(family), "request": {"method": "PUT", "url": "Patient/no-such", "ifMatch": 'W/"7"'}},
    ]

    with pytest.raises(FhirRequestRefused):
        await client.transaction({"resourceType": "Bundle", "type": "transaction", "entry": entries})

    assert await client.search("Patient", [("family", family)]) == []


async def test_what_is_not_there_is_not_found(client):
    with pytest.raises(FhirNotFound):
        await client.read("Patient/no-such-patient")


@pytest.fixture
def backend(addresses, http, ward_tokens, strict_sekmet) -> Callable[..., FhirClient]:
    """Our client at the strict server, with scopes and keys of one's choice."""

    def make(scopes: str = "system/*.cruds", key: str = "ward") -> FhirClient:
        return FhirClient(addresses.fhir_base("strict"), http, ward_tokens(scopes, key))

    return make


async def test_the_strict_server_lets_nobody_in_without_a_token(addresses, strict_sekmet, http):
    answer = await http.get(f"{addresses.fhir_base('strict')}/Patient")

    assert answer.status_code == 401


@pytest.mark.requirement("b2", "", "403 is reported, not retried")
async def test_a_scope_that_is_too_narrow_is_a_refusal_that_is_told(backend):
    with pytest.raises(FhirRequestRefused) as refused:
        await backend("system/Encounter.rs").search("Patient", [])

    assert refused.value.status == 403


async def test_a_key_that_is_not_registered_gets_no_token(backend):
    with pytest.raises(FhirRequestRefused) as refused:
        await backend(key="another").search("Patient", [])

    assert refused.value.status == 401


@pytest.mark.requirement("b1", "", "A new assertion for each token request")
@pytest.mark.requirement("b2", "", "Re-token on expiry")
async def test_a_token_that_runs_out_is_replaced(backend, http):
    sent: list[httpx.Request] = []

    async def note(request: httpx.Request) -> None:
        sent.append(request)

    http.event_hooks["request"].append(note)
    client = backend()
    await client.search("Patient", [("_count", "1"), ("family", "Nobody")])
    await asyncio.sleep(3)  # tokens of this server live for 5 s, and are replaced when half of that is over
    await client.search("Patient", [("_count", "1"), ("family", "Nobody")])

    assertions = [request.content for request in sent if request.url.path == "/auth/token"]
    assert len(assertions) == len(set(assertions)) == 2
    assert all("Patient" in request.url.path for request in sent[-1:])
