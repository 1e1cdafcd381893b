"""Read, vread, history, conditions, forms of answers, and what is refused."""

import io
import json
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest
import structlog
from fhir_support.r4 import validated

from .conftest import ANNA, NORTH, TYPES

pytestmark = pytest.mark.asyncio(loop_scope="module")
ALL = "system/*.rs"


async def the_composition(endpoint, patient=ANNA):
    answer = await endpoint.ask(f"Composition?patient={patient}", ALL)
    (entry,) = answer.json()["entry"]
    return entry["resource"]


def references(value):
    """Yield every literal reference in a resource."""
    if isinstance(value, list):
        for one in value:
            yield from references(one)
    elif isinstance(value, dict):
        if isinstance(value.get("reference"), str) and "resourceType" not in value:
            yield value["reference"]
        for one in value.values():
            yield from references(one)


def has_null(value):
    if isinstance(value, dict):
        return any(has_null(one) for one in value.values())
    return any(has_null(one) for one in value) if isinstance(value, list) else value is None


@pytest.mark.requirement(
    "c6", "", "Every resource we return validates against R4 (structure, required bindings, invariants); references "
    "resolve; JSON has no nulls.",
)  # fmt: skip
async def test_everything_returned_is_valid_has_no_nulls_and_its_references_resolve(endpoint):
    token = endpoint.token(ALL)
    ehr = endpoint.container.ehrs.get("north").fhir_base
    ours, theirs = set(), set()
    for kind in TYPES:
        answer = await endpoint.ask(f"{kind}?_count=100", token=token)
        bundle = answer.json()
        assert bundle["total"] >= 1, kind
        assert not has_null(bundle)
        assert validated(bundle)
        for entry in bundle["entry"]:
            resource = entry["resource"]
            assert validated(resource)
            assert entry["fullUrl"] == f"{NORTH}/{kind}/{resource['id']}"
            for reference in references(resource):
                (theirs if reference.startswith("http") else ours).add(reference)
    assert ours and theirs
    for reference in sorted(ours):
        assert (await endpoint.ask(reference, token=token)).status_code == 200, reference
    assert all(re.fullmatch(rf"{re.escape(ehr)}/[A-Z][A-Za-z]+/[A-Za-z0-9.-]+(/_history/\w+)?", one) for one in theirs)


async def test_a_signed_document_has_two_versions_and_keeps_its_label(endpoint):
    composition = await the_composition(endpoint)
    assert (composition["status"], composition["meta"]["versionId"]) == ("final", "2")
    path = f"Composition/{composition['id']}"
    first = (await endpoint.ask(f"{path}/_history/1", ALL)).json()
    assert (first["status"], first["meta"]["versionId"]) == ("preliminary", "1")
    assert first["meta"]["lastUpdated"] < composition["meta"]["lastUpdated"]
    for version in (first, composition):
        assert [one["code"] for one in version["meta"]["security"]] == ["AIAST"]
    author = composition["author"][0]["reference"]
    assert (await endpoint.ask(author, ALL)).json()["resourceType"] == "Device"
    provenances = (await endpoint.ask(f"Provenance?target={path}", ALL)).json()
    assert provenances["total"] == 2


async def test_history_shows_the_newest_first_and_since_when(endpoint):
    composition = await the_composition(endpoint)
    path = f"Composition/{composition['id']}/_history"
    bundle = (await endpoint.ask(path, ALL)).json()
    assert validated(bundle)
    assert (bundle["type"], bundle["total"]) == ("history", 2)
    assert [one["resource"]["meta"]["versionId"] for one in bundle["entry"]] == ["2", "1"]
    assert [one["response"]["status"] for one in bundle["entry"]] == ["200", "201"]
    assert bundle["entry"][0]["response"]["etag"] == 'W/"2"'
    since = composition["meta"]["lastUpdated"]
    assert (await endpoint.ask(f"{path}?_since={since}", ALL)).json()["total"] == 1
    assert (await endpoint.ask(f"{path}?_since=2027", ALL)).json()["total"] == 0
    one = (await endpoint.ask(f"{path}?_count=1", ALL)).json()
    (following,) = [link["url"] for link in one["link"] if link["relation"] == "next"]
    other = (await endpoint.ask(following, ALL)).json()
    versions = [entry["resource"]["meta"]["versionId"] for bundle in (one, other) for entry in bundle["entry"]]
    assert versions == ["2", "1"]
    of_type = (await endpoint.ask("Composition/_history", ALL)).json()
    assert of_type["total"] == 3
    for wrong in ("_since=yesterday", "_count=x", "_at=2026", "_list=1", "x=y"):
        assert (await endpoint.ask(f"{path}?{wrong}", ALL)).status_code == 400
    lenient = await endpoint.ask(f"{path}?x=y", ALL, headers={"Prefer": "handling=lenient"})
    assert lenient.json()["total"] == 2


