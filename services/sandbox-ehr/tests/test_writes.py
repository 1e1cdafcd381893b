"""Writing back a document: transactions, conditional creates and updates against a version."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest

DEMONSTRATION = "enc-ac4dcc33953d"
TAG = "https://preceptor.health/fhir/CodeSystem/effect"


@pytest.fixture(scope="module")
def client(ehr: Any) -> Any:
    """A backend with the scopes the suite's own client is registered for."""
    return ehr.backend(
        "system/Encounter.rs system/Composition.crus system/DocumentReference.crus system/DetectedIssue.crus "
        "system/Provenance.crs system/AuditEvent.crs system/Task.crus system/Device.crus"
    )


def urn() -> str:
    return f"urn:uuid:{uuid.uuid4()}"


def identifier(value: str) -> dict[str, str]:
    return {"system": "urn:ietf:rfc:3986", "value": value}


def by_identifier(value: str) -> str:
    return f"identifier={quote(f'urn:ietf:rfc:3986|{value}', safe='')}"


def by_tag(value: str) -> str:
    return f"_tag={quote(f'{TAG}|{value}', safe='')}"


def create(resource: dict[str, Any], name: str, query: str) -> dict[str, Any]:
    return {
        "fullUrl": name,
        "resource": resource,
        "request": {"method": "POST", "url": resource["resourceType"], "ifNoneExist": query},
    }


def document(patient: str) -> list[dict[str, Any]]:
    """A document as it is written back: seven kinds of resources that refer to each other by urn:uuid."""
    names = {name: urn() for name in ("composition", "reference", "issue", "device", "provenance", "audit", "task")}
    subject, stay = {"reference": patient}, {"reference": f"Encounter/{DEMONSTRATION}"}
    coded = {"text": "Discharge instructions"}
    label = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "AIAST"}]}
    device = {"reference": names["device"]}
    now = "2026-11-25T11:00:00.000Z"
    coding = {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"}
    resources = {
        "composition": {
            "resourceType": "Composition",
            "meta": label,
            "identifier": identifier(names["composition"]),
            "status": "preliminary",
            "type": coded,
            "subject": subject,
            "encounter": stay,
            "date": now,
            "author": [device],
            "title": "Discharge instructions",
            "section": [{"title": "Checks", "code": coded, "entry": [{"reference": names["issue"]}]}],
        },
        "reference": {
            "resourceType": "DocumentReference",
            "identifier": [identifier(names["reference"])],
            "status": "current",
            "docStatus": "preliminary",
            "subject": subject,
            "content": [{"attachment": {"contentType": "text/plain", "data": "RHJhZnQ="}}],
            "context": {"encounter": [stay], "related": [{"reference": names["composition"]}]},
        },
        "issue": {
            "resourceType": "DetectedIssue",
            "identifier": [identifier(names["issue"])],
            "status": "preliminary",
            "severity": "high",
            "code": {"text": "dose differs from the evidence"},
            "patient": subject,
            "author": device,
            "detail": "The draft says 4500 mg a day.",
        },
        "device": {"resourceType": "Device", "identifier": [identifier(names["device"])]},
        "provenance": {
            "resourceType": "Provenance",
            "meta": {"tag": [{"system": TAG, "code": names["provenance"]}]},
            "target": [{"reference": names["composition"]}, {"reference": names["issue"]}],
            "recorded": now,
            "agent": [{"who": device}],
        },
        "audit": {
            "resourceType": "AuditEvent",
            "meta": {"tag": [{"system": TAG, "code": names["audit"]}]},
            "type": coding,
            "recorded": now,
            "agent": [{"requestor": True, "who": {"display": "Preceptor"}}],
            "source": {"observer": {"display": "Preceptor"}},
            "entity": [{"what": subject}, {"what": {"reference": names["composition"]}}],
        },
        "task": {
            "resourceType": "Task",
            "identifier": [identifier(names["task"])],
            "status": "completed",
            "intent": "order",
            "for": subject,
            "encounter": stay,
            "output": [{"type": coded, "valueReference": {"reference": names["composition"]}}],
        },
    }
    tagged = ("provenance", "audit")
    return [
        create(resource, names[name], by_tag(names[name]) if name in tagged else by_identifier(names[name]))
        for name, resource in resources.items()
    ]


def placed(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    assert answer.json()["type"] == "transaction-response"
    return ["/".join(e["response"]["location"].split("/")[-4:-2]) for e in answer.json()["entry"]]


def test_a_transaction_creates_what_refers_to_each_other(ehr: Any, client: Any) -> None:
    answer = client.transaction(*document(ehr.patient_of(DEMONSTRATION)), kind="transaction")
    names = placed(answer)
    assert [e["response"]["status"] for e in answer.json()["entry"]] == ["201 Created"] * 7
    composition, reference, issue, device, provenance, audit, task = (client.get(name).json() for name in names)
    assert composition["author"] == [{"reference": names[3]}]
    assert composition["section"][0]["entry"] == [{"reference": names[2]}]
    assert reference["context"]["related"] == [{"reference": names[0]}]
    assert issue["author"] == {"reference": names[3]}
    assert [t["reference"] for t in provenance["target"]] == [names[0], names[2]]
    assert audit["entity"][1]["what"] == {"reference": names[0]}
    assert task["output"][0]["valueReference"] == {"reference": names[0]}
    assert composition["meta"]["security"][0]["code"] == "AIAST"
    assert device["id"]


def test_a_transaction_sent_again_creates_nothing(ehr: Any, client: Any) -> None:
    entries = document(ehr.patient_of(DEMONSTRATION))
    first, second = client.transaction(*entries), client.transaction(*entries)
    assert placed(first) == placed(second)
    assert [e["response"]["status"] for e in second.json()["entry"]] == ["200 OK"] * 7
    assert [e["response"]["etag"] for e in second.json()["entry"]] == ['W/"1"'] * 7


def test_a_transaction_sent_many_times_at_once_creates_one_of_each(ehr: Any, client: Any) -> None:
    entries = document(ehr.patient_of(DEMONSTRATION))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.transaction(*entries), range(16)))
    assert len({tuple(placed(answer)) for answer in answers}) == 1
    for one in entries:
        found = client.get(f"{one['resource']['resourceType']}?{one['request']['ifNoneExist']}").json()
        assert found["total"] == 1


