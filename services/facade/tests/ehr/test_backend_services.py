"""Backend Services against the real sandbox EHR, as the client whose keys it holds."""

import asyncio
import base64
import json
import time
from urllib.parse import parse_qs

import httpx
import pytest
from facade.ehr.assertion import ASSERTION_TYPE, ClientAssertions
from facade.ehr.backend_services import BackendServicesTokens
from facade.ehr.client_authentication import ClientAuthentication
from facade.ehr.discovery import Discovery
from facade.ehr.outbound import outbound_client
from facade.ehr.registry import Ehr
from fhir_support.client import (
    FhirAnswerInvalid,
    FhirClient,
    FhirRequestRefused,
    FhirServerUnavailable,
    FhirVersionConflict,
)


class Backend:
    """A client of the sandbox EHR, and the requests it sent."""

    def __init__(self, sandbox, secrets, http, **changes):
        entry = {**sandbox.entry, "backend_client_id": "ward", "backend_scopes": "system/*.cruds", **changes}
        self.ehr = Ehr.model_validate(entry)
        self.sent = []
        http.event_hooks["request"].append(self._note)
        authentication = ClientAuthentication(secrets, ClientAssertions(secrets, "ward"))
        self.tokens = BackendServicesTokens(self.ehr, http, authentication, Discovery(http))
        self.fhir = FhirClient(self.ehr.fhir_base, http, self.tokens, retries=0)
        self.http = http

    async def _note(self, request):
        self.sent.append(request)

    @property
    def token_requests(self):
        return [one for one in self.sent if one.url.path == "/auth/token"]

    def forms(self):
        return [
            {name: values[0] for name, values in parse_qs(one.content.decode()).items()} for one in self.token_requests
        ]


@pytest.fixture
async def backend(sandbox, secrets):
    origins = dict.fromkeys(Ehr.model_validate(sandbox.entry).allowed_origins, "sandbox")
    async with outbound_client(origins, timeout_s=10) as http:
        yield lambda **changes: Backend(sandbox, secrets, http, **changes)


def decoded(part):
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


@pytest.mark.requirement(
    "b1",
    "hl7.fhir.uv.smart-app-launch_2.2.0@226",
    "[T]he app [SHALL discover] the EHR FHIR server’s SMART configuration metadata, including OAuth token endpoint URL",
)
@pytest.mark.requirement(
    "b1",
    "hl7.fhir.uv.smart-app-launch_2.2.0@227",
    "The app [SHALL issue] an HTTP GET with an `Accept` header supporting `application/json` to retrieve "
    "the SMART configuration file [from [base]/.well-known/smart-configuration]",
)
@pytest.mark.requirement(
    "b1",
    "hl7.fhir.uv.smart-app-launch_2.2.0@234",
    "After generating this authentication JWT, the client requests an access token via HTTP `POST` to "
    "the FHIR authorization server’s token endpoint URL, using content-type",
)
@pytest.mark.requirement(
    "b1",
    "hl7.fhir.uv.smart-app-launch_2.2.0@235",
    "[When requesting] an access token via HTTP POST to the FHIR authorization server’s token endpoint "
    "URL [the] `scope` [parameter is] `required` [and SHALL contain] … the scope of access",
)
@pytest.mark.requirement(
    "b1",
    "hl7.fhir.uv.smart-app-launch_2.2.0@237",
    "[when requesting] an access token via HTTP POST to the FHIR authorization server’s token endpoint "
    "URL [the] `client_assertion_type` [parameter is] `required` [and SHALL contain] … Fixed",
)
@pytest.mark.requirement(
    "b1",
    "hl7.fhir.uv.smart-app-launch_2.2.0@238",
    "[when requesting] an access token via HTTP POST to the FHIR authorization server’s token endpoint "
    "URL [the] `client_assertion` [parameter is] `required` [and SHALL contain] … [the s]igned",
)
@pytest.mark.requirement(
    "b1",
    "hl7.fhir.uv.smart-app-launch_2.2.0@236",
    "[when requesting] an access token via HTTP POST to the FHIR authorization server’s token endpoint URL [the] "
    "`grant_type` [parameter is] `required` [and SHALL contain the] … Fixed value: `client_credentials`",
)
@pytest.mark.requirement(
    "b1",
    "hl7.fhir.uv.smart-app-launch_2.2.0@233",
    "Before a client can request an access token, it [SHALL] generates a one-time-use authentication JWT",
)
@pytest.mark.requirement(
    "b1", "hl7.fhir.uv.smart-app-launch_2.2.0@239", "For Backend Services, requested scopes will be `system/` scopes"
)
@pytest.mark.parametrize("algorithm", ["ES384", "RS384"])
async def test_a_token_is_asked_for_as_the_standard_says(backend, sandbox, algorithm):
    one = backend(signing_algorithm=algorithm)
    first = await one.tokens.token()
    assert await one.tokens.renew(first) != first

    for request, form in zip(one.token_requests, one.forms(), strict=True):
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        assert "authorization" not in request.headers
        assert form.keys() == {"grant_type", "scope", "client_assertion_type", "client_assertion"}
        assert form["grant_type"] == "client_credentials"
        assert form["client_assertion_type"] == ASSERTION_TYPE
        assert all(scope.startswith("system/") for scope in form["scope"].split())
        header, claims = (decoded(part) for part in form["client_assertion"].split(".")[:2])
        assert (header["typ"], header["alg"]) == ("JWT", algorithm)
        assert claims["iss"] == claims["sub"] == "ward"
        assert claims["aud"] == f"{sandbox.base_url}/auth/token"
        assert 0 < claims["exp"] - time.time() <= 300
    identifiers = {decoded(form["client_assertion"].split(".")[1])["jti"] for form in one.forms()}
    assert len(identifiers) == len(one.forms()) == 2


