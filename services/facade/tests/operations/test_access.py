"""Nothing is run without a token whose scopes allow it for that patient; every call is recorded."""

import json

import pytest
from facade.operations.table import NOT_YET, OPERATIONS

INPUTS = {
    "draft": [("encounter", "Reference", {"reference": "Encounter/1"})],
    "check": [
        ("encounter", "Reference", {"reference": "Encounter/1"}),
        ("section", "part", [{"name": "code", "valueCode": "diet"}, {"name": "text", "valueString": "Eat less salt."}]),
    ],
    "ask": [("question", "string", "Which drug should be offered first to adults with type 2 diabetes?")],
    "formulary": [("plan", "string", "plan-north"), ("medication", "CodeableConcept", {"text": "metformin"})],
}
ENOUGH = {
    "draft": "system/Composition.crs system/Task.c",
    "check": "system/DetectedIssue.r",
    "ask": "system/DocumentReference.s",
    "formulary": "user/DocumentReference.rs",
}
TOO_LITTLE = {
    "draft": ["", "system/Composition.rs system/Task.c", "system/Composition.cr", "system/Task.cruds", "system/*.s"],
    "check": ["", "system/DetectedIssue.s", "system/Composition.cruds", "system/*.cuds"],
    "ask": ["", "system/DocumentReference.r", "system/Composition.s", "launch openid", "system/DocumentReference.sr"],
    "formulary": ["", "patient/DocumentReference.rs", "system/DocumentReference.crud"],
}


@pytest.mark.requirement("c3", "", "No token -> 401 with WWW-Authenticate; token without the scope -> 403; both with"
                         " an OperationOutcome")  # fmt: skip
@pytest.mark.parametrize("name", INPUTS)
async def test_without_a_token_or_its_scopes_nothing_is_run(alone, p, name):
    given = [p.given(*one) for one in INPUTS[name]]
    bare = await alone.http.post(f"{alone.base}/${name}", content="not even read")
    assert bare.status_code == 401 and bare.headers["www-authenticate"].startswith("Bearer")
    for claims in ({"exp": 1}, {"aud": "https://other.example.org"}, {"iss": "https://evil.example.org"}):
        assert (await alone.invoke(name, *given, claims=claims)).status_code == 401
    assert await alone.events() == [], "who is not known is not recorded as a client"
    for scope in TOO_LITTLE[name]:
        refused = await alone.invoke(name, *given, scope=scope)
        assert (refused.status_code, refused.json()["resourceType"]) == (403, "OperationOutcome"), scope
        later = await alone.invoke(name, *given, scope=scope, prefer="respond-async")
        assert later.status_code == 403, scope
    assert await alone.events() == [(f"${name}", "4", None)] * 2 * len(TOO_LITTLE[name])
    allowed = await alone.invoke(name, *given, scope=ENOUGH[name])
    # There is no EHR behind this facade: what needs one gets further than its scopes, and no further.
    assert allowed.status_code == (200 if name in ("ask", "formulary") else 422), allowed.text


async def test_an_operation_is_invoked_by_post_only(alone):
    for name in (*OPERATIONS, *NOT_YET):
        for method in ("GET", "PUT", "PATCH", "DELETE"):
            answer = await alone.get(f"${name}?question=Marked", method)
            assert (answer.status_code, answer.headers["allow"]) == (405, "POST, OPTIONS"), (name, method)
            assert "Marked" not in answer.text


async def test_json_is_spoken_and_nothing_else(alone, p):
    for headers, status in (
        ({"Content-Type": "application/json"}, 200),
        ({"Content-Type": "application/fhir+json; charset=utf-8"}, 200),
        ({"Content-Type": "application/fhir+xml"}, 415),
        ({"Content-Type": "text/plain"}, 415),
        ({"Accept": "application/fhir+xml"}, 406),
        ({"Accept": "application/fhir+json"}, 200),
    ):
        answer = await alone.invoke("ask", p.given(*INPUTS["ask"][0]), headers=headers)
        kind = "Parameters" if status == 200 else "OperationOutcome"
        assert (answer.status_code, answer.json()["resourceType"]) == (status, kind), headers


async def test_a_body_that_is_too_large_is_refused(alone):
    answer = await alone.invoke("ask", content=json.dumps({"x": "y" * 1_100_000}))
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (413, "too-long")


async def test_the_request_id_is_adopted_and_returned(alone, p):
    answer = await alone.invoke("ask", p.given(*INPUTS["ask"][0]), headers={"X-Request-Id": "r-77"})
    assert answer.headers["x-request-id"] == "r-77"
    found = await alone.get("AuditEvent", scope="system/AuditEvent.rs")
    kept = [
        entity["what"]["identifier"]["value"]
        for entry in found.json()["entry"]
        for entity in entry["resource"]["entity"]
        if entity.get("type", {}).get("code") == "XrequestId"
    ]
    assert "r-77" in kept


async def test_what_cannot_be_recorded_is_not_answered(alone, p, monkeypatch):
    from service_runtime.secrets import SecretStoreUnavailable

    async def sealed(*_, **__):
        raise SecretStoreUnavailable("sealed")

    monkeypatch.setattr(alone.container.resources, "prepare", sealed)
    answer = await alone.invoke("ask", p.given(*INPUTS["ask"][0]))
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (503, "transient")
    assert "metformin" not in answer.text
