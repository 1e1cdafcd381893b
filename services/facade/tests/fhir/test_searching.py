"""Search: every parameter, includes, pages, and what is refused rather than guessed."""

import base64
from collections import Counter
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import pytest_asyncio
from facade.fhir.served import COMMON, SERVED
from fhir_support.r4 import validated

from .conftest import ANNA, BERT, NORTH, SOUTH, TYPES

pytestmark = pytest.mark.asyncio(loop_scope="module")
ALL = "system/*.rs"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def known(endpoint):
    """Ids to search for, by name."""
    (anna,) = (await endpoint.ask(f"Composition?patient={ANNA}", ALL)).json()["entry"]
    (device,) = (await endpoint.ask("Device", ALL)).json()["entry"]
    return {
        "anna": anna["resource"]["id"],
        "device": device["resource"]["id"],
        "ehr": endpoint.container.ehrs.get("north").fhir_base,
        "identifier": anna["resource"]["identifier"]["value"],
        "updated": anna["resource"]["meta"]["lastUpdated"],
    }


CASES = [
    ("Composition", "", 2), ("Composition", "patient=anna", 1), ("Composition", "patient=Patient/anna", 1),
    ("Composition", "patient={ehr}/Patient/anna", 1), ("Composition", "patient:Patient=anna", 1),
    ("Composition", "subject=Patient/anna,Patient/bert", 2), ("Composition", "subject:Patient=bert", 1),
    ("Composition", "patient=Patient/carl", 0), ("Composition", "patient=https://evil.example/Patient/anna", 0),
    ("Composition", "encounter=Encounter/stay-anna", 1), ("Composition", "status=final", 1),
    ("Composition", "status=final,preliminary", 2), ("Composition", "status=final&status=preliminary", 0),
    ("Composition", "type=8653-8", 2), ("Composition", "type=http://loinc.org|8653-8", 2),
    ("Composition", "type=http://loinc.org|", 2), ("Composition", "type=|8653-8", 0), ("Composition", "type=8653", 0),
    ("Composition", "section=10183-2", 2), ("Composition", "author=Device/{device}", 2),
    ("Composition", "author={device}", 2),
    ("Composition", "author={base}/Device/{device}", 2), ("Composition", "author={ehr}/Device/{device}", 0),
    ("Composition", "identifier={identifier}", 1), ("Composition", "identifier=urn:ietf:rfc:3986|{identifier}", 1),
    ("Composition", "attester=Practitioner/dr-1", 1), ("Composition", "confidentiality=N", 2),
    ("Composition", "_id={anna}", 1), ("Composition", "_id={anna},x", 1), ("Composition", "_id=x", 0),
    ("Composition", "_security=AIAST", 2), ("Composition", "_profile=x", 0),
    ("Composition", "date=2026-11-24", 2), ("Composition", "date=2026", 2), ("Composition", "date=2026-11-25", 0),
    ("Composition", "date=ge2026-11-24&date=lt2026-11-25", 2), ("Composition", "date=gt2026-11-24T10:35:00Z", 1),
    ("Composition", "date=lt2026-11-24T10:35:00Z", 1), ("Composition", "date=ne2026-11-24", 0),
    ("Composition", "date=sa2026-11-23", 2), ("Composition", "date=eb2026-11-24", 0),
    ("Composition", "date=le2026-11-24", 2),
    ("Composition", "date=2026-11-24T11:30:00%2B01:00", 1), ("Composition", "date=2026-11-24T11:30:00+01:00", 1),
    ("Composition", "_lastUpdated=gt2026-11-24T10:35:00Z", 1), ("Composition", "_lastUpdated=eq{updated}", 1),
    ("Composition", "_lastUpdated=lt2026-11-24T10:35:00Z", 1), ("Composition", "_lastUpdated=2026-11", 2),
    ("Composition", "status=", 2), ("Composition", "entry=DetectedIssue/x", 0),
    ("DocumentReference", "category=clinical-note&contenttype=text/plain;%20charset=utf-8", 2),
    ("DocumentReference", "authenticator=Practitioner/dr-1", 1), ("DocumentReference", "related=Composition/{anna}", 1),
    ("DocumentReference", "language=en", 2), ("DocumentReference", "security-label=x", 0),
    ("DetectedIssue", "code=DOSE", 2), ("DetectedIssue", "patient=anna&code=DOSE", 1), ("DetectedIssue", "", 6),
    ("DetectedIssue", "implicated=MedicationRequest/m-1", 4), ("DetectedIssue", "identified=2026-11-24", 6),
    ("DetectedIssue", "author=Device/{device}", 6),
    ("RiskAssessment", "risk=urn:esi|3", 1), ("RiskAssessment", "performer=Device/{device}&date=2026-11-24", 2),
    ("RiskAssessment", "patient=bert", 1), ("RiskAssessment", "condition=x&method=y", 0),
    ("Provenance", "target=Composition/{anna}", 2), ("Provenance", "agent-type=verifier", 1),
    ("Provenance", "agent=Device/{device}", 2), ("Provenance", "agent=Practitioner/dr-1", 1),
    ("Provenance", "entity=Condition/c-1", 2), ("Provenance", "recorded=ge2026-11-24T10:40:00Z", 1),
    ("Provenance", "when=2026-11-24&_tag=https://preceptor.health/fhir/CodeSystem/effect|", 3),
    ("Provenance", "patient=anna", 0),
    ("AuditEvent", "action=C&entity=Composition/{anna}", 1), ("AuditEvent", "subtype=update&patient=anna", 1),
    ("AuditEvent", "agent=Practitioner/dr-1", 1), ("AuditEvent", "type=rest&action=U&date=2026-11-24", 1),
    ("Task", "patient=anna&status=completed", 1), ("Task", "code=discharge-instructions", 2),
    ("Task", "subject=bert", 1),
    ("Task", "focus=Encounter/stay-bert", 1), ("Task", "authored-on=2026-11-24&modified=2026-11-24&intent=order", 2),
    ("Device", "type=language-model&status=active", 1), ("Device", "identifier=x", 0),
]  # fmt: skip


