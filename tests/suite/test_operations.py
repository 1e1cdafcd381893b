"""The operations of the running suite, called as a backend service of the EHR with a token that the EHR issues."""

import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from facade.ehr.assertion import ASSERTION_TYPE, ClientAssertions
from preceptor.ehr_access import EhrAccess
from preceptor.suite.background import BackgroundSuite
from preceptor.suite.environments import process_environment, service_environment

pytestmark = pytest.mark.suite

Until = Callable[..., Awaitable[Any]]
Invoke = Callable[..., Awaitable[httpx.Response]]

STAY = "enc-745ac6fa8c1a"
SCOPES = (
    "system/Composition.crs system/DocumentReference.rs system/DetectedIssue.rs system/Task.crs system/Provenance.rs"
    " system/Device.rs"
)
GUIDELINE = """# Heart failure at home

Weigh yourself every morning and call the clinic when you gain more than 3 pounds in a day.
Limit sodium to 2,000 mg a day in adults with heart failure.
"""


@pytest.fixture
async def invoke(suite: BackgroundSuite) -> AsyncIterator[Invoke]:
    """Invokes an operation; what is no parameter goes to the request."""
    base = f"{suite.settings.facade_url}/fhir/sandbox"
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        configuration = (await http.get(f"{suite.settings.ehr_url}/fhir/.well-known/smart-configuration")).json()
        token_url = configuration["token_endpoint"]
        assertions = ClientAssertions(suite.secrets("facade"))
        form = {
            "grant_type": "client_credentials",
            "scope": SCOPES,
            "resource": base,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": await assertions.make(client_id="preceptor-backend", token_url=token_url),
        }
        token = (await http.post(token_url, data=form)).raise_for_status().json()["access_token"]
        http.headers.update({"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"})

        async def run(name: str, *parameters: dict[str, Any], **headers: str) -> httpx.Response:
            body = {"resourceType": "Parameters", "parameter": list(parameters)}
            return await http.post(f"{base}/${name}", json=body, headers=headers)

        run.http = http  # type: ignore[attr-defined]
        yield run


@pytest.fixture(scope="module")
def guideline(suite: BackgroundSuite, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A guideline, ingested from the command line while the suite runs."""
    page: Path = tmp_path_factory.mktemp("guidelines") / "heart-failure.md"
    page.write_text(GUIDELINE)
    ended = subprocess.run(
        [sys.executable, "-m", "preceptor", "ingest", "guidelines", str(page), "--publisher", "A society",
         "--version", "2026", "--title", "Heart failure at home"],
        env=process_environment(suite.settings, service_environment(suite.settings, "retrieval")),
        capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr


def values(body: dict[str, Any], name: str) -> list[Any]:
    found = [one for one in body["parameter"] if one["name"] == name]
    return [
        one.get("part") or one.get("resource") or next(one[key] for key in one if key[:5] == "value") for one in found
    ]


def part(parts: list[dict[str, Any]], name: str) -> Any:
    return values({"parameter": parts}, name)[0]


async def test_a_stay_is_drafted_asynchronously_and_its_document_is_in_the_ehr(
    invoke: Invoke, ehr: EhrAccess, until: Until
) -> None:
    encounter = {"name": "encounter", "valueReference": {"reference": f"Encounter/{STAY}"}}
    accepted = await invoke("draft", encounter, Prefer="respond-async")
    assert accepted.status_code == 202, accepted.text
    location = accepted.headers["content-location"]

    async def done() -> dict[str, Any] | None:
        answer = await invoke.http.get(location)  # type: ignore[attr-defined]
        assert answer.status_code in (200, 202), answer.text
        body: dict[str, Any] | None = answer.json() if answer.status_code == 200 else None
        return body

    bundle = await until(done, timeout_s=120)
    (entry,) = bundle["entry"]
    assert entry["response"]["status"] == "200 OK", entry
    resources = entry["resource"]["entry"]
    kinds = {one["resource"]["resourceType"] for one in resources}
    assert {"Composition", "DocumentReference", "Provenance", "Device", "Task"} <= kinds
    composition = next(one["resource"] for one in resources if one["resource"]["resourceType"] == "Composition")
    (written,) = await until(lambda: ehr.search("Composition", encounter=f"Encounter/{STAY}"))
    assert written["identifier"] == composition["identifier"]

    sections = [one for one in composition["section"] if one["title"] != "Checks"]
    checked = await invoke(
        "check", encounter, {"name": "composition", "resource": {**composition, "section": sections}}
    )
    assert checked.status_code == 200, checked.text
    claims = values(checked.json(), "claim")
    assert claims and any(part(claim, "verdict") == "supported" for claim in claims)
    flagged = {one["resource"]["detail"] for one in resources if one["resource"]["resourceType"] == "DetectedIssue"}
    # A busy machine may have drafted or checked less than all of it, and then says so; it never finds something else.
    assert flagged <= {one["detail"] for one in values(checked.json(), "issue")}


async def test_a_dose_above_the_limit_is_found_in_a_text_that_was_given(invoke: Invoke) -> None:
    text = "Take metformin 2000 mg by mouth twice a day."
    answer = await invoke(
        "check",
        {"name": "encounter", "valueReference": {"reference": f"Encounter/{STAY}"}},
        {
            "name": "section",
            "part": [{"name": "code", "valueCode": "medications"}, {"name": "text", "valueString": text}],
        },
    )
    assert answer.status_code == 200, answer.text
    issues = values(answer.json(), "issue")
    assert any("4,000 mg of metformin in a day is more than the limit" in one["detail"] for one in issues)
    assert all(one["evidence"] for one in issues if one["code"]["coding"][0]["code"] == "DOSE")


async def test_a_question_is_answered_by_the_guideline_that_was_ingested(
    invoke: Invoke, guideline: None, until: Until
) -> None:
    question = {"name": "question", "valueString": "How much sodium a day in adults with heart failure?"}

    async def answered() -> list[Any]:
        answer = await invoke("ask", question)
        assert answer.status_code == 200, answer.text
        return values(answer.json(), "answer")

    (sentence,) = await until(answered)
    assert part(sentence, "sentence") == "Limit sodium to 2,000 mg a day in adults with heart failure."
    assert part(sentence, "version") == "2026" and "A society" in part(sentence, "citation")["citation"]
    unknown = (await invoke("ask", {"name": "question", "valueString": "Which statin lowers cholesterol most?"})).json()
    assert (values(unknown, "answer"), len(values(unknown, "abstained"))) == ([], 1)


async def test_without_a_formulary_in_force_nothing_is_covered(invoke: Invoke) -> None:
    answer = await invoke(
        "formulary",
        {"name": "plan", "valueString": "no-such-plan"},
        {"name": "medication", "valueCodeableConcept": {"text": "metformin"}},
        {"name": "asOf", "valueDate": datetime.now(UTC).date().isoformat()},
    )
    assert answer.status_code == 200, answer.text
    assert (values(answer.json(), "coverage"), values(answer.json(), "reason")) == (
        ["unknown"], ["no-formulary-in-force"],
    )  # fmt: skip
