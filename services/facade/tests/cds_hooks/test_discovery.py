"""GET /cds-services: what the services are, for anybody, from any page."""

import re

import httpx
import pytest


@pytest.mark.requirement(
    "e1",
    "cds-hooks_2.0@5",
    "The Discovery endpoint SHALL always be available at {baseUrl}/cds-services [using HTTP GET]",
)
@pytest.mark.requirement(
    "e1",
    "cds-hooks_2.0@6",
    "The response to the discovery endpoint SHALL be an object containing a list [json array] of CDS Services.",
)
@pytest.mark.requirement(
    "e1",
    "cds-hooks_2.0@13",
    "[Services SHALL return a HTTP] 200 ok [response to indicate] A successful response [to a discovery request]",
)
@pytest.mark.parametrize("path", ["/cds-services", "/cds-services/"])
@pytest.mark.requirement(
    "e1",
    "cds-hooks_2.0@4",
    "A CDS Service provider exposes its discovery endpoint at: {baseURL}/cds-services",
)
async def test_the_services_are_told_to_anybody(cds, path):
    answer = await cds.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert set(answer.json()) == {"services"}


@pytest.mark.requirement(
    "e1",
    "cds-hooks_2.0@7",
    "Each CDS Service SHALL be described by the following attributes [including]: - field: hook - optionality: "
    "REQUIRED - type: string - description: The hook this service should be invoked on",
)
@pytest.mark.requirement(
    "e1",
    "cds-hooks_2.0@9",
    "Each CDS Service SHALL be described by the following attributes [including]: - field: description - "
    "optionality: REQUIRED - type: string - description: The description of this service.",
)
@pytest.mark.requirement(
    "e1",
    "cds-hooks_2.0@10",
    "Each CDS Service SHALL be described by the following attributes [including]: - field: id - optionality: "
    "REQUIRED - type: string - description: The {id} portion of the URL to this service which is available at "
    "{baseUrl}/cds-services/{id}",
)
@pytest.mark.requirement("e2", "", "Hooks served: patient-view, order-select, order-sign, encounter-discharge.")
async def test_each_service_says_what_it_is(cds):
    services = (await cds.get("/cds-services")).json()["services"]
    assert {one["id"]: one["hook"] for one in services} == {
        name: name for name in ("order-sign", "order-select", "patient-view", "encounter-discharge")
    }
    for one in services:
        assert set(one) <= {"hook", "title", "description", "id", "prefetch", "usageRequirements"}
        for name in ("title", "description", "usageRequirements"):
            assert one[name].strip()