async def test_every_parameter_finds_what_it_should_by_get_and_by_post(endpoint, known):
    token, wrong = endpoint.token(ALL), []
    for kind, query, total in CASES:
        written = query.format(base=NORTH, **known)
        got = await endpoint.ask(f"{kind}?{written}", token=token)
        posted = await endpoint.ask(f"{kind}/_search", token=token, method="POST", content=written, headers=FORM)
        for answer in (got, posted):
            if answer.status_code != 200 or answer.json()["total"] != total:
                wrong.append((kind, query, answer.text[:100]))
    assert wrong == []


async def test_search_and_granular_scopes_read_a_parameter_in_the_same_way(endpoint, known):
    wrong = []
    for kind, query, total in CASES:
        if kind == "AuditEvent" or "&" in query or not query.partition("=")[2] or "date=" in query or "_last" in query:
            continue
        written = query.format(base=NORTH, **known)
        answer = await endpoint.ask(f"{kind}?_count=100", f"system/{kind}.rs?{written}")
        found = answer.json().get("total")
        for entry in answer.json().get("entry", [])[:1]:
            path = f"{kind}/{entry['resource']['id']}"
            assert (await endpoint.ask(path, f"system/{kind}.rs?{written}")).status_code == 200
        if found != total:
            wrong.append((kind, query, found, total))
    assert wrong == []


async def test_every_parameter_we_serve_is_tried():
    tried = {(kind, name.partition(":")[0]) for kind, query, _ in CASES for name in parse_qs(query, True)}
    untried = {
        (kind, code)
        for kind, served in SERVED.items()
        for code in served.parameters
        if (kind, code) not in tried and code not in ("identifier", "category", "encounter", "date", "status", "type")
    }
    allowed = {
        ("AuditEvent", "agent-role"), ("AuditEvent", "entity-role"), ("AuditEvent", "entity-type"),
        ("AuditEvent", "outcome"), ("Provenance", "agent-role"), ("Provenance", "signature-type"),
        ("Task", "based-on"), ("Task", "owner"), ("Task", "priority"), ("Task", "requester"),
        ("DocumentReference", "author"), ("DocumentReference", "patient"), ("DocumentReference", "subject"),
        ("RiskAssessment", "subject"),
    }  # fmt: skip
    assert untried - allowed == set()
    assert COMMON.keys() == {"_id", "_lastUpdated", "_tag", "_security", "_profile"}


REFUSED = [
    "name=x", "status:not=final", "status:text=final", "subject.name=x", "subject:Patient.name=x",
    "patient.identifier=x",
    "_has:Provenance:target:agent=x", "_sort=date", "_sort=_lastUpdated,date", "_include=*", "_include=Composition:*",
    "_include=Composition:subject", "_include=Composition:author:Practitioner", "_include=Provenance:target",
    "_include:iterate=Composition:author", "_revinclude=Task:patient", "_revinclude=Observation:subject",
    "_revinclude=Provenance:target:Task", "_filter=status eq final", "_query=x", "_text=x", "_content=x", "_list=x",
    "_type=Composition", "_contained=true", "_source=x", "date=ap2026", "title=x", "status:missing=true",
    "Status=final",
    "patient:Practitioner.name=x", "subject:identifier=x", "_id:not=x", "_count:x=1", "_language=en",
]  # fmt: skip
INVALID = [
    "_count=x", "_count=-1", "_summary=yes", "_total=all", "_elements=a b", "date=yesterday", "date=2026-13-01",
    "date=20261124", "date=gt", "_id=a b", "_id=a/b", "type=|", "status=final,", "status=,", "status=a\\",
    "subject:Practitioner=Patient/anna", "_lastUpdated=x", "date=2026-11-24T25:00:00Z", "_page=x&status=final",
    "status=" + ",".join("x" * 60),
]  # fmt: skip


