"""SMART launches, refreshes and access tokens at oidc-provider, an OAuth and OpenID Connect server by others."""

import asyncio

import httpx
import pytest
from service_runtime.vault_store import connect_secret_store

from . import hospital
from .browser import Browser
from .stays import discharge, enter_launched_stays, written

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
async def server(oauth_server, openbao, facade, ward):
    """The OAuth server, which knows the stays, beside a facade that knows its secret there."""
    await enter_launched_stays(ward("oauth"))
    store = connect_secret_store(openbao.settings("facade"))
    await store.write("facade/clients/oauth-secret", {"secret": hospital.LAUNCH_SECRET})
    return oauth_server


@pytest.fixture
async def browser(facade):
    async with Browser(facade) as one:
        yield one


@pytest.mark.requirement(
    "a4", "", "The token request of each client type: public, confidential with a secret, confidential with a key"
)
@pytest.mark.requirement("a7", "", "The id_token is verified with the keys the issuer publishes")
@pytest.mark.parametrize("ehr_id", hospital.LAUNCHED)
async def test_the_app_is_launched_however_it_proves_itself(server, addresses, browser, ehr_id):
    _, answer = await browser.launch(addresses.fhir_base(ehr_id), "launch-1")

    assert answer.status_code == 303, answer.text
    page = await browser.ask(answer.headers["location"])
    assert page.status_code == 200
    assert "Of enc-1" in page.text
    granted = [one for one in server.events("grant.success") if one["client"] == f"preceptor-{ehr_id}"]
    assert [one["grant"] for one in granted] == ["authorization_code"]


@pytest.mark.requirement("a8", "", "Works with what was granted, and says what is missing")
async def test_what_was_not_granted_is_said_on_the_page(server, addresses, browser):
    _, answer = await browser.launch(addresses.fhir_base("oauth"), "launch-2")

    page = await browser.ask(answer.headers["location"])

    assert "patient/Flag.rs" in page.text


async def test_a_code_opens_one_session(server, addresses, browser, facade):
    callback, answer = await browser.launch(addresses.fhir_base("oauth"), "launch-1")
    assert answer.status_code == 303

    again = await browser.ask(callback)

    assert again.status_code == 400


@pytest.mark.requirement(
    "a6",
    "hl7.fhir.uv.smart-app-launch_2.2.0@117",
    "if the] `refresh_token` [parameter is] present, the app should discard any previous refresh_token",
)
async def test_a_signature_renews_access_and_a_refresh_token_is_used_once(server, addresses, ward, browser, until):
    """A refresh token that is sent a second time ends everything that was granted with it."""
    client = ward("oauth")
    await until(lambda: _active(client))
    await discharge(client, "Encounter/enc-1")
    await until(lambda: written(client, "Encounter/enc-1"))
    _, answer = await browser.launch(addresses.fhir_base("oauth"), "launch-1")
    path = answer.headers["location"]

    flag = (await browser.form(path))["flag"]
    for action in ("override", "accept"):
        sent = {
            "csrf": (await browser.form(path))["csrf"],
            "flag": flag,
            "action": action,
            "reason": "Taken for years.",
        }
        await browser.ask(f"{path}/decisions", method="POST", data=sent)
    form = await browser.form(f"{path}/final")
    # Both are confirmed by the EHR with the clinician's own access, which runs out at once; one of them signs.
    await asyncio.gather(*(browser.ask(f"{path}/signature", method="POST", data=form) for _ in range(2)))

    (composition,) = (await written(client, "Encounter/enc-1"))["Composition"]
    assert composition["status"] == "final"
    assert composition["attester"][0]["party"]["reference"].endswith(hospital.CLINICIAN)
    assert server.events("grant.revoked") == []
    refreshes = [one for one in server.events("grant.success") if one["grant"] == "refresh_token"]
    assert refreshes
    assert [one for one in server.events("grant.error") if one["grant"] == "refresh_token"] == []


async def _active(client):
    return [one["status"] for one in await client.search("Subscription", [])] == ["active"]


SEARCH = "Composition?_count=1"


async def asked(base, token, path=SEARCH):
    async with httpx.AsyncClient(timeout=20) as http:
        return await http.get(f"{base}/{path}", headers={"Authorization": f"Bearer {token}"})


@pytest.fixture(params=["open", "strict"])
def tenant(request):
    """Two bases of ours: at ``open`` tokens are checked by signature, at ``strict`` by introspection."""
    request.getfixturevalue(f"{request.param}_sekmet")
    return request.param


@pytest.mark.requirement("c4", "", "Signature, issuer, expiry, audience and scope are checked by the resource server")
async def test_a_token_for_our_base_opens_it(server, addresses, tenant):
    base = addresses.own_base(tenant)
    token = await server.token("reader", base, "system/Composition.rs")

    answer = await asked(base, token)

    assert answer.status_code == 200, answer.text
    assert answer.json()["resourceType"] == "Bundle"


@pytest.mark.requirement("c3", "", "A token without the scope is 403")
async def test_a_token_opens_what_its_scopes_say(server, addresses, tenant):
    base = addresses.own_base(tenant)
    token = await server.token("reader", base, "system/Composition.rs")

    answer = await asked(base, token, "Provenance?_count=1")

    assert answer.status_code == 403
    assert answer.json()["resourceType"] == "OperationOutcome"


@pytest.mark.requirement("c4", "", "A token for another audience is not valid here")
@pytest.mark.parametrize("other", ["oauth", "another"])
async def test_a_token_for_another_base_opens_nothing(server, addresses, tenant, other):
    meant_for = {"another": {"open": "strict", "strict": "open"}[tenant]}.get(other, other)
    token = await server.token("reader", addresses.own_base(meant_for), "system/Composition.rs")

    answer = await asked(addresses.own_base(tenant), token)

    assert answer.status_code == 401
    assert "invalid_token" in answer.headers["www-authenticate"]


async def test_a_token_for_the_ehr_opens_nothing_here(server, addresses, tenant):
    token = await server.token("reader", addresses.fhir_base("oauth"), "system/Composition.rs")

    assert (await asked(addresses.own_base(tenant), token)).status_code == 401


@pytest.mark.requirement("c3", "", "Revoked -> 401")
async def test_a_token_that_is_revoked_closes_within_seconds(server, addresses, strict_sekmet, until):
    base = addresses.own_base("strict")
    token = await server.token("reader", base, "system/Composition.rs")
    assert (await asked(base, token)).status_code == 200

    async with httpx.AsyncClient() as http:
        proof = ("reader", hospital.READER_SECRET.replace(" ", "%20"))
        revoked = await http.post(f"{server.issuer}/token/revocation", auth=proof, data={"token": token})
    assert revoked.status_code == 200

    async def refused():
        return (await asked(base, token)).status_code == 401

    await until(refused, limit_s=10)
