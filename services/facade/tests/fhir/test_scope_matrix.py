"""Every kind of scope against every way to see a resource: no answer ever holds one that the token may not see.

What a token may see is worked out here by other means than the server's: from the stored resources themselves, by plain
rules. The rows are made from contexts, syntaxes, types, granular parameters and patients.
"""

import itertools
import json
import random
import re
from urllib.parse import quote

import pytest
from facade.fhir.served import SERVED

from .conftest import ANNA, BERT, NORTH, SOUTH, TYPES

pytestmark = pytest.mark.asyncio(loop_scope="module")

AIAST = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue|AIAST"
DOSE = "http://terminology.hl7.org/CodeSystem/v3-ActCode|DOSE"
GRANULAR = {
    "Composition": ("status=final", f"_security={AIAST}", "type=8653-8&status=preliminary"),
    "DocumentReference": ("status=current", "category=clinical-note"),
    "DetectedIssue": (f"code={DOSE}", "code=DRG,DOSE"),
    "RiskAssessment": ("risk=urn:esi|2",),
    "Provenance": ("agent-type=verifier", "agent-type=assembler"),
    "AuditEvent": ("action=C", "subtype=update"),
    "Task": ("status=completed", "status=failed"),
    "Device": ("status=active",),
}
PATIENTS = (None, "anna", "carl", "nobody", "Patient/bert")


def matches(resource, query):
    """Whether a resource meets a granular scope, by looking for its codes where they stand."""
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        element = {"agent-type": "agent", "risk": "prediction", "_security": "meta"}.get(name, name)
        inside = resource.get(element, {})
        if name == "agent-type":
            inside = [agent["type"] for agent in inside]
        if name == "_security":
            inside = inside.get("security", [])
        text = json.dumps(inside)
        codes = set(re.findall(r'"code": "([^"]+)"', text)) | ({inside} if isinstance(inside, str) else set())
        if not any(one.rpartition("|")[2] in codes for one in value.split(",")):
            return False
    return True


def rows():
    """Yield scope, patient claim, and what it lets see: context, type, letters and query."""
    for context, kind in itertools.product(("patient", "user", "system"), (*TYPES, "*")):
        for text, letters in (("read", "rs"), ("write", "cud"), ("*", "cruds"), ("rs", "rs"), ("r", "r"), ("s", "s")):
            yield f"{context}/{kind}.{text}", "bert", [(context, kind, letters, "")]
    for kind, queries in GRANULAR.items():
        for query, context in itertools.product(queries, ("patient", "system")):
            yield f"{context}/{kind}.rs?{query}", "anna", [(context, kind, "rs", query)]
            yield f"{context}/{kind}.r?{query}", "bert", [(context, kind, "r", query)]
    for patient in PATIENTS:
        yield "patient/*.rs", patient, [("patient", "*", "rs", "")]
        yield "patient/Composition.rs user/Device.r", patient, [
            ("patient", "Composition", "rs", ""), ("user", "Device", "r", ""),
        ]  # fmt: skip
    yield "patient/Task.rs system/Task.s?status=failed", "anna", [
        ("patient", "Task", "rs", ""), ("system", "Task", "s", "status=failed"),
    ]  # fmt: skip
    for nothing in (
        "", "openid fhirUser", "patient/Composition.sr", "system/Patient.rs", "system/Observation.rs?category=x",
        "patient/Composition.rs?nonsense=1", "system/Composition.rs?subject.name=x", "system/*.rs?nonsense=1",
    ):  # fmt: skip
        yield nothing, "anna", []


ROWS = list(rows())


class Truth:
    """What there is, and what a row lets be seen of it."""

    def __init__(self, north, foreign, resources):
        self.north = north
        self.foreign = foreign
        self.resources = resources

    def sees(self, one, letter, grants, patient):
        for context, kind, letters, query in grants:
            if letter not in letters or kind not in ("*", one.resource_type):
                continue
            if context == "patient":
                own = f"Patient/{patient.removeprefix('Patient/')}" if patient else None
                if own is None or (one.resource_type != "Device" and own not in one.about):
                    continue
            if not query or matches(one.resource, query):
                return True
        return False


