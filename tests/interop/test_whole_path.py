"""From the end of a stay to the document in the EHR: at sekmet-fhir open, strict, and behind an OAuth server."""

import pytest

from .stays import admit, discharge, written

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(params=["open", "strict", "oauth"])
def ehr(request):
    """Each EHR, running."""
    request.getfixturevalue("oauth_server" if request.param == "oauth" else f"{request.param}_sekmet")
    return request.param


@pytest.mark.requirement(
    "d1", "", "Create the Subscription: topic canonical URL, rest-hook, our endpoint, a limited-use secret"
)
@pytest.mark.requirement("f1", "", "AI content: AIAST, Provenance created with the target in one transaction")
async def test_a_stay_that_ends_is_notified_drafted_and_written_back(ehr, facade, ward, until):
    client = ward(ehr)
    await until(lambda: _active(client))
    encounter = await admit(client)

    await discharge(client, encounter)
    found = await until(lambda: written(client, encounter))

    (composition,) = found["Composition"]
    assert composition["status"] == "preliminary"
    assert [label["code"] for label in composition["meta"]["security"]] == ["AIAST"]
    assert composition["encounter"]["reference"].endswith(encounter)
    assert "mvastatin" in str(composition["section"])
    (issue,) = found["DetectedIssue"]
    assert "40 mg" in str(issue)
    assert {len(found[name]) for name in ("DocumentReference", "Provenance", "AuditEvent", "Task")} == {1}


async def _active(client):
    return [one["status"] for one in await client.search("Subscription", [])] == ["active"]
