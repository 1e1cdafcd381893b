"""Triage in the running suite: through the facade and Ray Serve, for a visit of the sandbox EHR."""

import httpx
from preceptor.suite.background import BackgroundSuite
from service_contracts.quantity import Quantity
from service_contracts.triage import Posture, TriageAnswer, TriageRequest
from service_runtime.service_auth import ServiceAuth


async def test_the_application_answers_our_services_and_nobody_else(suite: BackgroundSuite) -> None:
    url = f"{suite.settings.serve_url}/triage"
    asked = TriageRequest(age=Quantity(value=60, unit="a"), complaints=("chest pain",), signs=("no-pulse",))
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
        assert (await http.get(f"{url}/healthz")).status_code == 200
        assert (await http.post(f"{url}/v1/triage", content=asked.model_dump_json())).status_code == 401
        header = await ServiceAuth(suite.secrets("facade")).header()
        answered = await http.post(f"{url}/v1/triage", content=asked.model_dump_json(), headers=header)
    answer = TriageAnswer.model_validate_json(answered.content)
    assert answer.posture is Posture.TIME_CRITICAL
    assert answer.level == 1
    assert answer.model is not None


async def test_the_facade_tells_what_is_to_be_known_of_the_model(suite: BackgroundSuite) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
        answer = await http.get(f"{suite.settings.facade_url}/dsi/triage/source-attributes")
    assert answer.status_code == 200
    assert len(answer.json()["attributes"]) == 31
