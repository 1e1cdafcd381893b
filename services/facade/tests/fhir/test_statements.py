"""What the server says of itself is true: CapabilityStatement, SMART configuration, and the record of accesses."""

import base64
import json

import pytest
import pytest_asyncio
from facade.fhir.served import COMMON, SERVED
from fhir_support.r4 import validated
from service_runtime.secrets import SecretStoreUnavailable

from .conftest import ANNA, BERT, NORTH, TYPES, entry

pytestmark = pytest.mark.asyncio(loop_scope="module")
ALL = "system/*.rs"
FHIR = {"Content-Type": "application/fhir+json"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def statement(endpoint):
    answer = await endpoint.ask("metadata")
    assert answer.status_code == 200
    return answer.json()


@pytest.mark.requirement(
    "c2", "", "GET {base}/metadata: CapabilityStatement 4.0.1, JSON in format, every interaction and operation we "
    "really serve.",
)  # fmt: skip
async def test_metadata_is_a_capability_statement_of_r4(endpoint, statement):
    assert validated(statement)
    assert (statement["resourceType"], statement["fhirVersion"], statement["kind"]) == (
        "CapabilityStatement", "4.0.1", "instance",
    )  # fmt: skip
    assert "json" in statement["format"] and not any("xml" in one for one in statement["format"])
    assert statement["implementation"]["url"] == NORTH
    (rest,) = statement["rest"]
    assert rest["security"]["cors"] is True
    assert rest["security"]["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"
    assert (
        {one["type"] for one in rest["resource"]} == {*TYPES, "OperationDefinition"} == {*SERVED, "OperationDefinition"}
    )
    assert {one["name"] for one in rest.get("operation", [])} == set(endpoint.container.operations.by_name)
    head = await endpoint.ask("metadata", method="HEAD")
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.requirement("c2", "", "The CapabilityStatement names every interaction and operation we really serve.")
async def test_everything_it_names_answers_and_what_it_does_not_name_is_refused(endpoint, statement):
    token = endpoint.token(ALL)
    (rest,) = statement["rest"]
    *results, definitions = rest["resource"]
    assert [one["code"] for one in definitions["interaction"]] == ["read"]
    for one in rest["operation"]:
        definition = (await endpoint.ask(f"OperationDefinition/{one['name']}")).json()
        assert (definition["code"], definition["kind"]) == (one["name"], "operation")
    assert (await endpoint.ask("OperationDefinition", token=token)).status_code == 404
    for resource in results:
        kind = resource["type"]
        found = (await endpoint.ask(f"{kind}?_count=1", token=token)).json()["entry"][0]["resource"]
        path = f"{kind}/{found['id']}"
        ways = {
            "read": path, "vread": f"{path}/_history/1", "history-instance": f"{path}/_history",
            "history-type": f"{kind}/_history", "search-type": kind,
        }  # fmt: skip
        assert {one["code"] for one in resource["interaction"]} == ways.keys()
        for way in ways.values():
            assert (await endpoint.ask(way, token=token)).status_code == 200, way
        values = {"token": "x", "date": "2026", "reference": "x", "uri": "x"}
        query = "&".join(f"{one['name']}={values[one['type']]}" for one in resource["searchParam"])
        assert (await endpoint.ask(f"{kind}?{query}", token=token)).status_code == 200
        assert {one["name"] for one in resource["searchParam"]} == {*COMMON, *SERVED[kind].parameters}
        includes = [f"_include={one}" for one in resource.get("searchInclude", [])]
        includes += [f"_revinclude={one}" for one in resource.get("searchRevInclude", [])]
        for one in includes:
            answer = await endpoint.ask(f"{kind}?_count=1&{one}", token=token)
            assert answer.status_code == 200, (one, answer.text)
        unnamed = {f"{source}:{code}" for source in SERVED for code in SERVED[source].parameters} - {
            *resource.get("searchInclude", []), *resource.get("searchRevInclude", []),
        }  # fmt: skip
        for one in sorted(unnamed)[:: len(unnamed) // 4]:
            assert (await endpoint.ask(f"{kind}?_include={one}", token=token)).status_code == 400
        for method, way in (("POST", kind), ("PUT", path), ("PATCH", path), ("DELETE", path)):
            assert (await endpoint.ask(way, "system/*.cruds", method=method)).status_code == 405
    assert {one["code"] for one in rest["interaction"]} == {"batch"}
    for one in rest.get("operation", []):
        assert (await endpoint.ask(f"${one['name']}", method="POST")).status_code == 401
        assert (await endpoint.ask(f"${one['name']}", "system/Device.s", method="POST")).status_code != 404


@pytest.mark.requirement(
    "c1", "hl7.fhir.uv.smart-app-launch_2.2.0@374",
    "Responses for `/.well-known/smart-configuration` requests SHALL be JSON, regardless of `Accept` headers provided "
    "in the request.",
)  # fmt: skip
@pytest.mark.requirement(
    "c1", "hl7.fhir.uv.smart-app-launch_2.2.0@372",
    "FHIR endpoints requiring authorization SHALL serve a JSON document at the location formed by appending "
    "`/.well-known/smart-configuration` to their base URL.",
)  # fmt: skip
@pytest.mark.requirement(
    "c1", "hl7.fhir.uv.smart-app-launch_2.2.0@16",
    "For requests from any origin, CORS configuration permits access to the public discovery endpoints "
    "(`.well-known/smart-configuration` and `metadata`)",
)  # fmt: skip
@pytest.mark.parametrize("accept", [None, "application/json", "text/html", "application/fhir+xml", "*/*", "x"])
async def test_the_smart_configuration_is_json_for_everybody(endpoint, accept):
    headers = {"Origin": "https://anywhere.example", **({"Accept": accept} if accept else {})}
    answer = await endpoint.ask(".well-known/smart-configuration", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.json()["token_endpoint"]


@pytest.mark.requirement(
    "c1", "hl7.fhir.uv.smart-app-launch_2.2.0@394",
    "Array of PKCE code challenge methods supported. The `S256` method SHALL be included in this list, and the `plain` "
    "method SHALL NOT be included in this list.",
)  # fmt: skip
@pytest.mark.requirement(
    "c1", "hl7.fhir.uv.smart-app-launch_2.2.0@378",
    "All endpoint URLs in the response document SHALL be absolute URLs.",
)  # fmt: skip
@pytest.mark.requirement(
    "c1", "hl7.fhir.uv.smart-app-launch_2.2.0@393",
    "Array of strings representing SMART capabilities (e.g., `sso-openid-connect` or `launch-standalone`) that the "
    "server supports.",
)  # fmt: skip
async def test_the_smart_configuration_names_the_registered_authorization_server(endpoint, issuer):
    document = (await endpoint.ask(".well-known/smart-configuration")).json()
    assert document["authorization_endpoint"] == f"{issuer.url}/authorize"
    assert document["token_endpoint"] == f"{issuer.url}/token"
    assert document["introspection_endpoint"] == f"{issuer.url}/introspect"
    assert (document["issuer"], document["jwks_uri"]) == (issuer.url, f"{issuer.url}/jwks")
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert "authorization_code" in document["grant_types_supported"]
    assert {"permission-v1", "permission-v2", "launch-standalone"} <= set(document["capabilities"])
    assert "launch-ehr" not in document["capabilities"]  # nobody launches apps into this base
    assert "system/Composition.rs" in document["scopes_supported"]
    assert not any(value is None for value in document.values())


async def test_a_silent_authorization_server_is_remembered_and_never_invented(endpoint_for, issuer):
    one = await endpoint_for(entry("north", issuer))
    issuer.silent = True
    answer = await one.ask(".well-known/smart-configuration")
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (503, "transient")
    issuer.silent = False
    first = (await one.ask(".well-known/smart-configuration")).json()
    issuer.silent = True
    one.container.authorization_servers._clock = lambda: 10_000_000.0
    one.container.authorization_servers._held = {
        name: (10_000_000.0 - 3_600, held[1]) for name, held in one.container.authorization_servers._held.items()
    }
    assert (await one.ask(".well-known/smart-configuration")).json() == first


async def test_an_endpoint_of_an_unregistered_origin_is_not_passed_on(endpoint_for, issuer, monkeypatch):
    one = await endpoint_for(entry("north", issuer))
    honest = issuer._answer

    def lying(path, body):
        status, answer = honest(path, body)
        return status, {**answer, "token_endpoint": "https://evil.example/token"} if "authorize" in str(
            answer
        ) else answer

    monkeypatch.setattr(issuer, "_answer", lying)
    assert (await one.ask(".well-known/smart-configuration")).status_code == 503


async def events(endpoint, request_id):
    """Return the AuditEvents of one request."""
    answer = await endpoint.ask("AuditEvent?_count=100&_sort=-_lastUpdated", ALL)
    found = [one["resource"] for one in answer.json()["entry"]]
    return [one for one in found if one["entity"][-1]["what"].get("identifier", {}).get("value") == request_id]


def roles(event):
    return {agent["type"]["coding"][0]["code"]: agent for agent in event["agent"]}


def patients(event):
    return [one["what"]["reference"] for one in event["entity"] if one.get("role", {}).get("code") == "1"]


@pytest.mark.requirement(
    "f2", "", "AuditEvent by IHE BALP: type rest, subtype, action (E for search), outcome, two agents with roles (for "
    "Read the client is Destination 110152, the server Source 110153; for Query and Create the other way round), one "
    "patient entity per event, X-Request-Id entity, search text base64.",
)  # fmt: skip
async def test_a_read_and_a_search_are_recorded_as_balp_wants(endpoint):
    ehr = endpoint.container.ehrs.get("north").fhir_base
    token = endpoint.token(ALL, fhirUser=f"{ehr}/Practitioner/dr-1")
    first = {"X-Request-Id": "search-1"}
    found = await endpoint.ask(f"Composition?subject={ANNA},{BERT}", token=token, headers=first)
    path = next(
        f"Composition/{one['resource']['id']}"
        for one in found.json()["entry"]
        if one["resource"]["subject"]["reference"].endswith("anna")
    )
    await endpoint.ask(path, token=token, headers={"X-Request-Id": "read-1"})
    await endpoint.ask(f"{path}/_history/1", token=token, headers={"X-Request-Id": "vread-1"})
    await endpoint.ask(f"{path}/_history", token=token, headers={"X-Request-Id": "history-1"})

    (read,) = await events(endpoint, "read-1")
    assert (read["type"]["code"], read["subtype"][0]["code"], read["action"], read["outcome"]) == (
        "rest",
        "read",
        "R",
        "0",
    )
    assert roles(read)["110152"]["who"]["identifier"]["value"] == "client"
    assert roles(read)["110153"]["network"]["address"] == NORTH
    assert roles(read)["IRCP"]["who"]["reference"] == f"{ehr}/Practitioner/dr-1"
    assert roles(read)["IRCP"]["requestor"] is True
    assert patients(read) == [f"{ehr}/{ANNA}"]
    assert read["entity"][1]["what"]["reference"] == path

    searched = await events(endpoint, "search-1")
    assert sorted(patients(one)[0] for one in searched) == [f"{ehr}/{ANNA}", f"{ehr}/{BERT}"]
    for one in searched:
        assert (one["subtype"][0]["code"], one["action"], len(patients(one))) == ("search", "E", 1)
        assert roles(one)["110153"]["who"]["identifier"]["value"] == "client"
        query = next(entity["query"] for entity in one["entity"] if "query" in entity)
        assert base64.b64decode(query).decode() == "Composition?subject=Patient%2Fanna%2CPatient%2Fbert"
        assert validated(one)
    (vread,) = await events(endpoint, "vread-1")
    assert vread["entity"][1]["what"]["reference"] == f"{path}/_history/1"
    (history,) = await events(endpoint, "history-1")
    assert history["subtype"][0]["code"] == "history-instance"


async def test_a_refusal_to_a_known_client_is_recorded_and_one_to_a_stranger_is_not(endpoint):
    await endpoint.ask("Composition", "system/Device.rs", headers={"X-Request-Id": "refused-1"})
    await endpoint.ask("Composition", token="x", headers={"X-Request-Id": "stranger-1"})
    (refused,) = await events(endpoint, "refused-1")
    assert (refused["outcome"], patients(refused)) == ("4", [])
    assert await events(endpoint, "stranger-1") == []


async def test_a_patients_app_sees_the_accesses_to_that_patient_only(endpoint):
    await endpoint.ask("Composition", ALL)
    answer = await endpoint.ask("AuditEvent?_count=100", "patient/AuditEvent.rs", claims={"patient": "anna"})
    found = [one["resource"] for one in answer.json()["entry"]]
    assert len(found) >= 2
    assert {name.rpartition("/")[2] for one in found for name in patients(one)} == {"anna"}


async def test_what_cannot_be_recorded_is_not_shown(endpoint, monkeypatch):
    async def down(*_, **__):
        raise SecretStoreUnavailable

    path = f"Composition/{(await endpoint.ask('Composition', ALL)).json()['entry'][0]['resource']['id']}"
    monkeypatch.setattr(endpoint.container.cipher, "seal", down)
    for one in (path, "Composition", f"{path}/_history"):
        answer = await endpoint.ask(one, ALL)
        assert answer.status_code == 503
        assert "entry" not in answer.json()


def batch(*urls, method="GET", kind="batch"):
    entries = [{"request": {"method": method, "url": url}} for url in urls]
    return json.dumps({"resourceType": "Bundle", "type": kind, "entry": entries}).encode()


async def test_a_batch_answers_each_entry_by_itself(endpoint):
    one = (await endpoint.ask("Composition?patient=anna", ALL)).json()["entry"][0]["resource"]
    path = f"Composition/{one['id']}"
    content = batch(
        path, "Composition?patient=bert", f"{path}/_history/1", "Composition/x", "Device", "Patient/anna",
        f"{NORTH}/{path}", f"/{path}", "Composition?x=1", "../south/Composition", "Composition/_search", "$draft", "",
    )  # fmt: skip
    scope = "system/Composition.rs"
    answer = await endpoint.ask("", scope, method="POST", content=content, headers=FHIR)
    assert answer.status_code == 200
    bundle = answer.json()
    assert validated(bundle) and bundle["type"] == "batch-response"
    statuses = [entry["response"]["status"][:3] for entry in bundle["entry"]]
    assert statuses == ["200", "200", "200", "404", "403", "404", "404", "404", "400", "404", "404", "404", "404"]
    assert bundle["entry"][0]["response"]["etag"] == 'W/"2"'
    assert bundle["entry"][1]["resource"]["total"] == 1
    assert all(("outcome" in entry["response"]) == ("resource" not in entry) for entry in bundle["entry"])


async def test_what_is_no_batch_of_reads_is_refused(endpoint):
    async def post(content, headers=FHIR, scope="system/*.cruds"):
        return await endpoint.ask("", scope, method="POST", content=content, headers=headers)

    for content, status in (
        (b"", 400), (b"{", 400), (b"[]", 400), (b"[" * 100_000, 400), (b'{"resourceType":"Patient"}', 400),
        (batch("Composition", kind="transaction"), 400), (batch(*["Composition/x"] * 51), 400),
        (b'{"resourceType":"Bundle","type":"batch","entry":{}}', 400), (batch(), 200),
    ):  # fmt: skip
        assert (await post(content)).status_code == status, content[:60]
    assert (await post(batch(), headers={"Content-Type": "text/plain"})).status_code == 415
    for method in ("POST", "PUT", "DELETE", "PATCH", "HEAD", "get", ""):
        (one,) = (await post(batch("Composition/x", method=method))).json()["entry"]
        assert one["response"]["status"].startswith("405")
    odd = b'{"resourceType":"Bundle","type":"batch","entry":[1, {}, {"request": {"method": "GET", "url": 7}}]}'
    assert [one["response"]["status"][:3] for one in (await post(odd)).json()["entry"]] == ["400"] * 3
    conditional = {"request": {"method": "GET", "url": "Device", "ifNoneMatch": 'W/"1"'}}
    device = (await endpoint.ask("Device", ALL)).json()["entry"][0]["resource"]["id"]
    conditional["request"]["url"] = f"Device/{device}"
    content = json.dumps({"resourceType": "Bundle", "type": "batch", "entry": [conditional]}).encode()
    (one,) = (await post(content)).json()["entry"]
    assert one["response"]["status"].startswith("304") and "resource" not in one