@pytest.mark.requirement(
    "e1",
    "cds-hooks_2.0@36",
    "The prefetch field of a CDS Service discovery response … [SHALL provide a] prefetch key for each … [prefetch"
    " template] that is used to identify the prefetch data in the CDS request.",
)
@pytest.mark.requirement("e1", "cds-hooks_2.0@55", "Prefetch tokens MUST be delimited by {{ and }}")
@pytest.mark.requirement(
    "e1",
    "cds-hooks_2.0@56",
    "Prefetch tokens ... MUST contain only the qualified path to a hook context field or one of the following "
    "user identifiers: userPractitionerId, userPractitionerRoleId, userPatientId, or userRelatedPersonId",
)
@pytest.mark.requirement(
    "e1",
    "cds-hooks_2.0@57",
    "Only root-level fields with a primitive value within the context object are eligible to be used as prefetch "
    "tokens.",
)
@pytest.mark.requirement(
    "e1",
    "cds-hooks_2.0@59",
    "When context fields are used as tokens, their token name MUST be `context.name-of-the-field`",
)
@pytest.mark.requirement(
    "e1",
    "cds-hooks_2.0@29",
    'If data is to be prefetched, the CDS Service registers a set of "prefetch templates" with the CDS Client… '
    "[communicated] in the CDS Service discovery response.",
)
@pytest.mark.requirement(
    "e1",
    "cds-hooks_2.0@58",
    "To reduce the implementation burden on CDS Clients that support CDS Services, this specification RECOMMENDS "
    "that prefetch queries only use a subset of the full functionality available in the FHIR specification … "
    "[that includes]: - instance level [read](https://www.hl7.org/fhir/http.html#read) interactions (for "
    "resources with known ids such as `Patient`, `Practitioner`, or `Encounter`) - type level "
    "[search](https://www.hl7.org/fhir/http.html#search) interactions; e.g. `patient={{context.patientId}}` - "
    "Resource references (e.g. `patient={{context.patientId}}`) - token search parameters using equality (e.g. "
    "`code=4548-4`) and ... the `:in` modifier (no other modifiers for token parameters) - date search parameters"
    " on `date`, `dateTime`, `instant`, or `Period` types only, and using only the prefixes `eq`, `lt`, `gt`, "
    "`ge`, `le` - the `_count` parameter to limit the number of results returned - the `_sort` parameter to allow"
    " for most recent and first queries",
)
async def test_prefetch_templates_use_only_what_every_client_can_fill(cds):
    services = (await cds.get("/cds-services")).json()["services"]
    templates = [template for one in services for template in one.get("prefetch", {}).values()]
    assert templates
    for template in templates:
        assert set(re.findall(r"\{\{(.*?)\}\}", template)) == {"context.patientId"}
        assert "{" not in template.replace("{{context.patientId}}", "")
        path, _, query = template.partition("?")
        # The subset that the standard recommends: read by id, search by patient, token, _count and _sort.
        assert re.fullmatch(r"[A-Z][A-Za-z]+(/\{\{context\.patientId\}\})?", path)
        assert {part.partition("=")[0] for part in query.split("&") if part} <= {
            "patient", "status", "code", "clinical-status", "_count", "_sort",
        }  # fmt: skip


@pytest.mark.requirement(
    "e5",
    "cds-hooks_2.0@3",
    "JSON elements SHALL NOT be null … [or] empty, unless otherwise specified (e.g. to indicate no guidance with "
    "an empty array of cards in the CDS Hooks response).",
)
async def test_discovery_has_no_empty_element(cds):
    def elements(value):
        yield value
        for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from elements(one)

    assert not [one for one in elements((await cds.get("/cds-services")).json()) if one in (None, "", [], {})]


@pytest.mark.requirement("e5", "", "CORS.")
@pytest.mark.parametrize("path", ["/cds-services", "/cds-services/order-sign", "/cds-services/order-sign/feedback"])
@pytest.mark.requirement(
    "e5",
    "cds-hooks_2.0@208",
    "CDS Services and browser-based CDS Clients will require CORS support. [Cross-origin resource sharing "
    "(CORS)](https://www.w3.org/TR/cors/) is a [World Wide Web Consortium (W3C)](https://www.w3.org/Consortium/) "
    "standard mechanism that uses additional HTTP headers to enable a web browser to gain permission to access "
    "resources from an Internet domain different from that which the browser is currently accessing.",
)
async def test_a_page_of_another_origin_may_call(cds, path):
    asked = {"Origin": "https://ehr.example.org", "Access-Control-Request-Method": "POST",
             "Access-Control-Request-Headers": "authorization, content-type"}  # fmt: skip
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(cds.app), base_url="https://preceptor.example.org"
    ) as http:
        answer = await http.request("OPTIONS", path, headers=asked)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert {"authorization", "content-type"} <= {
        one.strip().lower() for one in answer.headers["access-control-allow-headers"].split(",")
    }
    assert "POST" in answer.headers["access-control-allow-methods"]


async def test_every_answer_may_be_read_by_the_page_also_a_refusal(cds, ehr):
    answers = [
        await cds.get("/cds-services"),
        await cds.call("patient-view", ehr.request("patient-view")),
        await cds.call("patient-view", b"no json"),
        await cds.call("patient-view", b"{}", token="nothing"),
        await cds.call("nothing", b"{}"),
        await cds.feedback("patient-view"),
    ]
    assert [one.status_code for one in answers] == [200, 200, 400, 401, 404, 200]
    assert {one.headers["access-control-allow-origin"] for one in answers} == {"*"}
    assert not any("access-control-allow-credentials" in one.headers for one in answers)