@pytest.mark.parametrize("query", [*REFUSED, *INVALID])
async def test_what_is_not_understood_is_refused(endpoint, query):
    answer = await endpoint.ask(f"Composition?{quote(query, safe='=&')}", ALL)
    assert answer.status_code == 400, answer.text
    code = answer.json()["issue"][0]["code"]
    assert code == ("not-supported" if query in REFUSED else "invalid")


async def test_lenient_handling_leaves_out_what_is_not_supported_and_says_so_in_the_self_link(endpoint):
    lenient = {"Prefer": "handling=lenient"}
    answer = await endpoint.ask("Composition?name=x&status=final&_sort=date", ALL, headers=lenient)
    assert answer.json()["total"] == 1
    assert answer.json()["link"] == [{"relation": "self", "url": f"{NORTH}/Composition?status=final"}]
    for query in INVALID:
        if query != "_page=x&status=final":
            answer = await endpoint.ask(f"Composition?{quote(query, safe='=&')}", ALL, headers=lenient)
            assert answer.status_code == 400, query
    assert (await endpoint.ask("Composition", ALL, headers={"Prefer": "handling=whatever"})).status_code == 400
    assert (await endpoint.ask("Composition?name=x", ALL, headers={"Prefer": "handling=strict"})).status_code == 400
    assert (await endpoint.ask("Composition", ALL, headers={"Prefer": "return=minimal"})).status_code == 200


