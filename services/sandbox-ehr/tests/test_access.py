"""What a token may see and change: scopes, the patient compartment, and the shapes of requests that are let through."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from joserfc import jws

DEMONSTRATION = "enc-ac4dcc33953d"
OTHER_STAY = "enc-cc756340b096"


@pytest.fixture(scope="module")
def app(ehr: Any) -> Any:
    """An app launched for the demonstration stay that may do everything with its patient."""
    return ehr.user("patient/*.cruds")


@pytest.fixture(scope="module")
def mine(ehr: Any) -> str:
    return str(ehr.patient_of(DEMONSTRATION))


@pytest.fixture(scope="module")
def foreign(ehr: Any) -> str:
    return str(ehr.patient_of(OTHER_STAY))


@pytest.fixture(scope="module")
def foreign_condition(ehr: Any, foreign: str) -> Any:
    return resources(ehr.backend("system/Condition.rs").get(f"Condition?patient={foreign}"))[0]


def resources(answer: Any) -> list[Any]:
    assert answer.status_code == 200, answer.text
    return [entry["resource"] for entry in answer.json().get("entry", []) if "resource" in entry]


def refused(answer: Any, status: int = 403) -> None:
    assert answer.status_code == status, f"{answer.status_code} {answer.text[:300]}"
    assert answer.headers["content-type"].startswith("application/fhir+json")
    assert answer.json()["resourceType"] == "OperationOutcome"


def condition(subject: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "subject": {"reference": subject}, "code": {"text": "Test"}, **more}


def entry(method: str, url: str, resource: Any = None, **request: str) -> dict[str, Any]:
    found: dict[str, Any] = {"request": {"method": method, "url": url, **request}}
    return found | ({"resource": resource} if resource else {})


@pytest.mark.parametrize("header", ["", "Bearer", "Basic eA==", "Bearer x", "Bearer a.b.c"])
def test_without_a_good_token_nothing_is_answered(ehr: Any, header: str) -> None:
    answer = ehr.http.get("/fhir/Patient", headers={"Authorization": header})
    refused(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer ")


def test_a_forged_access_token_is_refused(ehr: Any, fhir: Any, keys: dict[str, Any]) -> None:
    good = ehr.backend("system/Patient.r").token
    header, claims, signature = good.split(".")
    read = jws.extract_compact(good.encode())
    wide, named = json.loads(read.payload) | {"scope": "system/*.cruds"}, read.headers()
    forgeries = [
        jws.serialize_compact({**named, "alg": "RS256"}, json.dumps(wide).encode(), keys["stranger"]),
        f"{header}.{_encoded(wide)}.{signature}",
        f"{_encoded({**named, 'alg': 'none'})}.{claims}.",
        f"{_encoded({**named, 'alg': 'HS256'})}.{claims}.{signature}",
    ]
    for forged in forgeries:
        refused(fhir(ehr, forged).get("Patient"), 401)


def _encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    ("origin", "allowed"), [("https://app.example.org", True), ("https://attacker.example.org", False)]
)
def test_a_browser_may_call_from_the_pages_of_a_client_only(ehr: Any, origin: str, allowed: bool) -> None:
    asks = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    for path in ("/auth/token", "/fhir/Patient"):
        answer = ehr.http.options(path, headers=asks)
        assert (answer.headers.get("access-control-allow-origin") == origin) is allowed
        assert "access-control-allow-credentials" not in answer.headers
        plain = ehr.http.post(path, headers={"Origin": origin})
        assert (plain.headers.get("access-control-allow-origin") == origin) is allowed


def test_an_id_token_is_no_access_token(ehr: Any, fhir: Any) -> None:
    given = ehr.redeem("public-app", ehr.code("public-app", "openid launch patient/Patient.rs")).json()
    refused(fhir(ehr, given["id_token"]).get(f"Patient/{given['patient']}"), 401)


def test_a_token_expires(ehr: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = ehr.backend("system/Patient.rs")
    assert client.get("Patient").status_code == 200
    clock = ehr.container.tokens._clock
    monkeypatch.setattr(ehr.container.tokens, "_clock", lambda: clock() + 301)
    refused(client.get("Patient"), 401)


def test_metadata_needs_no_token_and_is_true(ehr: Any) -> None:
    answer = ehr.http.get("/fhir/metadata")
    statement = answer.json()
    assert (statement["fhirVersion"], statement["format"]) == ("4.0.1", ["application/fhir+json", "json"])
    operations = {o["name"] for r in statement["rest"][0]["resource"] for o in r.get("operation", [])}
    assert operations <= {"everything", "status", "validate"}


# scope -> method, address -> the status; each needs one letter of one type.
SCOPED = [
    ("system/Patient.r", "GET", "Patient/{mine}", 200),
    ("system/Patient.r", "GET", "Patient/{mine}/_history", 200),
    ("system/Patient.r", "GET", "Patient/{mine}/_history/1", 200),
    ("system/Patient.r", "GET", "Patient", 403),
    ("system/Patient.r", "GET", "Patient/_history", 403),
    ("system/Patient.r", "GET", "_history", 403),
    ("system/Patient.rs", "GET", "_history", 403),
    ("system/*.rs", "GET", "_history", 200),
    ("system/Patient.s", "GET", "Patient", 200),
    ("system/Patient.s", "GET", "Patient/_history", 200),
    ("system/Patient.s", "GET", "Patient/{mine}", 403),
    ("system/Patient.rs", "GET", "Condition", 403),
    ("system/Patient.rs", "GET", "Patient/{mine}/Condition", 403),
    ("system/Condition.rs", "GET", "Patient/{mine}/Condition", 200),
    ("system/Patient.read", "GET", "Patient", 200),
    ("system/Patient.write", "GET", "Patient", 403),
    ("system/Patient.rus", "DELETE", "Patient/{mine}", 403),
    ("system/Patient.rs", "GET", "Subscription", 403),
    ("system/Condition.s", "GET", "Condition?subject:Patient.name=x", 403),
    ("system/Condition.s", "GET", "Condition?subject.name=x", 403),
    ("system/Condition.s system/Patient.s", "GET", "Condition?subject:Patient.name=x", 200),
    ("system/Patient.s", "GET", "Patient?_has:Condition:patient:code=x", 403),
    ("system/Patient.s system/Condition.s", "GET", "Patient?_has:Condition:patient:code=x", 200),
]


@pytest.mark.parametrize(("scope", "method", "address", "status"), SCOPED)
def test_an_interaction_needs_its_letter(
    ehr: Any, mine: str, scope: str, method: str, address: str, status: int
) -> None:
    answer = ehr.backend(scope).request(method, address.replace("{mine}", mine.partition("/")[2]))
    assert answer.status_code == status, answer.text
    if status == 403:
        refused(answer)


@pytest.mark.parametrize(
    ("scope", "method", "status"),
    [
        ("system/Condition.c", "POST", 201),
        ("system/Condition.ruds", "POST", 403),
        ("system/Condition.u", "PUT", 201),
        ("system/Condition.crds", "PUT", 403),
        ("system/Observation.cruds", "POST", 403),
        ("system/Condition.c?category=problem-list-item", "POST", 403),
    ],
)
def test_a_write_needs_its_letter(ehr: Any, mine: str, scope: str, method: str, status: int) -> None:
    body, path = condition(mine), "Condition"
    if method == "PUT":
        body, path = {**body, "id": "given-id"}, "Condition/given-id"
    assert ehr.backend(scope).request(method, path, body).status_code == status


def test_an_app_sees_its_patient_and_nobody_else(app: Any, mine: str, foreign: str, foreign_condition: Any) -> None:
    assert app.get(mine).status_code == 200
    refused(app.get(foreign))
    refused(app.get(f"Condition/{foreign_condition['id']}"))
    refused(app.get(f"Condition/{foreign_condition['id']}/_history/1"))
    assert [r["id"] for r in resources(app.get("Patient"))] == [mine.partition("/")[2]]


@pytest.mark.parametrize(
    "address",
    ["Condition", "Encounter", "Observation?_count=1000", "MedicationRequest", "Condition/_history?_count=1000"],
)
def test_every_search_of_an_app_is_about_its_patient(ehr: Any, app: Any, mine: str, address: str) -> None:
    found = resources(app.get(address))
    assert found
    assert {r["subject"]["reference"] for r in found} == {mine}
    joint = "&" if "?" in address else "?"
    everything = ehr.backend("system/*.rs").get(f"{address}{joint}_count=1000").json()
    assert app.get(address).json().get("total", 0) < everything["total"]


def test_totals_and_pages_of_an_app_are_those_of_its_patient(app: Any) -> None:
    total = app.get("Condition").json()["total"]
    assert app.get("Condition?_summary=count").json()["total"] == total
    seen, address = 0, "Condition?_count=2"
    while address:
        page = app.get(address)
        seen += len(resources(page))
        links = {link["relation"]: link["url"] for link in page.json()["link"]}
        address = links.get("next", "").partition("/fhir/")[2]
    assert seen == total


def test_a_search_by_post_is_held_to_the_patient_too(ehr: Any, app: Any, mine: str) -> None:
    headers = {"Authorization": f"Bearer {app.token}"}
    found = resources(ehr.http.post("/fhir/Condition/_search", data={"_count": "1000"}, headers=headers))
    assert {r["subject"]["reference"] for r in found} == {mine}


@pytest.mark.parametrize(
    "address",
    [
        "Condition?patient={foreign}",
        "Patient?_id={foreign}",
        "Patient/{foreign}/Condition",
        "Patient/{foreign}/$everything",
    ],
)
def test_asking_for_another_patient_finds_nothing(app: Any, foreign: str, address: str) -> None:
    answer = app.get(address.replace("{foreign}", foreign.partition("/")[2]))
    shared = {"Practitioner", "Organization", "Location", "Device", "Medication"}
    assert [r for r in resources(answer) if r["resourceType"] not in shared] == []
    assert not answer.json().get("total")


def test_what_an_include_brings_needs_its_own_scope(ehr: Any) -> None:
    with_patients = ehr.backend("system/Encounter.rs system/Patient.rs").get("Encounter?_include=Encounter:patient")
    without = ehr.backend("system/Encounter.rs").get("Encounter?_include=Encounter:patient")
    assert {r["resourceType"] for r in resources(with_patients)} == {"Encounter", "Patient"}
    assert {r["resourceType"] for r in resources(without)} == {"Encounter"}
    reverse = ehr.backend("system/Patient.rs").get("Patient?_revinclude=Condition:patient")
    assert {r["resourceType"] for r in resources(reverse)} == {"Patient"}


def test_everything_of_a_patient_is_only_what_is_in_scope(ehr: Any, mine: str) -> None:
    found = ehr.user("patient/Patient.rs patient/Condition.rs").get(f"{mine}/$everything")
    assert {r["resourceType"] for r in resources(found)} == {"Patient", "Condition"}
    assert "total" not in found.json()


def test_a_granular_scope_filters_reads_and_searches_alike(ehr: Any) -> None:
    app = ehr.user("user/Observation.rs?category=laboratory")
    found = resources(app.get("Observation?_count=1000"))
    codes = {r["category"][0]["coding"][0]["code"] for r in found}
    assert codes == {"laboratory"}
    assert app.get("Observation").json()["total"] == len(found)
    vital = resources(ehr.backend("system/Observation.rs").get("Observation?category=vital-signs"))[0]
    refused(app.get(f"Observation/{vital['id']}"))
    assert app.get(f"Observation/{found[0]['id']}").status_code == 200


@pytest.mark.parametrize("to", ["mine", "foreign"])
def test_an_app_writes_about_its_patient_only(app: Any, mine: str, foreign: str, to: str) -> None:
    answer = app.post("Condition", condition(mine if to == "mine" else foreign))
    assert answer.status_code == (201 if to == "mine" else 403)


def test_an_app_cannot_take_over_what_is_another_patients(
    app: Any, ehr: Any, mine: str, foreign_condition: Any
) -> None:
    name = f"Condition/{foreign_condition['id']}"
    taken = foreign_condition | {"subject": {"reference": mine}}
    refused(app.put(name, taken))
    refused(app.request("DELETE", name))
    refused(app.request("PATCH", name, [{"op": "replace", "path": "/subject/reference", "value": mine}]))
    refused(app.transaction(entry("PUT", name, taken)))
    refused(app.transaction(entry("DELETE", name)))
    refused(app.post("Condition", condition(mine), If_None_Exist=f"_id={foreign_condition['id']}"))
    refused(app.transaction(entry("POST", "Condition", condition(mine), ifNoneExist=f"_id={foreign_condition['id']}")))
    stored = ehr.backend("system/Condition.r").get(name).json()
    assert stored["meta"]["versionId"] == "1"


def test_an_app_changes_nothing_that_all_share(app: Any, ehr: Any) -> None:
    doctor = app.get("Practitioner/DR-CA-001").json()
    refused(app.put("Practitioner/DR-CA-001", doctor))
    refused(app.post("Device", {"resourceType": "Device"}))
    refused(app.post("Patient", {"resourceType": "Patient", "id": "pt-6b726ff88697"}))


@pytest.mark.parametrize("kind", ["batch", "transaction"])
@pytest.mark.parametrize(
    "url", ["Condition", "Condition?_summary=count", "Observation?_count=0", "Patient", "Condition/_history"]
)
def test_an_app_does_not_search_inside_a_bundle(app: Any, kind: str, url: str) -> None:
    refused(app.transaction(entry("GET", url), kind=kind))


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_each_entry_of_a_bundle_needs_its_scope(ehr: Any, mine: str, kind: str) -> None:
    client = ehr.backend("system/Condition.crs")
    allowed, denied = entry("POST", "Condition", condition(mine)), entry("GET", mine)
    before = client.get("Condition").json()["total"]
    refused(client.transaction(allowed, denied, kind=kind))
    assert client.get("Condition").json()["total"] == before
    assert client.transaction(allowed, kind=kind).status_code == 200


def test_a_bundle_answers_by_position_even_where_something_is_hidden(
    ehr: Any, app: Any, mine: str, foreign: str
) -> None:
    answer = app.transaction(entry("GET", mine), entry("GET", foreign), entry("GET", mine), kind="batch")
    shown = [("resource" in one) for one in answer.json()["entry"]]
    assert shown == [True, False, True]


# What the embedded server would take for something else than its address says.
SMUGGLED: dict[str, tuple[str, str]] = {
    "a delete that looks like an operation": ("DELETE", "Condition/{id}/$everything"),
    "an update that looks like an operation": ("PUT", "Condition/{id}/$validate"),
    "a create that looks like a search": ("POST", "Condition/_search"),
    "a fragment": ("PUT", "Condition/{id}#x"),
    "a tab in the id": ("PUT", "Condition/{id}\t"),
    "a line end in the id": ("DELETE", "Condition/{id}\n"),
    "a whole address": ("DELETE", "{base}/Condition/{id}"),
    "a leading slash": ("DELETE", "/Condition/{id}"),
    "an empty segment": ("DELETE", "Condition//{id}"),
    "a way up": ("GET", "Condition/../Patient"),
    "a compartment": ("GET", "Patient/{id}/Condition"),
    "a percent sign": ("DELETE", "Condition/%2e%2e"),
    "a history that is deleted": ("DELETE", "Condition/_history"),
}


@pytest.mark.parametrize("name", SMUGGLED)
@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_an_entry_means_what_its_address_says(
    ehr: Any, foreign_condition: Any, mine: str, name: str, kind: str
) -> None:
    method, url = SMUGGLED[name]
    client = ehr.backend("system/Condition.rs system/Patient.rs")
    url = url.replace("{id}", foreign_condition["id"]).replace("{base}", ehr.fhir_base)
    total = client.get("Condition").json()["total"]
    answer = client.transaction(entry(method, url, foreign_condition | {"subject": {"reference": mine}}), kind=kind)
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert client.get("Condition").json()["total"] == total
    assert client.get(f"Condition/{foreign_condition['id']}").json()["meta"]["versionId"] == "1"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "Condition/..%2f..%2fui", 405),
        ("GET", "Condition/%2e%2e", 400),
        ("GET", "..%2fui", 404),
        ("GET", "ui", 404),
        ("GET", "$export", 404),
        ("GET", "Patient/$export", 404),
        ("POST", "$process-message", 404),
        ("DELETE", "Patient/x/$everything", 404),
        ("POST", "Patient/x", 405),
        ("GET", "Patient/x y", 400),
        ("GET", "Nothing", 404),
        ("GET", "", 400),
        ("PUT", "", 400),
        ("POST", "", 400),
        ("GET", "Patient?_format=xml", 406),
    ],
)
def test_what_is_not_served_is_refused(ehr: Any, method: str, path: str, status: int) -> None:
    refused(ehr.backend("system/*.cruds").request(method, path), status)


@pytest.mark.parametrize(
    ("kind", "content", "status"),
    [
        ("application/fhir+xml", b"<Patient xmlns='http://hl7.org/fhir'/>", 415),
        ("application/json;x=application/xml", b"<Patient xmlns='http://hl7.org/fhir'/>", 400),
        ("application/x-www-form-urlencoded", b'{"resourceType":"Patient"}', 415),
        ("application/fhir+json", b"{", 400),
        ("application/fhir+json", b"[" * 100_000, 400),
        ("application/fhir+json", b"\xff\xfe", 400),
        ("application/fhir+json", b"[]", 400),
        ("application/fhir+json", b'{"resourceType":"Condition"}', 400),
        ("application/fhir+json", b'{"resourceType":"Patient","unknown":1}', 400),
        ("application/fhir+json", b'{"resourceType":"Patient","language":"' + b"x" * 600_000 + b'"}', 413),
    ],
)
def test_a_body_that_is_no_resource_is_refused(ehr: Any, kind: str, content: bytes, status: int) -> None:
    headers = {"Authorization": f"Bearer {ehr.backend('system/*.cruds').token}", "Content-Type": kind}
    refused(ehr.http.post("/fhir/Patient", content=content, headers=headers), status)


def test_an_oversized_body_is_refused_though_it_does_not_say_its_size(ehr: Any) -> None:
    def chunks() -> Iterator[bytes]:
        yield from [b" " * 100_000] * 20

    headers = {
        "Authorization": f"Bearer {ehr.backend('system/*.cruds').token}",
        "Content-Type": "application/fhir+json",
    }
    refused(ehr.http.post("/fhir/Patient", content=chunks(), headers=headers), 413)


def test_only_systems_see_subscriptions(ehr: Any) -> None:
    refused(ehr.user("user/*.cruds").get("Subscription"))
