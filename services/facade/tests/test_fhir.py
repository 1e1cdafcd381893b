"""The resources we write: valid, honest about what they are, and the same however often they are made."""

import base64
import json
import re
from urllib.parse import unquote

import pytest
from facade.resources.signing import UndecidedFlags, sign_transaction
from fhir_support.r4 import validated


def by_type(transaction, resource_type):
    entries = transaction.bundle["entry"]
    return [entry["resource"] for entry in entries if entry["resource"]["resourceType"] == resource_type]


@pytest.fixture
def written(examples):
    return examples.bundles()["document"]


@pytest.fixture
def signed(examples):
    return examples.bundles()["signature"]


def test_every_example_is_valid_and_has_no_null(examples):
    seen = set()
    for name, resource in examples.resources():
        assert validated(resource) == resource, name
        assert "null" not in re.sub(r'"(?:[^"\\]|\\.)*"', "", json.dumps(resource)), name
        seen.add(resource["resourceType"])
    assert seen == {
        "Bundle", "Composition", "DocumentReference", "DetectedIssue", "Device", "Provenance", "AuditEvent", "Task",
        "Subscription",
    }  # fmt: skip


def test_the_same_document_makes_the_same_transaction(examples):
    first, second = (examples.bundles()["document"].bundle for _ in range(2))
    assert first == second


def test_everything_is_created_only_where_it_is_not_yet(written):
    for name, entry in zip(written.names, written.bundle["entry"], strict=True):
        request = entry["request"]
        if name == "task":
            assert (request["method"], request["url"].split("=")[0]) == ("PUT", "Task?_tag")
        else:
            assert request["method"] == "POST"
            # Servers exist that do not search Composition by identifier; every type has _tag.
            assert request["ifNoneExist"].startswith("_tag=")
        (tag,) = entry["resource"]["meta"]["tag"]
        assert f"{tag['system']}|{tag['code']}" in unquote(request.get("ifNoneExist", request["url"]))
    queries = [entry["request"].get("ifNoneExist") for entry in written.bundle["entry"]]
    assert len(set(queries)) == len(queries)


def test_all_references_inside_the_transaction_lead_somewhere(written):
    known = {entry["fullUrl"] for entry in written.bundle["entry"]}
    used = set(re.findall(r'"reference": "(urn:uuid:[^"]+)"', json.dumps(written.bundle)))
    assert used <= known
    assert len(used) >= 6


def test_the_draft_says_that_software_wrote_it_and_nobody_signed_it(written):
    (composition,), (document,) = by_type(written, "Composition"), by_type(written, "DocumentReference")
    for resource in (composition, document, *by_type(written, "DetectedIssue")):
        assert [label["code"] for label in resource["meta"]["security"]] == ["AIAST"]
    assert (composition["status"], document["docStatus"]) == ("preliminary", "preliminary")
    assert "attester" not in composition
    assert "not signed" in composition["text"]["div"]
    assert "not signed" in text_of(document)


def test_checks_that_were_not_made_are_named_and_never_counted_as_passed(written):
    (composition,) = by_type(written, "Composition")
    checks = composition["section"][-1]["text"]["div"]
    assert "Not checked: what c-late says (the time ran out)." in checks
    assert "No evidence found: what c-unknown says." in checks
    assert "Missing from the draft: activity." in checks
    assert "1 of 4 checked statements agree with the evidence." in checks


def test_text_is_never_markup(written):
    (composition,) = by_type(written, "Composition")
    medicines = next(one for one in composition["section"] if one["title"] == "Your medicines")
    assert "&amp; keep &lt;all&gt; pills" in medicines["text"]["div"]


def test_each_flag_is_an_issue_with_its_quoted_source(written):
    issues = {issue["severity"]: issue for issue in by_type(written, "DetectedIssue")}
    assert set(issues) == {"high", "moderate", "low"}
    high = issues["high"]
    assert "5 to 40 mg" in high["evidence"][0]["code"][0]["text"]
    assert "version 7" in high["evidence"][0]["code"][0]["text"]
    assert high["reference"] == "https://example.org/label/1"
    assert high["implicated"] == [{"reference": "MedicationRequest/m-1"}]
    assert "evidence" not in issues["low"]