async def test_a_reader_who_has_the_version_gets_nothing_again(endpoint):
    path = f"Composition/{(await the_composition(endpoint))['id']}"
    answer = await endpoint.ask(path, ALL)
    assert answer.headers["etag"] == 'W/"2"'
    modified = answer.headers["last-modified"]
    assert parsedate_to_datetime(modified) <= datetime.now(UTC)
    for condition, status in (
        ({"If-None-Match": 'W/"2"'}, 304), ({"If-None-Match": '"2"'}, 304), ({"If-None-Match": 'W/"1", W/"2"'}, 304),
        ({"If-None-Match": "*"}, 304), ({"If-None-Match": 'W/"1"'}, 200), ({"If-None-Match": "2"}, 200),
        ({"If-Modified-Since": modified}, 304), ({"If-Modified-Since": "Mon, 01 Jan 2024 00:00:00 GMT"}, 200),
        ({"If-Modified-Since": "yesterday"}, 200),
        ({"If-None-Match": 'W/"1"', "If-Modified-Since": modified}, 200),
    ):  # fmt: skip
        for method in ("GET", "HEAD"):
            answer = await endpoint.ask(path, ALL, method=method, headers=condition)
            assert answer.status_code == status, condition
            assert bool(answer.content) == (status == 200 and method == "GET")
            assert answer.headers["etag"] == 'W/"2"'


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("Composition/unknown", 404), ("Composition/unknown/_history", 404), ("Patient/anna", 404), ("Patient", 404),
        ("Composition/{0}/_history/3", 404), ("Composition/{0}/_history/0", 404), ("Composition/{0}/_history/x", 404),
        ("Composition/{0}/_history/99999999999999999999", 404), ("Device/{0}", 404), ("composition/{0}", 404),
        ("Composition/{0}/meta", 404), ("Composition/{0}/_history/1/x", 404), ("Composition/%2e%2e", 404),
        ("Composition/{0}?status=final", 400), ("Composition/{0}?x=1", 400), ("", 400), ("?_type=Composition", 400),
        ("_history", 404), ("$everything", 404), ("Composition/{0}/$document", 404), ("Composition/%00", 404),
        ("Composition/" + "x" * 300, 404), ("Composition/%FF", 404), ("Composition?status=%FF", 400),
    ],
)  # fmt: skip
async def test_what_is_not_there_is_not_found_and_what_is_not_meant_is_refused(endpoint, path, status):
    identifier = (await the_composition(endpoint))["id"]
    answer = await endpoint.ask(path.format(identifier), ALL)
    assert answer.status_code == status, answer.text
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert validated(outcome)