async def test_a_search_by_post_is_a_form(endpoint):
    for headers, status in (
        (FORM, 200), ({"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, 200),
        ({"Content-Type": "application/fhir+json"}, 415), ({}, 415), ({"Content-Type": "multipart/form-data"}, 415),
    ):  # fmt: skip
        answer = await endpoint.ask("Composition/_search", ALL, method="POST", content="status=final", headers=headers)
        assert answer.status_code == status
    both = await endpoint.ask(
        "Composition/_search?status=final", ALL, method="POST", content="patient=bert", headers=FORM
    )
    assert both.json()["total"] == 0
    big = await endpoint.ask("Composition/_search", ALL, method="POST", content="x" * 1_100_000, headers=FORM)
    assert big.status_code == 413


def modes(answer):
    assert answer.status_code == 200, answer.text
    found = answer.json().get("entry", [])
    names = [entry["fullUrl"] for entry in found]
    assert len(set(names)) == len(names)
    assert validated(answer.json())
    return Counter((entry["search"]["mode"], entry["resource"]["resourceType"]) for entry in found)


async def test_includes_bring_along_what_is_ours_and_may_be_seen(endpoint, known):
    one = f"Composition?_id={known['anna']}"
    both = f"{one}&_include=Composition:entry&_include=Composition:author&_revinclude=Provenance:target"
    assert modes(await endpoint.ask(both, ALL)) == {
        ("match", "Composition"): 1, ("include", "DetectedIssue"): 3, ("include", "Device"): 1,
        ("include", "Provenance"): 2,
    }  # fmt: skip
    assert (await endpoint.ask(both, ALL)).json()["total"] == 1
    typed = f"{one}&_include=Composition:entry:DetectedIssue"
    for scope, included in (
        ("system/Composition.rs system/DetectedIssue.r", 3),
        ("system/Composition.rs system/DetectedIssue.r?code=DOSE", 1),
        ("system/Composition.rs patient/DetectedIssue.r", 0),
        ("patient/Composition.rs patient/DetectedIssue.rs", 3),
    ):
        claims = {"patient": "bert" if included == 0 else "anna"}
        found = modes(await endpoint.ask(typed, scope, claims=claims))
        assert found[("include", "DetectedIssue")] == included, scope
    for forbidden in (typed, f"{one}&_revinclude=Provenance:target"):
        scope = "system/Composition.rs system/DetectedIssue.s system/Provenance.r"
        assert (await endpoint.ask(forbidden, scope)).status_code == 403
    untyped = await endpoint.ask(f"{one}&_include=Composition:entry", "system/Composition.rs")
    assert modes(untyped) == {("match", "Composition"): 1}
    back = await endpoint.ask("DetectedIssue?patient=anna&_revinclude=Composition:entry:DetectedIssue", ALL)
    assert modes(back) == {("match", "DetectedIssue"): 3, ("include", "Composition"): 1}
    task = await endpoint.ask("Task?patient=anna&_include=Task:focus", ALL)
    assert modes(task) == {("match", "Task"): 1}


def following(answer):
    return next((link["url"] for link in answer.json()["link"] if link["relation"] == "next"), None)


async def test_pages_lead_through_everything_once_and_show_nothing_of_the_search(endpoint):
    for query, descending in (("DetectedIssue?code=DOSE,DRG&_count=1", False), ("DetectedIssue?_count=4", False),
                              ("DetectedIssue?_count=5&_sort=-_lastUpdated", True)):  # fmt: skip
        answer = await endpoint.ask(query, ALL)
        total, seen = answer.json()["total"], []
        while True:
            seen += [
                (entry["resource"]["meta"]["lastUpdated"], entry["resource"]["id"]) for entry in answer.json()["entry"]
            ]
            url = following(answer)
            if url is None:
                break
            assert answer.json()["total"] == total
            assert set(parse_qs(urlsplit(url).query)) == {"_page"}
            assert "DOSE" not in url and url.startswith(f"{NORTH}/DetectedIssue?_page=")
            answer = await endpoint.ask(url, ALL)
        assert len(seen) == len({name for _, name in seen}) == total
        assert not descending or seen == sorted(seen, key=lambda one: one[0], reverse=True)
    counted = (await endpoint.ask("DetectedIssue?_summary=count", ALL)).json()
    assert (counted["total"], "entry" in counted) == (6, False)
    assert (await endpoint.ask("DetectedIssue?_count=0", ALL)).json()["total"] == 6
    assert "total" not in (await endpoint.ask("DetectedIssue?_total=none", ALL)).json()
    assert (await endpoint.ask("DetectedIssue?_count=100000", ALL)).status_code == 200


async def test_a_page_belongs_to_the_access_that_began_it(endpoint):
    scope, patient = "patient/DetectedIssue.rs", {"patient": "anna"}
    first = await endpoint.ask("DetectedIssue?_count=1", scope, claims=patient)
    url = following(first)
    again = await endpoint.ask(url, scope, claims=patient)
    assert again.status_code == 200  # a new token of the same access goes on
    page = url.partition("_page=")[2]
    raw = base64.urlsafe_b64decode(page + "=" * (-len(page) % 4))
    flipped = base64.urlsafe_b64encode(raw[:-1] + bytes([raw[-1] ^ 1])).decode().rstrip("=")
    for path, scope_of, claims in (
        (url, scope, {"patient": "bert"}), (url, "system/*.rs", {}), (url, "system/*.rs", patient),
        (url, scope, {**patient, "client_id": "another"}), (url, scope, {**patient, "sub": "another"}),
        (url, f"{scope} system/Task.r", patient), (url, scope, {**patient, "fhirUser": "Practitioner/x"}),
        (f"DetectedIssue?_page={flipped}", scope, patient), ("DetectedIssue?_page=x", scope, patient),
        ("DetectedIssue?_page=" + "A" * 9_000, scope, patient), ("DetectedIssue?_page=%C3%A4", scope, patient),
        (f"DetectedIssue/_history?_page={page}", scope, patient),
        (f"Composition?_page={page}", "patient/*.rs", patient),
    ):  # fmt: skip
        answer = await endpoint.ask(path, scope_of, claims=claims)
        assert answer.status_code in (403, 404), (path, answer.text)
    south = await endpoint.ask(f"DetectedIssue?_page={page}", scope, base=SOUTH, claims=patient)
    assert south.status_code == 404


async def test_a_page_expires(endpoint, monkeypatch):
    monkeypatch.setattr("facade.fhir.pages._LIFETIME_S", -1)
    url = following(await endpoint.ask("DetectedIssue?_count=1", ALL))
    answer = await endpoint.ask(url, ALL)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (404, "not-found")


async def test_the_right_to_search_is_not_the_right_to_read(endpoint, known):
    path = f"Composition/{known['anna']}"
    assert (await endpoint.ask(path, "system/Composition.s")).status_code == 403
    assert (await endpoint.ask("Composition", "system/Composition.r")).status_code == 403
    for kind in TYPES:
        assert (await endpoint.ask(kind, f"system/{kind}.cud")).status_code == 403


async def test_bert_is_not_found_with_annas_token(endpoint):
    for query in (f"patient={BERT}", "patient=bert", "_id=x", f"encounter=Encounter/stay-bert&subject={BERT}"):
        answer = await endpoint.ask(f"Composition?{query}", "patient/*.rs", claims={"patient": "anna"})
        assert (answer.status_code, answer.json()["total"]) == (200, 0)