@pytest.fixture(scope="module")
def shared():
    return {}


async def truth_of(endpoint, shared):
    """Read what was put there before the first request: the AuditEvents of these tests come on top."""
    if "truth" not in shared:
        north = [one for kind in TYPES for one in await endpoint.stored("north", kind)]
        south = [one for kind in TYPES for one in await endpoint.stored("south", kind)]
        # The same model is the same Device everywhere; everything else of the south is foreign in the north.
        foreign = {f"{one.resource_type}/{one.id}" for one in south if one.resource_type != "Device"}
        shared["truth"] = Truth(north, foreign, endpoint.container.resources)
    return shared["truth"]


def resources(answer):
    """Return every resource of an answer, also those inside a batch."""
    if answer.status_code != 200:
        return []
    body = answer.json()
    entries = [entry["resource"] for entry in body.get("entry", []) if "resource" in entry]
    if body["resourceType"] != "Bundle":
        return [body]
    return [one for entry in entries for one in (
        [inner["resource"] for inner in entry.get("entry", [])] if entry["resourceType"] == "Bundle" else [entry]
    )]  # fmt: skip


async def test_the_matrix_is_as_long_as_promised():
    assert len(ROWS) >= 200
    assert len({(scope, patient) for scope, patient, _ in ROWS}) == len(ROWS)


@pytest.mark.requirement(
    "c5", "", "patient/ scopes are held to the patient compartment, granular scopes (Observation.rs?category=...) "
    "filter read and search alike.",
)  # fmt: skip
@pytest.mark.requirement(
    "c5", "hl7.fhir.uv.smart-app-launch_2.2.0@136",
    "[When granting p]atient-specific scopes [servers promise to] allow [the client to] access to specific data about "
    "a single patient.",
)  # fmt: skip
@pytest.mark.requirement(
    "c4", "hl7.fhir.uv.smart-app-launch_2.2.0@370",
    "[Servers listing the] `permission-v2` [capability SHALL provide] support for SMARTv2 granular scope syntax",
)  # fmt: skip
@pytest.mark.parametrize("part", range(8))
async def test_search_shows_what_the_scope_allows_and_nothing_else(endpoint, shared, part):
    truth = await truth_of(endpoint, shared)
    for scope, patient, grants in ROWS[part::8]:
        token = endpoint.token(scope, patient=patient)
        kinds = {kind for _, kind, _, _ in grants} - {"*"} or {"Composition", "Provenance"}
        for kind in sorted(kinds & set(TYPES)) + ["Device"] * (part % 2):
            wanted = {
                one.id for one in truth.north if one.resource_type == kind and truth.sees(one, "s", grants, patient)
            }
            allowed = any(
                "s" in letters and name in ("*", kind) and (context != "patient" or patient)
                for context, name, letters, _ in grants
            )
            answer = await endpoint.ask(f"{kind}?_count={100 if part % 4 else 2}", token=token)
            assert answer.status_code == (200 if allowed else 403), (scope, patient, kind)
            found = {one["id"] for one in resources(answer)}
            page = answer
            while kind != "AuditEvent" and (following := next_page(page)) is not None:
                page = await endpoint.ask(following, token=token)
                await see_nothing_foreign(truth, page, grants, patient, "s")
                found |= {one["id"] for one in resources(page)}
            if kind == "AuditEvent":  # ours are in it too
                assert part % 4 == 0 or wanted <= found, (scope, patient)
            else:
                assert found == wanted, (scope, patient, kind)
                assert not allowed or page.json()["total"] == answer.json()["total"] == len(wanted)
            await see_nothing_foreign(truth, answer, grants, patient, "s")