@pytest.mark.requirement("b2", "", "token cache with single flight")
async def test_a_token_is_asked_for_once_however_many_wait(backend):
    one = backend()

    found = await asyncio.gather(*(one.tokens.token() for _ in range(20)))
    assert len(set(found)) == 1
    renewed = await asyncio.gather(*(one.tokens.renew(found[0]) for _ in range(20)))

    assert len(set(renewed)) == 1
    assert len(one.token_requests) == 2
    assert sum(one_.url.path.endswith("/smart-configuration") for one_ in one.sent) == 1


@pytest.mark.requirement(
    "b2",
    "hl7.fhir.uv.smart-app-launch_2.2.0@263",
    "To establish longer-term access [...] clients can request new access tokens as needed.",
)
async def test_a_token_that_ran_out_is_replaced_before_it_is_sent(backend):
    one = backend()
    held = await one.tokens.token()
    one.tokens._held = (time.monotonic() - 1, held)

    assert await one.tokens.token() != held
    assert len(one.token_requests) == 2


@pytest.mark.requirement(
    "b2",
    "hl7.fhir.uv.smart-app-launch_2.2.0@264",
    "The app [SHALL issue] a request [for FHIR data[ that includes an Authorization header that presents "
    "the access_token as a “Bearer” token: `Authorization: Bearer {{access_token}}`",
)
@pytest.mark.requirement("b2", "", "Re-token on expiry and once on 401")
async def test_a_401_gets_one_new_token_and_one_more_try(backend):
    one = backend()
    one.tokens._held = (time.monotonic() + 300, "a token the EHR does not know")

    assert (await one.fhir.read("Encounter/enc-ac4dcc33953d"))["id"] == "enc-ac4dcc33953d"
    reads = [one_ for one_ in one.sent if "/fhir/Encounter/" in str(one_.url)]
    assert len(reads) == 2
    assert reads[1].headers["authorization"] == f"Bearer {await one.tokens.token()}"
    assert len(one.token_requests) == 1


async def test_a_401_that_stays_is_reported_after_one_new_token(backend, monkeypatch):
    one = backend()
    one.tokens._held = (time.monotonic() + 300, "a token the EHR does not know")

    async def useless(refused):
        return "another token the EHR does not know"

    monkeypatch.setattr(one.tokens, "renew", useless)
    with pytest.raises(FhirRequestRefused) as refused:
        await one.fhir.read("Encounter/enc-ac4dcc33953d")

    assert refused.value.status == 401
    assert len([one_ for one_ in one.sent if "/fhir/Encounter/" in str(one_.url)]) == 2


