"""The whole way with a real EHR: a document is drafted and signed, and read from us with tokens that the EHR issues."""

import httpx
import pytest
from facade.ehr.assertion import ASSERTION_TYPE, ClientAssertions
from facade.fhir.criteria import Limit
from facade.fhir.results import Results
from facade.pipeline.reconciliation import DraftingFailed
from facade.pipeline.signing import Signer, Signing
from fhir_support.r4 import validated

DOCTOR = Signer("Practitioner/dr-1", "Dr. Example")


async def post_form(http, sandbox, secrets, path, **form):
    """Send a form to the EHR's authorization server as the ward's client."""
    token_url = f"{sandbox.base_url}/auth/token"
    assertion = await ClientAssertions(secrets, "ward").make(client_id="ward", token_url=token_url)
    proof = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
    return await http.post(f"{sandbox.base_url}{path}", data={**form, **proof})


async def token_for(http, sandbox, secrets, resource, scope="system/*.rs"):
    form = {"grant_type": "client_credentials", "scope": scope, **({"resource": resource} if resource else {})}
    answer = await post_form(http, sandbox, secrets, "/auth/token", **form)
    assert answer.status_code == 200, answer.text
    return answer.json()["access_token"]


def with_token(token):
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
async def http():
    async with httpx.AsyncClient(timeout=20) as client:
        yield client


@pytest.fixture
async def draft(facade, ward, eventually, decide, new_request_id):
    encounter = await ward.admit()
    await facade.drafting.draft("sandbox", encounter, new_request_id)
    await eventually(lambda: facade.documents.get("sandbox", encounter), lambda stored: stored.written)
    await decide(facade, encounter)
    return encounter


@pytest.mark.requirement(
    "c4", "hl7.fhir.uv.smart-app-launch_2.2.0@265",
    "The resource server SHALL validate the access token and ensure that it has not expired",
)  # fmt: skip
async def test_results_are_read_with_the_ehrs_tokens_until_they_are_revoked(facade, sandbox, secrets, http, draft):
    base = f"{sandbox.facade_url}/fhir"
    token = await token_for(http, sandbox, secrets, base)

    async def ask(path, headers=None):
        return await http.get(f"{base}/{path}", headers=headers or with_token(token))

    (entry,) = (await ask(f"Composition?encounter={draft}")).json()["entry"]
    composition = entry["resource"]
    assert (composition["status"], composition["meta"]["versionId"]) == ("preliminary", "1")
    await facade.signing.sign("sandbox", draft, signer=DOCTOR, sections=None, request_id="r")
    path = f"Composition/{composition['id']}"
    signed = (await ask(path)).json()
    assert (signed["status"], signed["meta"]["versionId"]) == ("final", "2")
    bundle = (await ask(f"Composition?_id={composition['id']}&_include=Composition:entry&_include=Composition:author"
                        "&_revinclude=Provenance:target&_revinclude=AuditEvent:entity")).json()  # fmt: skip
    assert validated(bundle)
    kinds = [one["resource"]["resourceType"] for one in bundle["entry"]]
    assert kinds.count("Provenance") == 2 and "Device" in kinds and "DetectedIssue" in kinds and "AuditEvent" in kinds
    own = await token_for(http, sandbox, secrets, None)
    for reference in sorted({one for entry in bundle["entry"] for one in references(entry["resource"])}):
        if reference.startswith("http"):
            assert reference.startswith(f"{sandbox.fhir_base}/")
            # The doctor of this test is nobody the EHR knows.
            status = 404 if reference.endswith(DOCTOR.reference) else 200
            assert (await http.get(reference, headers=with_token(own))).status_code == status, reference
        else:
            assert (await ask(reference)).status_code == 200, reference

    # A token is of use only where it is for.
    assert (await ask(path, with_token(own))).status_code == 401
    assert (await http.get(f"{sandbox.fhir_base}/Patient", headers=with_token(token))).status_code == 401
    narrow = await token_for(http, sandbox, secrets, base, "system/DetectedIssue.rs")
    assert (await ask(path, with_token(narrow))).status_code == 403

    assert (await post_form(http, sandbox, secrets, "/auth/revoke", token=token)).status_code == 200
    facade.access_tokens._introspection._held.clear()  # what was asked a moment ago may count for five seconds
    answer = await ask(path)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (401, "login")
    known = (await http.get(f"{base}/.well-known/smart-configuration")).json()
    assert known["token_endpoint"] == f"{sandbox.base_url}/auth/token"


def references(value):
    if isinstance(value, list):
        for one in value:
            yield from references(one)
    elif isinstance(value, dict):
        if isinstance(value.get("reference"), str) and "resourceType" not in value:
            yield value["reference"]
        for one in value.values():
            yield from references(one)


async def test_a_failed_drafting_is_a_failed_task_here_and_a_later_document_completes_it(
    facade, ward, suite, new_request_id
):
    encounter = await ward.admit()
    suite.drafting.failure = "drafting-unavailable"
    with pytest.raises(DraftingFailed):
        await facade.drafting.draft("sandbox", encounter, new_request_id)
    (task,) = await all_of(facade, "Task")
    assert (task.version, task.resource["status"]) == (1, "failed")
    assert await all_of(facade, "Composition") == ()
    suite.drafting.failure = None
    await facade.drafting.draft("sandbox", encounter, new_request_id)
    (task,) = await all_of(facade, "Task")
    (composition,) = await all_of(facade, "Composition")
    assert (task.version, task.resource["status"]) == (2, "completed")
    assert task.resource["output"][0]["valueReference"]["reference"] == f"Composition/{composition.id}"


class Dying:
    """The documents of a process that dies just before the document is made final here."""

    def __init__(self, documents):
        self._documents = documents

    def __getattr__(self, name):
        return getattr(self._documents, name)

    async def mark_final(self, *_):
        raise KeyboardInterrupt


async def test_a_signature_that_is_healed_reaches_our_own_store_too(facade, draft):
    dying = Signing(
        ehrs=facade.ehrs,
        connections=facade.connections,
        documents=Dying(facade.documents),
        results=Results(facade.resources, facade.ehrs),
        public_base_url=facade.settings.public_base_url,
    )
    died = False
    try:
        await dying.sign("sandbox", draft, signer=DOCTOR, sections=None, request_id="r")
    except KeyboardInterrupt:
        died = True
    assert died
    compositions = await all_of(facade, "Composition")
    assert [one.resource["status"] for one in compositions] == ["preliminary"]
    await facade.signing.sign("sandbox", draft, signer=DOCTOR, sections=None, request_id="r")
    (composition,) = await all_of(facade, "Composition")
    assert (composition.version, composition.resource["status"]) == (2, "final")
    assert len(await all_of(facade, "Provenance")) == 2
    assert all(one.resource["status"] == "final" for one in await all_of(facade, "DetectedIssue"))
    assert composition.resource["author"] == [{"reference": f"Device/{(await all_of(facade, 'Device'))[0].id}"}]


async def all_of(facade, kind):
    return (await facade.resources.search("sandbox", kind, limits=[Limit(None, ())], count=100)).resources