def next_page(answer):
    links = answer.json().get("link", []) if answer.status_code == 200 else []
    return next((link["url"] for link in links if link["relation"] == "next"), None)


async def see_nothing_foreign(truth, answer, grants, patient, letters):
    """No resource of another tenant, and none of a patient the token may not see."""
    known = {f"{one.resource_type}/{one.id}": one for one in truth.north}
    for one in resources(answer):
        name = f"{one['resourceType']}/{one['id']}"
        assert name not in truth.foreign
        if name in known:
            assert any(truth.sees(known[name], letter, grants, patient) for letter in letters), name
        elif one["resourceType"] == "AuditEvent" and all(context == "patient" for context, *_ in grants):
            stored = await truth.resources.get("north", "AuditEvent", one["id"])
            assert f"Patient/{str(patient).removeprefix('Patient/')}" in stored.about


@pytest.mark.requirement(
    "c5", "hl7.fhir.uv.smart-app-launch_2.2.0@130",
    "[B]atch and transaction requests should [SHALL] be validated based on the actual requests within them.",
)  # fmt: skip
@pytest.mark.requirement(
    "c5", "hl7.fhir.uv.smart-app-launch_2.2.0@266",
    "The resource server SHALL validate the access token and ensure … that its scope covers the requested resource",
)  # fmt: skip
@pytest.mark.parametrize("part", range(6))
async def test_no_way_round_leads_to_a_resource_the_scope_does_not_allow(endpoint, shared, part):
    """Read, vread, both histories, POST _search, includes, reverse includes and a batch of them, for every row."""
    truth = await truth_of(endpoint, shared)
    chosen = [one for one in truth.north if one.resource_type != "AuditEvent"]
    for number, (scope, patient, grants) in enumerate(ROWS[part::6]):
        token = endpoint.token(scope, patient=patient)
        # Another resource in each row, so that all of them meet every kind of scope.
        one = chosen[number % len(chosen)]
        name, kind = f"{one.resource_type}/{one.id}", one.resource_type
        others = [
            "Composition?_include=Composition:entry&_include=Composition:author",
            "Composition?_revinclude=Provenance:target&_revinclude=AuditEvent:entity",
            "Provenance?_include=Provenance:target&_include=Provenance:agent:Device",
            f"Task?_include=Task:focus&subject={quote(BERT)}",
            f"DetectedIssue?patient={quote(ANNA)}&_revinclude=Composition:entry",
        ]
        asked = [name, f"{name}/_history/1", f"{name}/_history", f"{kind}/_history?_count=10", f"{kind}?_id={one.id}"]
        asked += [others[number % len(others)], others[(number + 2) % len(others)]]
        bundle = {
            "resourceType": "Bundle",
            "type": "batch",
            "entry": [{"request": {"method": "GET", "url": url}} for url in asked],
        }
        answer = await endpoint.ask(
            "", token=token, method="POST", json=bundle, headers={"Content-Type": "application/fhir+json"}
        )
        assert answer.status_code == 200, answer.text
        await see_nothing_foreign(truth, answer, grants, patient, "rs")
        statuses = [entry["response"]["status"][:3] for entry in answer.json()["entry"]]
        may_read = any(
            "r" in letters and named in ("*", kind) and (context != "patient" or patient)
            for context, named, letters, _ in grants
        )
        expected = "200" if truth.sees(one, "r", grants, patient) else "404" if may_read else "403"
        assert statuses[0] == expected, (scope, patient, name)
        # A granular scope may speak of one version and not of the other.
        if not any(query for *_, query in grants):
            assert statuses[1] == statuses[2] == expected, (scope, patient, name)
        alone = await endpoint.ask(f"{kind}/_search", token=token, method="POST", data={"_id": one.id})
        await see_nothing_foreign(truth, alone, grants, patient, "s")
        assert alone.status_code == int(statuses[4])