def test_provenance_names_the_device_the_inputs_and_the_facts(written):
    (provenance,), (device,) = by_type(written, "Provenance"), by_type(written, "Device")
    assert {version["value"] for version in device["version"]} >= {f"sha256:{'0' * 64}", f"sha256:{'1' * 64}"}
    roles = [(one["role"], one["what"].get("reference")) for one in provenance["entity"]]
    assert ("source", "Encounter/stay-1/_history/3") in roles
    assert ("source", "MedicationRequest/m-2") in roles
    assert sum(role == "quotation" for role, _ in roles) == 2
    assert provenance["reason"][0]["coding"][0]["code"] == "AIAST"


def test_the_audit_event_has_both_ends_one_patient_and_the_request(written):
    (event,) = by_type(written, "AuditEvent")
    assert [agent["type"]["coding"][0]["code"] for agent in event["agent"]] == ["110153", "110152"]
    assert event["action"] == "C"
    patients = [one for one in event["entity"] if one["type"]["code"] == "1"]
    assert [one["what"]["reference"] for one in patients] == ["Patient/patient-1"]
    requests = [one for one in event["entity"] if one["type"]["code"] == "XrequestId"]
    assert requests[0]["what"]["identifier"]["value"] == "r-1"


def test_a_signature_replaces_the_versions_that_were_read_and_keeps_the_label(signed):
    (composition,), (document,) = by_type(signed, "Composition"), by_type(signed, "DocumentReference")
    assert (composition["status"], document["docStatus"]) == ("final", "final")
    assert composition["meta"]["security"][0]["code"] == "AIAST"
    assert composition["attester"][0]["mode"] == "legal"
    puts = [entry["request"] for entry in signed.bundle["entry"] if entry["request"]["method"] == "PUT"]
    assert len(puts) == 5
    assert {one["ifMatch"] for one in puts} == {'W/"1"'}


def test_a_signature_holds_the_corrected_text_and_every_decision(signed):
    text = text_of(by_type(signed, "DocumentReference")[0])
    assert "Take simvastatin 40 mg once a day." in text
    assert "80 mg" not in text
    assert "Take aspirin 81 mg in the morning." in text
    assert "See your heart doctor in 6 weeks." in text
    mitigations = {one["severity"]: one["mitigation"][0]["action"] for one in by_type(signed, "DetectedIssue")}
    assert {severity: action["coding"][0]["code"] for severity, action in mitigations.items()} == {
        "high": "accept",
        "moderate": "override",
        "low": "edit",
    }
    assert "The clinic has no earlier visit <yet>." in mitigations["moderate"]["text"]


def test_the_second_provenance_names_the_verifier(signed):
    (provenance,) = by_type(signed, "Provenance")
    (agent,) = provenance["agent"]
    assert agent["type"]["coding"][0]["code"] == "verifier"
    assert agent["who"] == {"reference": "Practitioner/dr-1", "display": "Dr. Example"}


def test_nothing_is_signed_with_an_undecided_flag(examples):
    with pytest.raises(UndecidedFlags):
        sign_transaction(
            examples.stored_document(), sections=(), signer=None, current={}, parties=examples.PARTIES,
            request_id="r", signed_at=examples.AT,
        )  # fmt: skip


def test_a_failure_says_why_and_for_which_stay(examples):
    (task,) = by_type(examples.bundles()["failure"], "Task")
    assert (task["status"], task["statusReason"]["text"]) == ("failed", "the drafting service does not answer")
    assert task["focus"] == {"reference": "Encounter/stay-1"}


def text_of(document):
    return base64.b64decode(document["content"][0]["attachment"]["data"]).decode()