def test_a_transaction_with_one_bad_entry_changes_nothing(ehr: Any, client: Any) -> None:
    entries = document(ehr.patient_of(DEMONSTRATION))
    del entries[-1]["resource"]["status"]
    answer = client.transaction(*entries)
    assert answer.status_code == 400
    assert answer.json()["resourceType"] == "OperationOutcome"
    for one in entries:
        found = client.get(f"{one['resource']['resourceType']}?{one['request']['ifNoneExist']}").json()
        assert found["total"] == 0


def test_a_reference_that_leads_nowhere_inside_the_transaction_is_refused(ehr: Any, client: Any) -> None:
    entries = document(ehr.patient_of(DEMONSTRATION))
    assert client.transaction(*(e for e in entries if e["resource"]["resourceType"] != "Device")).status_code == 400


@pytest.mark.parametrize("target", ["Patient?identifier=x", "Composition?_tag=x"])
def test_a_conditional_reference_is_refused(ehr: Any, client: Any, target: str) -> None:
    entries = document(ehr.patient_of(DEMONSTRATION))
    entries[0]["resource"]["subject"] = {"reference": target}
    assert client.transaction(*entries).status_code == 400


@pytest.mark.parametrize("by", ["identifier", "_tag"])
def test_a_conditional_create_alone_is_a_replay_that_changes_nothing(client: Any, by: str) -> None:
    name = urn()
    device: dict[str, Any] = {"resourceType": "Device", "identifier": [identifier(name)]}
    device["meta"] = {"tag": [{"system": TAG, "code": name}]}
    query = by_identifier(name) if by == "identifier" else by_tag(name)
    first = client.post("Device", device, If_None_Exist=query)
    second = client.post("Device", device | {"status": "inactive"}, If_None_Exist=query)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()


def test_conditional_creates_at_once_create_one(client: Any) -> None:
    name = urn()
    device = {"resourceType": "Device", "identifier": [identifier(name)]}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.post("Device", device, If_None_Exist=by_identifier(name)), range(24)))
    assert sorted(answer.status_code for answer in answers) == [200] * 23 + [201]


def test_a_condition_that_fits_several_is_refused(client: Any) -> None:
    name = urn()
    device = {"resourceType": "Device", "identifier": [identifier(name)]}
    assert {client.post("Device", device).status_code for _ in range(2)} == {201}
    assert client.post("Device", device, If_None_Exist=by_identifier(name)).status_code == 412


def test_an_update_needs_the_version_it_was_made_from(client: Any) -> None:
    made = client.post("Device", {"resourceType": "Device"})
    path, version = f"Device/{made.json()['id']}", made.headers["etag"]
    assert version == 'W/"1"'
    changed = made.json() | {"status": "active"}
    assert client.put(path, changed, If_Match=version).headers["etag"] == 'W/"2"'
    late = client.put(path, changed | {"status": "inactive"}, If_Match=version)
    assert (late.status_code, late.json()["resourceType"]) == (412, "OperationOutcome")
    assert client.get(path).json()["status"] == "active"


def test_a_transaction_with_one_old_version_signs_nothing(ehr: Any, client: Any) -> None:
    names = placed(client.transaction(*document(ehr.patient_of(DEMONSTRATION))))
    composition, issue = client.get(names[0]).json(), client.get(names[2]).json()
    client.put(names[2], issue | {"status": "final"}).raise_for_status()

    def update(resource: dict[str, Any], name: str) -> dict[str, Any]:
        match = f'W/"{resource["meta"]["versionId"]}"'
        return {"resource": resource, "request": {"method": "PUT", "url": name, "ifMatch": match}}

    signed = composition | {"status": "final"}
    answer = client.transaction(update(signed, names[0]), update(issue | {"status": "amended"}, names[2]))
    assert answer.status_code == 412
    assert client.get(names[0]).json()["status"] == "preliminary"
    current = client.get(names[2]).json()
    assert client.transaction(update(signed, names[0]), update(current, names[2])).status_code == 200
    assert client.get(names[0]).json()["status"] == "final"


def test_a_task_is_updated_by_its_identifier(ehr: Any, client: Any) -> None:
    entries = document(ehr.patient_of(DEMONSTRATION))
    task = entries[-1]
    failed = {**task["resource"], "status": "failed"}
    del failed["output"]
    made = client.transaction({**task, "resource": failed})
    query = task["request"]["ifNoneExist"]
    update = {**task, "request": {"method": "PUT", "url": f"Task?{query}"}}
    again = client.transaction(*entries[:-1], update)
    assert placed(again)[-1] == placed(made)[0]
    assert client.get(placed(made)[0]).json()["status"] == "completed"


def test_a_delete_with_a_version_is_refused_because_it_would_be_ignored(ehr: Any) -> None:
    client = ehr.backend("system/Device.cruds")
    path = f"Device/{client.post('Device', {'resourceType': 'Device'}).json()['id']}"
    assert client.request("DELETE", path, If_Match='W/"9"').status_code == 400
    assert client.get(path).status_code == 200
    assert client.request("DELETE", path).status_code == 200
    assert client.get(path).status_code == 410