@pytest.mark.parametrize("name", ["anna", "bert"])
async def test_a_tenants_resources_are_not_there_for_another(endpoint, shared, name):
    truth = await truth_of(endpoint, shared)
    for one in truth.north:
        path = f"{one.resource_type}/{one.id}"
        if one.resource_type == "Device":  # the same model is the same Device everywhere
            continue
        for ending in ("", "/_history", "/_history/1"):
            assert (await endpoint.ask(path + ending, "system/*.cruds", base=SOUTH)).status_code == 404
    found = await endpoint.ask(f"Composition?patient=Patient/{name}", "system/*.rs", base=SOUTH)
    assert found.json()["total"] == 0


async def test_a_token_of_one_tenant_is_nothing_at_another(endpoint):
    token = endpoint.token("system/*.rs", base=NORTH)
    assert (await endpoint.ask("Composition", token=token, base=SOUTH)).status_code == 401


@pytest.mark.requirement("c5", "", "patient/ scopes are held to the patient compartment.")
@pytest.mark.parametrize("seed", range(4))
async def test_no_question_made_at_random_finds_what_is_anothers(endpoint, shared, seed):
    """Questions put together from every word of the search and from the ids of all patients and tenants."""
    truth = await truth_of(endpoint, shared)
    chance = random.Random(seed)
    names = [f"{one.resource_type}/{one.id}" for one in truth.north] + sorted(truth.foreign)
    ehr = endpoint.container.ehrs.get("north").fhir_base
    values = [
        *names, ANNA, BERT, "Patient/carl", "bert", f"{ehr}/{BERT}", f"{ehr}/Encounter/stay-bert",
        f"{NORTH}/{names[0]}", "2026", "ge2026-11-24", "DOSE", "final,preliminary", "AIAST", "|", "*", "\\,", "",
    ]  # fmt: skip
    modifiers = ("", "", "", ":Patient", ":not", ":missing")

    def question():
        kind, name = chance.choice(TYPES), chance.choice(names)
        words = [
            *SERVED[kind].parameters,
            "_id",
            "_lastUpdated",
            "_tag",
            "subject.name",
            "_has:Provenance:target:agent",
        ]
        pairs = [
            f"{chance.choice(words)}{chance.choice(modifiers)}={quote(chance.choice(values))}"
            for _ in range(chance.randrange(3))
        ]
        pairs += [
            f"{chance.choice(['_include', '_revinclude'])}={source}:{chance.choice(SERVED[source].includes)}"
            for source in chance.choices([one for one in TYPES if SERVED[one].includes], k=chance.randrange(3))
        ]
        pairs += chance.choice([[], ["_count=100"], ["_summary=text"], ["_elements=subject"], ["_sort=-_lastUpdated"]])
        path = chance.choice([kind, kind, kind, name, f"{name}/_history", f"{name}/_history/1", f"{kind}/_history"])
        return f"{path}?{'&'.join(pairs)}" if path == kind else path

    answered = 0
    for scope, grants in (
        ("patient/*.rs", [("patient", "*", "rs", "")]),
        ("patient/Composition.rs patient/Provenance.s user/Device.r", [
            ("patient", "Composition", "rs", ""), ("patient", "Provenance", "s", ""), ("user", "Device", "r", ""),
        ]),
    ):  # fmt: skip
        for _ in range(8):
            content = {
                "resourceType": "Bundle",
                "type": "batch",
                "entry": [{"request": {"method": "GET", "url": question()}} for _ in range(12)],
            }
            token = endpoint.token(scope, patient="anna")
            headers = {"Content-Type": "application/fhir+json", "Prefer": "handling=lenient"}
            answer = await endpoint.ask("", token=token, method="POST", json=content, headers=headers)
            assert answer.status_code == 200
            assert all(not one["response"]["status"].startswith("5") for one in answer.json()["entry"])
            answered += sum(one["response"]["status"].startswith("200") for one in answer.json()["entry"])
            await see_nothing_foreign(truth, answer, grants, "anna", "rs")
    assert answered > 40
