"""The HTTP surface: who may ask, what is refused, and what is counted."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from service_contracts.triage import Posture, SourceAttributes, TriageAnswer
from triage.assess import Assessor, Served
from triage.counters import Counters
from triage.floor import Floor
from triage.ingress import build_ingress

from .conftest import request


@pytest.fixture
async def http(floor: Floor, served: Served) -> AsyncIterator[httpx.AsyncClient]:
    async def accepts(header: str | None) -> bool:
        return header == "Bearer ours"

    assessor = Assessor(floor, lambda: served, ThreadPoolExecutor(1), posture=Posture.TIME_CRITICAL, reserve_ms=5)
    app = build_ingress(assessor, Counters(), accepts, lambda: served.about, max_body_bytes=65_536, max_budget_ms=5_000)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://triage", headers={"Authorization": "Bearer ours"}
    ) as client:
        yield client


async def test_a_request_is_answered_by_the_contract(http: httpx.AsyncClient) -> None:
    response = await http.post("/v1/triage", content=request(vitals={"pulse": 88}).model_dump_json())
    assert response.status_code == 200
    answer = TriageAnswer.model_validate_json(response.content)
    assert answer.level is not None


async def test_only_our_services_may_ask(http: httpx.AsyncClient) -> None:
    for method, path in (("POST", "/v1/triage"), ("GET", "/v1/source-attributes")):
        response = await http.request(method, path, headers={"Authorization": "Bearer other"})
        assert response.status_code == 401
    assert (await http.get("/healthz", headers={"Authorization": ""})).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"not json", 400),
        (b"[]", 400),
        (b'{"complaints": ["' + b"x" * 300 + b'"]}', 400),
        (b'{"surprise": 1}', 400),
        (b'{"budget_ms": 999999}', 400),
        (b'{"age": {"value": 900, "unit": "a"}}', 422),
        (b'{"signs": ["looks-fine"]}', 422),
        (b'{"measurements": [{"kind": "pulse", "value": {"value": 900, "unit": "/min"}}]}', 422),
        (b'{"complaints": ["' + b"x" * 70_000 + b'"]}', 413),
    ],
)
async def test_what_cannot_be_is_refused_without_its_value(http: httpx.AsyncClient, body: bytes, status: int) -> None:
    response = await http.post("/v1/triage", content=body)
    assert response.status_code == status
    assert "900" not in response.text
    assert "xxx" not in response.text


async def test_the_source_attributes_are_of_the_served_model(http: httpx.AsyncClient, served: Served) -> None:
    found = SourceAttributes.model_validate_json((await http.get("/v1/source-attributes")).content)
    assert found.model == served.identity
    assert len(found.attributes) == 31


async def test_answers_are_counted_by_level_and_group_and_by_nothing_of_a_patient(http: httpx.AsyncClient) -> None:
    await http.post(
        "/v1/triage",
        content=request(
            years=70, complaint="Secretwords", vitals={"oxygen_saturation": 80, "pulse": 90}
        ).model_dump_json(),
    )
    text = (await http.get("/metrics")).text
    assert 'preceptor_triage_answers_total{age_band="65-79",level="2"} 1.0' in text
    assert 'preceptor_triage_floor_rules_total{rule="oxygen-danger-zone"} 1.0' in text
    assert "secretwords" not in text.casefold()
