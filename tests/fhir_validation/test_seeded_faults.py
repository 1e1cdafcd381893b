"""The validator itself is tried first: what is valid passes, and each kind of fault is caught where it is.

A validator without its definitions, or with the wrong switches, passes nearly everything. These cases are how the
other tests of this folder know that a pass means something.
"""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from .official import NoVerdict, OfficialValidator, errors_of

pytestmark = pytest.mark.timeout(900)  # the first run fetches and builds the validator

Resource = dict[str, Any]

_XHTML = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'
_LOINC = "http://loinc.org"
_VITAL_SIGNS = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}

COMPOSITION: Resource = {
    "resourceType": "Composition",
    "text": {"status": "generated", "div": _XHTML.format("<p>Discharge instructions</p>")},
    "status": "preliminary",
    "type": {"coding": [{"system": _LOINC, "code": "8653-8"}]},
    "subject": {"reference": "Patient/p"},
    "encounter": {"reference": "Encounter/e"},
    "date": "2026-03-01T10:00:00Z",
    "author": [{"reference": "Device/d"}],
    "title": "Discharge instructions",
    "confidentiality": "N",
    "section": [
        {
            "title": "Activity",
            "text": {"status": "generated", "div": _XHTML.format("<p>Walk every day.</p>")},
            "entry": [{"reference": "DetectedIssue/i"}],
        }
    ],
}
ISSUE: Resource = {
    "resourceType": "DetectedIssue",
    "text": {"status": "generated", "div": _XHTML.format("<p>Too high a dose</p>")},
    "status": "preliminary",
    "severity": "high",
    "patient": {"reference": "Patient/p"},
    "identifiedDateTime": "2026-03-01T10:00:00Z",
    "author": {"reference": "Device/d"},
}
WEIGHT: Resource = {
    "resourceType": "Observation",
    "text": {"status": "generated", "div": _XHTML.format("<p>72.5 kg</p>")},
    "status": "final",
    "category": [{"coding": [_VITAL_SIGNS]}],
    "code": {"coding": [{"system": _LOINC, "code": "29463-7"}]},
    "subject": {"reference": "Patient/p"},
    "effectiveDateTime": "2026-03-01T10:00:00Z",
    "valueQuantity": {"value": 72.5, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
}
PROVENANCE: Resource = {
    "resourceType": "Provenance",
    "target": [{"reference": "Composition/c"}],
    "recorded": "2026-03-01T10:00:00.000Z",
    "agent": [{"who": {"reference": "Device/d"}}],
    "entity": [{"role": "source", "what": {"reference": "MedicationRequest/m"}}],
}
AUDIT: Resource = {
    "resourceType": "AuditEvent",
    "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"},
    "recorded": "2026-03-01T10:00:00.000Z",
    "outcome": "0",
    "agent": [{"who": {"display": "preceptor"}, "requestor": True}],
    "source": {"observer": {"display": "preceptor"}},
    "entity": [{"what": {"reference": "Patient/p"}}],
}
DOCUMENT: Resource = {
    "resourceType": "DocumentReference",
    "text": {"status": "generated", "div": _XHTML.format("<p>Discharge instructions</p>")},
    "status": "current",
    "subject": {"reference": "Patient/p"},
    "content": [{"attachment": {"contentType": "text/plain", "data": "V2Fsaw==", "size": 4}}],
}
_ISSUE_URN = "urn:uuid:6a9b0b5e-8a5a-4a8e-9d4f-0d5b3d4c0f01"
_COMPOSITION_URN = "urn:uuid:6a9b0b5e-8a5a-4a8e-9d4f-0d5b3d4c0f02"
_DEVICE_URN = "urn:uuid:6a9b0b5e-8a5a-4a8e-9d4f-0d5b3d4c0f03"
_DEVICE: Resource = {
    "resourceType": "Device",
    "text": {"status": "generated", "div": _XHTML.format("<p>Model</p>")},
    "status": "active",
    "deviceName": [{"name": "model", "type": "model-name"}],
}
TRANSACTION: Resource = {
    "resourceType": "Bundle",
    "type": "transaction",
    "entry": [
        {
            "fullUrl": _COMPOSITION_URN,
            "resource": {
                **COMPOSITION,
                "author": [{"reference": _DEVICE_URN}],
                "section": [{**COMPOSITION["section"][0], "entry": [{"reference": _ISSUE_URN}]}],
            },
            "request": {"method": "POST", "url": "Composition"},
        },
        {"fullUrl": _ISSUE_URN, "resource": ISSUE, "request": {"method": "POST", "url": "DetectedIssue"}},
        {"fullUrl": _DEVICE_URN, "resource": _DEVICE, "request": {"method": "POST", "url": "Device"}},
    ],
}


@pytest.mark.parametrize(
    "resource",
    [COMPOSITION, ISSUE, WEIGHT, PROVENANCE, AUDIT, DOCUMENT, TRANSACTION],
    ids=lambda resource: resource["resourceType"],
)
def test_a_valid_resource_passes(official: OfficialValidator, resource: Resource) -> None:
    assert errors_of(official.judge(resource)) == []


def _at(resource: Resource, *path: str | int) -> Any:
    value: Any = resource
    for step in path:
        value = value[step]
    return value


def put(value: Any, *path: str | int) -> Callable[[Resource], None]:
    """Return a change that puts ``value`` at ``path``."""

    def change(resource: Resource) -> None:
        _at(resource, *path[:-1])[path[-1]] = value

    return change


