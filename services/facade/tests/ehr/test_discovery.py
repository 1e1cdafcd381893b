"""Discovery: what is believed, for how long, and how often it is asked for."""

import asyncio

import httpx
import pytest
from facade.ehr.asking import AskFailed, ServerRefused, ServerSilent
from facade.ehr.discovery import Discovery
from facade.ehr.registry import Ehr

BASE = "https://ehr.example.org/fhir"
EHR = Ehr(
    id="main", name="EHR", issuer=BASE, fhir_base=BASE, backend_client_id="b", backend_scopes="system/*.rs",
    launch_client_id="l", launch_scopes="openid", encounter_topic="https://ehr.example.org/topic",
)  # fmt: skip
GOOD = {"issuer": BASE, "token_endpoint": "https://ehr.example.org/token"}


class Told:
    """A discovery document behind a transport, and how often it was asked for."""

    def __init__(self, status=200, json=None, content=None):
        self.asked, self.now = [], 0.0
        self.status, self.json, self.content = status, json, content
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))
        self.discovery = Discovery(self.http, clock=lambda: self.now)

    async def _answer(self, request):
        self.asked.append(request)
        await asyncio.sleep(0)
        if self.content is not None:
            return httpx.Response(self.status, content=self.content)
        return httpx.Response(self.status, json=self.json)


async def test_it_is_asked_for_once_by_all_who_wait_and_again_after_five_minutes():
    told = Told(json=GOOD)
    found = await asyncio.gather(*(told.discovery.smart(EHR) for _ in range(10)))
    assert {one.token_endpoint for one in found} == {GOOD["token_endpoint"]}
    assert len(told.asked) == 1
    assert told.asked[0].headers["accept"] == "application/json"

    told.now = 299.0
    await told.discovery.smart(EHR)
    assert len(told.asked) == 1
    told.now = 300.0
    await told.discovery.smart(EHR)
    assert len(told.asked) == 2
    told.discovery.forget(EHR)
    await told.discovery.smart(EHR)
    assert len(told.asked) == 3
    await told.http.aclose()


@pytest.mark.requirement(
    "a2",
    "hl7.fhir.uv.smart-app-launch_2.2.0@379",
    "Clients encountering relative endpoint URLs (e.g., in the context of legacy or non-conformant servers) SHOULD "
    "evaluate them relative to the FHIR Server Base URL",
)
@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("token", f"{BASE}/token"),
        ("/token", "https://ehr.example.org/token"),
        ("../auth", "https://ehr.example.org/auth"),
    ],
)
async def test_a_relative_endpoint_is_meant_from_the_fhir_base(written, meant):
    told = Told(json={**GOOD, "token_endpoint": written})
    assert (await told.discovery.smart(EHR)).token_endpoint == meant
    await told.http.aclose()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"json": {}}, ServerRefused),
        ({"json": []}, ServerRefused),
        ({"json": {**GOOD, "token_endpoint": 1}}, ServerRefused),
        ({"json": {**GOOD, "capabilities": "launch-ehr"}}, ServerRefused),
        ({"content": b"<html>"}, ServerRefused),
        ({"content": b"[" * 100_000}, ServerRefused),
        ({"content": b"\xff\xfe"}, ServerRefused),
        ({"json": GOOD, "status": 302}, ServerRefused),
        ({"json": GOOD, "status": 404}, ServerRefused),
        ({"json": GOOD, "status": 503}, ServerSilent),
        ({"json": GOOD, "status": 429}, ServerSilent),
    ],
)
async def test_what_is_no_configuration_is_not_used(answer, error):
    told = Told(**answer)
    with pytest.raises(error):
        await told.discovery.smart(EHR)
    told.status, told.json, told.content = 200, GOOD, None
    told.discovery.forget(EHR)
    assert (await told.discovery.smart(EHR)).token_endpoint == GOOD["token_endpoint"]
    await told.http.aclose()


async def test_what_a_server_said_is_not_in_the_error():
    told = Told(json={"error": "a name of a patient", "error_description": "another"}, status=400)
    with pytest.raises(AskFailed) as raised:
        await told.discovery.smart(EHR)
    assert raised.value.reason == "http-400"
    await told.http.aclose()
