"""fhirpy, as anybody installs it, reads and searches our FHIR server."""

import pytest

from .stays import admit, discharge

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
async def base(addresses, facade, ward, until, open_sekmet):
    """Our base for an EHR whose stay has just ended, with the document."""
    client = ward("open")
    await until(lambda: _active(client))
    encounters = [await admit(client, family) for family in ("Read", "Searched")]
    for encounter in encounters:
        await discharge(client, encounter)
    await until(lambda: _written(client, len(encounters)))
    patient = (await client.read(encounters[0]))["subject"]["reference"]
    return addresses.own_base("open"), f"{client.base}/{patient}"


async def _active(client):
    return [one["status"] for one in await client.search("Subscription", [])] == ["active"]


async def _written(client, at_least):
    return len(await client.search("Composition", [])) >= at_least


async def test_a_stock_client_reads_searches_pages_resolves_and_invokes(base, oauth_server, run_client):
    url, patient = base
    token = await oauth_server.token("reader", url, "system/*.rs")

    said = run_client("fhirpy_reads.py", base=url, token=token, patient=patient)

    assert said["capabilities"] == "4.0.1"
    assert said["count"] == len(said["all"]) >= 2
    assert sorted(said["paged"]) == sorted(said["all"]) == sorted(said["sorted"])
    assert said["same"]
    assert said["entries"] == ["DetectedIssue"]
    assert said["included"] == ["Composition", "DetectedIssue"]
    assert said["reverse"] == ["Composition", "Provenance"]
    assert said["missing"] == "not found"
    assert said["write"] == "not-supported"
    assert "DetectedIssue" in said["checked"]