def without(*path: str | int) -> Callable[[Resource], None]:
    """Return a change that takes away what is at ``path``."""

    def change(resource: Resource) -> None:
        del _at(resource, *path[:-1])[path[-1]]

    return change


# What is wrong, the valid resource, the change, where the validator must point, what it must name.
FAULTS: list[tuple[str, Resource, Callable[[Resource], None], str, str]] = [
    ("a code outside a required binding", COMPOSITION, put("draft", "status"), "Composition.status", "NoValid"),
    (
        "a severity that R4 does not know",
        ISSUE,
        put("contraindicated", "severity"),
        "DetectedIssue.severity",
        "NoValid",
    ),
    ("a role outside a required binding", PROVENANCE, put("origin", "entity", 0, "role"), "entity[0].role", "NoValid"),
    ("a mandatory element missing", COMPOSITION, without("author"), "Composition", "Minimum"),
    ("a mandatory reference missing", PROVENANCE, without("target"), "Provenance", "Minimum"),
    ("a list where one value is allowed", COMPOSITION, put(["a", "b"], "title"), "Composition.title", "array"),
    (
        "one value where a list is asked for",
        ISSUE,
        put({"value": "1"}, "identifier"),
        "DetectedIssue.identifier",
        "array",
    ),
    ("a section that says nothing", COMPOSITION, put({"title": "Diet"}, "section", 0), "section[0]", "cmp-1"),
    (
        "a reason for emptiness beside entries",
        COMPOSITION,
        put({"text": "none"}, "section", 0, "emptyReason"),
        "section[0]",
        "cmp-2",
    ),
    (
        "an entity with a name and a query",
        AUDIT,
        put({**AUDIT["entity"][0], "name": "a", "query": "eA=="}, "entity", 0),
        "entity[0]",
        "sev-1",
    ),
    (
        "a patient who is a practitioner",
        ISSUE,
        put({"reference": "Practitioner/1"}, "patient"),
        "DetectedIssue.patient",
        "BadTargetType",
    ),
    (
        "an encounter that is a patient",
        COMPOSITION,
        put({"reference": "Patient/1"}, "encounter"),
        "Composition.encounter",
        "BadTargetType",
    ),
    (
        "a wrong target inside a transaction",
        TRANSACTION,
        put([{"reference": _ISSUE_URN}], "entry", 0, "resource", "author"),
        "author[0]",
        "BadTargetType",
    ),
    ("an entry of a transaction without its request", TRANSACTION, without("entry", 1, "request"), "Bundle", "bdl-3"),
    ("two entries of one address", TRANSACTION, put(_COMPOSITION_URN, "entry", 1, "fullUrl"), "Bundle", "bdl-7"),
    ("an element that R4 does not have", ISSUE, put("x", "colour"), "DetectedIssue", "Unrecognized"),
    ("an element of a later version", COMPOSITION, put("1", "version"), "Composition", "Unrecognized"),
    ("a day that does not exist", COMPOSITION, put("2026-02-30", "date"), "Composition.date", "dateTime"),
    ("a time without its zone", ISSUE, put("2026-03-01T10:00:00", "identifiedDateTime"), "identified", "timezone"),
    (
        "a day where an instant is asked for",
        PROVENANCE,
        put("2026-03-01", "recorded"),
        "Provenance.recorded",
        "instant",
    ),
    (
        "a body weight in a unit that is no weight",
        WEIGHT,
        put("cm", "valueQuantity", "code"),
        "Observation.value",
        "body",
    ),
    ("a number written as text", WEIGHT, put("72.5", "valueQuantity", "value"), "Observation.value", "number"),
    (
        "a script in the narrative",
        COMPOSITION,
        put(_XHTML.format("<script>x</script>"), "text", "div"),
        "text.div",
        "script",
    ),
    (
        "an event handler in the narrative",
        ISSUE,
        put(_XHTML.format('<p onclick="x()">a</p>'), "text", "div"),
        "text.div",
        "onclick",
    ),
    ("a narrative that is not XHTML", ISSUE, put("<p>a", "text", "div"), "text", "xhtml"),
    ("content that is not base64", DOCUMENT, put("§", "content", 0, "attachment", "data"), "attachment", "base64"),
    ("an empty object", ISSUE, put({}, "code"), "DetectedIssue.code", "content"),
    (
        "a modifier extension nobody defined",
        ISSUE,
        put([{"url": "http://unknown.org/x", "valueString": "a"}], "modifierExtension"),
        "modifierExtension",
        "unknown",
    ),
]


@pytest.mark.parametrize(
    ("valid", "fault", "path", "named"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS]
)
def test_a_seeded_fault_is_caught(
    official: OfficialValidator, valid: Resource, fault: Callable[[Resource], None], path: str, named: str
) -> None:
    faulty = copy.deepcopy(valid)
    fault(faulty)
    errors = errors_of(official.judge(faulty))
    found = [error for error in errors if path in (error.path or "")]
    assert found, [str(error) for error in errors]
    assert any(named.lower() in f"{error.id} {error.text}".lower() for error in found), [str(error) for error in found]


def test_a_profile_that_is_asked_for_is_applied(official: OfficialValidator) -> None:
    heart_rate = "http://hl7.org/fhir/StructureDefinition/heartrate"
    assert errors_of(official.judge(WEIGHT, [heart_rate]))


def test_what_cannot_be_judged_is_no_pass(official: OfficialValidator) -> None:
    try:
        issues = official.judge({"resourceType": "NoSuchThing"})
    except NoVerdict:
        return
    assert errors_of(issues)
