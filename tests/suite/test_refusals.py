"""What is wrong gets a clear answer and changes nothing."""

import json
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from preceptor.suite.background import BackgroundSuite
from preceptor.suite.environments import process_environment, service_environment
from service_contracts.chart import Chart, ChartReference
from service_contracts.reconciliation import ReconcileRequest
from service_runtime.service_auth import ServiceAuth

pytestmark = pytest.mark.suite

CHART = Chart(
    patient=ChartReference(reference="Patient/none"),
    encounter=ChartReference(reference="Encounter/none"),
    as_of=date(2026, 11, 25),
)


async def reconcile(suite: BackgroundSuite, adapter: str | None) -> dict[str, Any]:
    """Send one request as the facade does, and return its last event."""
    request = ReconcileRequest(task="discharge-instructions", chart=CHART, adapter=adapter, budget_ms=5_000)
    headers = await ServiceAuth(suite.secrets("facade")).header()
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
        url = f"{suite.settings.serve_url}/reconciliation/v1/reconciliations"
        response = (await http.post(url, content=request.model_dump_json(), headers=headers)).raise_for_status()
    event: dict[str, Any] = json.loads(response.text.splitlines()[-1])
    return event


async def test_an_unknown_adapter_is_named_as_the_reason(suite: BackgroundSuite) -> None:
    event = await reconcile(suite, "no-such-adapter")
    assert (event["event"], event["code"]) == ("failed", "adapter-unknown")


@pytest.mark.parametrize("application", ["adapter-serving", "retrieval", "reconciliation", "triage"])
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}], ids=["no token", "wrong token"])
async def test_an_application_answers_nobody_without_the_token(
    suite: BackgroundSuite, application: str, headers: dict[str, str]
) -> None:
    paths = {"adapter-serving": "drafts", "retrieval": "evidence", "reconciliation": "reconciliations"}
    path = paths.get(application, application)
    async with httpx.AsyncClient(trust_env=False, timeout=20, headers=headers) as http:
        assert (await http.post(f"{suite.settings.serve_url}/{application}/v1/{path}", json={})).status_code == 401


async def test_a_notification_with_a_wrong_token_is_refused_with_an_outcome(suite: BackgroundSuite) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
        response = await http.post(
            f"{suite.settings.facade_url}/subscriptions/sandbox",
            json={"resourceType": "Bundle", "type": "history"},
            headers={"Authorization": "Bearer wrong"},
        )
    assert response.status_code in (401, 403)
    assert response.json()["resourceType"] == "OperationOutcome"


def test_ray_answers_nobody_without_its_token(suite: BackgroundSuite) -> None:
    url = f"http://127.0.0.1:{suite.settings.ray_dashboard_port}/api/serve/applications/"
    assert httpx.get(url, trust_env=False).status_code == 401


def test_an_index_with_another_key_is_refused_and_left_as_it_is(suite: BackgroundSuite, tmp_path: Path) -> None:
    copied = tmp_path / "index"
    shutil.copytree(suite.settings.state / "retrieval", copied)
    key_file = copied / "index.key.json"
    key_file.write_text(json.dumps(json.loads(key_file.read_text()) | {"index": "another"}))
    before = {path.name: path.read_bytes() for path in copied.iterdir()}
    own = service_environment(suite.settings, "retrieval") | {"PRECEPTOR_RETRIEVAL_INDEX_DIR": str(copied)}
    ended = subprocess.run(
        [sys.executable, "-m", "preceptor", "ingest", "status"],
        env=process_environment(suite.settings, own),
        capture_output=True,
        text=True,
    )
    assert ended.returncode != 0
    assert "key" in ended.stderr
    assert "Traceback" not in ended.stderr
    after = {path.name: path.read_bytes() for path in copied.iterdir()}
    assert {name: after.get(name) for name in before} == before


def test_a_second_suite_in_the_same_folder_is_refused(suite: BackgroundSuite) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "preceptor", "up"], env=suite.environment, capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert "already runs" in ended.stdout
    assert suite.process.poll() is None