@pytest.mark.requirement("b2", "", "403 is reported, not retried")
async def test_a_403_is_reported_and_not_tried_again(backend):
    one = backend(backend_scopes="system/Patient.rs")

    with pytest.raises(FhirRequestRefused) as refused:
        await one.fhir.read("Encounter/enc-ac4dcc33953d")

    assert refused.value.status == 403
    assert len([one_ for one_ in one.sent if "/fhir/Encounter/" in str(one_.url)]) == 1
    assert len(one.token_requests) == 1


@pytest.mark.requirement("b2", "", "Writes use conditional create, `If-Match`, or a transaction.")
async def test_a_write_that_is_repeated_or_late_changes_nothing(backend):
    one = backend()
    tag = {"system": "https://preceptor.example.org/tags", "code": f"test-{time.time_ns()}"}
    device = {"resourceType": "Device", "meta": {"tag": [tag]}, "deviceName": [{"name": "A", "type": "other"}]}
    query = f"_tag={tag['system']}|{tag['code']}"

    first = await one.fhir.create(device, if_none_exist=query)
    again = await one.fhir.create(device, if_none_exist=query)
    assert again["id"] == first["id"]

    changed = await one.fhir.update({**first, "lotNumber": "1"}, if_match=first["meta"]["versionId"])
    with pytest.raises(FhirVersionConflict):
        await one.fhir.update({**first, "lotNumber": "2"}, if_match=first["meta"]["versionId"])
    assert (await one.fhir.read(f"Device/{first['id']}"))["meta"]["versionId"] == changed["meta"]["versionId"]

    entry = {"resource": device, "request": {"method": "POST", "url": "Device", "ifNoneExist": query}}
    bad = {"resource": {"resourceType": "Device"}, "request": {"method": "PUT", "url": "Device/x", "ifMatch": 'W/"9"'}}
    with pytest.raises(FhirRequestRefused):
        await one.fhir.transaction({"resourceType": "Bundle", "type": "transaction", "entry": [entry, bad]})
    assert len(await one.fhir.search("Device", [("_tag", f"{tag['system']}|{tag['code']}")])) == 1


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"access_token": "x"},
        {"access_token": "", "token_type": "bearer"},
        {"access_token": "x", "token_type": "mac"},
        {"access_token": 1, "token_type": "bearer"},
        {"access_token": "x", "token_type": "bearer", "expires_in": "soon"},
        {"access_token": "x", "token_type": "bearer", "expires_in": -1},
        {"access_token": "x", "token_type": "bearer", "expires_in": True},
    ],
)
async def test_an_answer_that_is_no_token_is_not_used(sandbox, secrets, answer):
    def answers(request):
        if request.url.path.endswith("smart-configuration"):
            return httpx.Response(200, json={"token_endpoint": f"{sandbox.base_url}/auth/token"})
        return httpx.Response(200, json=answer)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answers)) as http:
        with pytest.raises(FhirAnswerInvalid):
            await Backend(sandbox, secrets, http).tokens.token()


@pytest.mark.parametrize(
    ("status", "error"), [(400, FhirRequestRefused), (401, FhirRequestRefused), (429, FhirServerUnavailable),
                          (500, FhirServerUnavailable), (302, FhirRequestRefused)]
)  # fmt: skip
async def test_a_refused_token_is_told_apart_from_a_silent_server(sandbox, secrets, status, error):
    def answers(request):
        if request.url.path.endswith("smart-configuration"):
            return httpx.Response(200, json={"token_endpoint": f"{sandbox.base_url}/auth/token"})
        return httpx.Response(status, json={"error": "invalid_client", "error_description": "a secret"})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answers)) as http:
        with pytest.raises(error) as raised:
            await Backend(sandbox, secrets, http).tokens.token()
    assert "a secret" not in repr(raised.value)