@pytest.mark.parametrize(
    ("accept", "query", "status"),
    [
        (None, "", 200), ("*/*", "", 200), ("application/fhir+json", "", 200), ("application/json", "", 200),
        ("application/fhir+json; fhirVersion=4.0", "", 200), ("text/html, */*;q=0.1", "", 200),
        ("application/fhir+xml, application/fhir+json;q=0.5", "", 200), ("application/fhir+xml", "", 406),
        ("text/turtle", "", 406), ("text/html", "", 406), ("application/fhir+json; fhirVersion=5.0", "", 406),
        ("application/json;q=0", "", 406), ("application/fhir+xml", "?_format=json", 200), ("", "", 200),
        ("application/fhir+json", "?_format=xml", 406), (None, "?_format=application/fhir+xml", 406),
        (None, "?_format=application/fhir%2Bjson", 200), (None, "?_format=application/fhir+json", 200),
        (None, "?_format=json&_pretty=true", 200),
    ],
)  # fmt: skip
async def test_json_of_r4_is_spoken_and_nothing_else(endpoint, accept, query, status):
    identifier = (await the_composition(endpoint))["id"]
    headers = {} if accept is None else {"Accept": accept}
    for path in (f"Composition/{identifier}", "Composition", "metadata"):
        answer = await endpoint.ask(f"{path}{query}", ALL, headers=headers)
        assert answer.status_code == status, (path, answer.text)
        assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "Composition"), ("PUT", "Composition/x"), ("PATCH", "Composition/x"), ("DELETE", "Composition/x"),
        ("PUT", "Composition?identifier=x"), ("PATCH", "Composition?identifier=x"),
        ("DELETE", "Composition?identifier=x"),
        ("POST", "Patient"), ("DELETE", "AuditEvent/x"), ("PUT", "AuditEvent/x"),
    ],
)  # fmt: skip
async def test_nothing_can_be_written_whatever_the_scopes(endpoint, method, path):
    answer = await endpoint.ask(path, "system/*.cruds", method=method, content=b"{}")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    assert answer.json()["issue"][0]["code"] == "not-supported"


@pytest.mark.requirement(
    "c1", "hl7.fhir.uv.smart-app-launch_2.2.0@17",
    "For requests from a client’s registered origin(s), CORS configuration permits access to the token endpoint "
    "and to FHIR REST API endpoints",
)  # fmt: skip
async def test_a_browser_of_any_origin_may_ask(endpoint):
    origin = {"Origin": "https://app.example.org"}
    preflight = {**origin, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    for path in ("Composition", "Composition/x", "metadata", ".well-known/smart-configuration", ""):
        answer = await endpoint.ask(path, method="OPTIONS", headers=preflight)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "Authorization" in answer.headers["access-control-allow-headers"]
    answer = await endpoint.ask("Composition", ALL, headers=origin)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    refused = await endpoint.ask("Composition", headers=origin)
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "*")
    elsewhere = await endpoint.http.get("https://preceptor.example.org/healthz", headers=origin)
    assert "access-control-allow-origin" not in elsewhere.headers


async def test_a_part_of_a_resource_says_that_it_is_one(endpoint):
    composition = await the_composition(endpoint)
    path = f"Composition/{composition['id']}"
    for query, has, lacks in (
        ("_summary=true", {"title", "subject"}, {"section", "text"}),
        ("_summary=text", {"text", "title", "status"}, {"section", "subject"}),
        ("_summary=data", {"section"}, {"text"}),
        ("_elements=subject,encounter", {"subject", "encounter", "status", "author"}, {"section", "text"}),
        ("_summary=false", {"section", "text"}, set()),
    ):
        for one in (
            (await endpoint.ask(f"{path}?{query}", ALL)).json(),
            (await endpoint.ask(f"Composition?_id={composition['id']}&{query}", ALL)).json()["entry"][0]["resource"],
        ):
            assert has <= one.keys() and not lacks & one.keys(), query
            assert validated(one)
            marked = any(tag["code"] == "SUBSETTED" for tag in one["meta"].get("tag", []))
            assert marked == (query != "_summary=false")
    for kind in TYPES:
        for query in ("_summary=true", "_summary=text", "_elements=meta"):
            for entry in (await endpoint.ask(f"{kind}?{query}", ALL)).json()["entry"]:
                assert validated(entry["resource"])


@pytest.fixture
def log_lines():
    lines = io.StringIO()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(lines))
    yield lines
    structlog.reset_defaults()


async def test_neither_log_nor_refusal_says_what_was_sent(endpoint, log_lines):
    for path in (
        "Composition?Zebediah=x",
        "Composition?status=Zebediah&Zebediah%20Quill=x",
        "Zebediah",
        "Task/Zebediah",
    ):
        answer = await endpoint.ask(path, ALL)
        assert answer.status_code >= 400
        assert "Zebediah" not in json.dumps(answer.json())
    assert (await endpoint.ask("Composition?patient=Zebediah", ALL)).status_code == 200
    logged = log_lines.getvalue()
    assert "request.served" in logged and "Zebediah" not in logged
