"""fhirpy and fhirclient, as anybody installs them, read and search our FHIR server."""

import pytest

from .stays import ended_stay

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
async def base(addresses, facade, ward):
    """Our base for an EHR where two stays have just ended, and the patient of one of them."""
    client = ward("open")
    _, encounter = [await ended_stay(client, family) for family in ("Searched", "Read")]
    patient = (await client.read(encounter))["subject"]["reference"]
    return addresses.own_base("open"), f"{client.base}/{patient}"


async def test_a_stock_client_reads_searches_pages_resolves_and_invokes(base, oauth_server, run_client):
    url, patient = base
    token = await oauth_server.token("reader", url, "system/*.rs")

    said = run_client("fhirpy_reads.py", base=url, token=token, patient=patient)

    assert said["capabilities"] == "4.0.1"
    assert said["own parameter"] == "not-supported"
    assert said["count"] == len(said["all"]) >= 2
    assert sorted(said["paged"]) == sorted(said["all"]) == sorted(said["sorted"])
    assert said["same"]
    assert said["entries"] == ["DetectedIssue"]
    assert said["included"] == ["Composition", "DetectedIssue"]
    assert said["reverse"] == ["Composition", "Provenance"]
    assert said["missing"] == "not found"
    assert said["write"] == "not-supported"
    assert "DetectedIssue" in said["checked"]


async def test_smarts_own_client_reads_us_by_its_models(base, oauth_server, run_client):
    url, patient = base
    token = await oauth_server.token("reader", url, "system/*.rs")

    said = run_client("fhirclient_reads.py", base=url, token=token, patient=patient)

    assert said["capabilities"] == "4.0.1"
    assert said["title"]
    assert said["resolved"] == [patient]
    assert said["agents"][0] == "Device"
    assert said["read"]
