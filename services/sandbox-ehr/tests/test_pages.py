"""The pages: what they show, that they escape it, and that only their own forms change anything."""

import re
from typing import Any

import httpx
import pytest

DEMONSTRATION = "enc-ac4dcc33953d"
OTHER_STAY = "enc-cc756340b096"
FINISHED = "enc-58a28bd54798"
ATTACK = '<script>alert("x")</script><img src=x onerror=alert(1)>'


@pytest.fixture
def browser(ehr: Any) -> Any:
    """A visitor without cookies."""
    with httpx.Client(base_url=ehr.base_url, follow_redirects=True) as client:
        yield client


def token(browser: httpx.Client) -> dict[str, str]:
    page = browser.get("/").raise_for_status()
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found and found[1] == browser.cookies["sandbox_ehr_csrf"]
    return {"csrf": found[1]}


def test_the_list_shows_every_stay_with_its_actions(browser: Any) -> None:
    page = browser.get("/")
    assert page.status_code == 200
    assert page.text.count('<th scope="row">') == 12
    assert page.text.count("/discharge") == 9
    assert page.text.count('value="public-app"') == 12
    assert page.text.count("Demonstration") == 1
    assert "http://" not in page.text and "https://" not in page.text


def test_pages_load_nothing_and_are_framed_by_nobody(browser: Any) -> None:
    for path in ("/", f"/stays/{DEMONSTRATION}"):
        headers = browser.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
    assert browser.get("/style.css").headers["content-type"].startswith("text/css")


def test_a_stay_shows_its_chart(browser: Any) -> None:
    text = browser.get(f"/stays/{DEMONSTRATION}").text
    for words in (
        "Heart failure (CHF)",
        "Metformin",
        "1500mg PO TID",
        "Penicillin",
        "Permanent pacemaker",
        "50 lb",
        "cardiology in 6 weeks",
    ):
        assert words in text
    assert "No documents yet" in text


@pytest.mark.parametrize("path", ["/stays/nothing", "/stays/..%2fPatient", "/stays/a%20b", "/nothing"])
def test_a_page_that_is_not_there_says_so(browser: Any, path: str) -> None:
    answer = browser.get(path)
    assert answer.status_code == 404
    assert "Not Found" in answer.text


@pytest.fixture(scope="module")
def document(ehr: Any) -> str:
    """A document on the demonstration stay with one flag, and a patient with a hostile name."""
    client = ehr.backend()
    patient = ehr.patient_of(DEMONSTRATION)
    person = client.get(patient).json()
    client.put(patient, person | {"name": [{"given": [ATTACK], "family": '"><b>'}]}).raise_for_status()
    issue = {
        "resourceType": "DetectedIssue",
        "status": "preliminary",
        "severity": "high",
        "code": {"text": "dose differs"},
        "detail": ATTACK,
        "patient": {"reference": patient},
    }
    made = client.post("DetectedIssue", issue).json()
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "AIAST"}
    composition = {
        "resourceType": "Composition",
        "meta": {"security": [label]},
        "status": "preliminary",
        "type": {"text": "Instructions"},
        "title": f"Instructions {ATTACK}",
        "subject": {"reference": patient},
        "encounter": {"reference": f"Encounter/{DEMONSTRATION}"},
        "date": "2026-11-25T11:00:00Z",
        "author": [{"display": "Preceptor"}],
        "section": [{"title": "Checks", "entry": [{"reference": f"DetectedIssue/{made['id']}"}]}],
    }
    answer = client.post("Composition", composition)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_what_others_wrote_is_escaped(ehr: Any, browser: Any, document: str) -> None:
    form = token(browser) | {"client": "public-app"}
    pages = [
        browser.get("/"),
        browser.get(f"/stays/{DEMONSTRATION}"),
        browser.post(f"/stays/{DEMONSTRATION}/launch", data=form),
        ehr.authorize("public-app", "launch/patient patient/Patient.rs"),
        browser.get(f"/?notice={ATTACK}"),
    ]
    for page in pages:
        assert page.status_code == 200
        assert "<script" not in page.text and "<img" not in page.text and "<b>" not in page.text
    assert "&lt;script&gt;" in pages[0].text


def test_a_document_shows_its_flags_and_then_who_signed(ehr: Any, browser: Any, document: str) -> None:
    before = browser.get(f"/stays/{DEMONSTRATION}").text
    assert "preliminary" in before and "Not signed." in before and "dose differs" in before and "None yet" in before
    client = ehr.backend()
    composition = client.get(f"Composition/{document}").json()
    signer = {"mode": "legal", "time": "2026-11-25T12:00:00Z", "party": {"reference": "Practitioner/DR-CA-001"}}
    client.put(f"Composition/{document}", composition | {"status": "final", "attester": [signer]}).raise_for_status()
    reference = composition["section"][0]["entry"][0]["reference"]
    decided = {"action": {"text": "Overridden: seen by pharmacy"}}
    issue = client.get(reference).json()
    client.put(reference, issue | {"status": "final", "mitigation": [decided]}).raise_for_status()
    after = browser.get(f"/stays/{DEMONSTRATION}").text
    assert "Signed by Dr. Monique Marshall, 25 Nov 2026, 12:00." in after
    assert "Overridden: seen by pharmacy" in after


def test_a_failed_task_is_shown(ehr: Any, browser: Any) -> None:
    task = {
        "resourceType": "Task",
        "status": "failed",
        "intent": "order",
        "statusReason": {"text": "drafting is not available"},
        "for": {"reference": ehr.patient_of(OTHER_STAY)},
        "encounter": {"reference": f"Encounter/{OTHER_STAY}"},
    }
    assert ehr.backend().post("Task", task).status_code == 201
    assert "could not be drafted: drafting is not available" in browser.get(f"/stays/{OTHER_STAY}").text


def test_the_frame_shows_only_the_app_and_ourselves(browser: Any) -> None:
    page = browser.post(f"/stays/{OTHER_STAY}/launch", data=token(browser) | {"client": "public-app"})
    policy = page.headers["content-security-policy"]
    assert "frame-src 'self' https://app.example.org;" in policy
    assert page.text.count("<iframe") == 1
    assert 'title="public-app"' in page.text


def test_a_visitor_chooses_whom_to_act_as(ehr: Any, browser: Any) -> None:
    form = token(browser)
    page = browser.post("/practitioner", data=form | {"practitioner": "DR-IM-001", "here": f"/stays/{OTHER_STAY}"})
    assert page.url.path == f"/stays/{OTHER_STAY}"
    assert '<option value="DR-IM-001" selected>' in page.text
    frame = browser.post(f"/stays/{OTHER_STAY}/launch", data=form | {"client": "public-app"})
    launch = re.search(r"launch=([\w-]+)", frame.text)
    assert launch
    answer = ehr.authorize("public-app", "launch openid fhirUser patient/Patient.rs", launch=launch[1])
    given = ehr.redeem("public-app", httpx.URL(answer.headers["location"]).params["code"]).json()
    introspected = ehr.with_proof("jwt-app", {"token": given["access_token"]}, "/auth/introspect").json()
    assert introspected["fhirUser"] == f"{ehr.fhir_base}/Practitioner/DR-IM-001"
    back = browser.post("/practitioner", data=form | {"practitioner": "", "here": "https://attacker.example.org"})
    assert back.url.path == "/"
    assert " selected>" not in back.text


FORGERIES = ["no token", "no cookie", "another token", "unsigned pair", "origin", "null", "json"]
FORMS = [f"/stays/{OTHER_STAY}/discharge", f"/stays/{OTHER_STAY}/launch", "/practitioner"]


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_form_that_is_not_ours_changes_nothing(ehr: Any, browser: Any, path: str, forgery: str) -> None:
    form, headers = token(browser) | {"client": "public-app"}, {}
    if forgery == "no token":
        del form["csrf"]
    if forgery == "no cookie":
        browser.cookies.clear()
    if forgery == "another token":
        with httpx.Client(base_url=ehr.base_url) as other:
            form |= token(other)
    if forgery == "unsigned pair":
        browser.cookies.clear()
        browser.cookies.set("sandbox_ehr_csrf", "x.y")
        form["csrf"] = "x.y"
    if forgery in ("origin", "null"):
        headers["Origin"] = "https://attacker.example.org" if forgery == "origin" else "null"
    sent = {"json": form} if forgery == "json" else {"data": form}
    answer = browser.post(path, headers=headers, **sent)
    assert answer.status_code == 403
    encounter = ehr.backend("system/Encounter.r").get(f"Encounter/{OTHER_STAY}").json()
    assert encounter["status"] == "in-progress"


def test_another_host_name_is_refused(ehr: Any) -> None:
    assert httpx.get(f"{ehr.base_url}/", headers={"Host": "attacker.example.org"}).status_code == 403


@pytest.mark.parametrize(("stay", "client"), [("nothing", "public-app"), (OTHER_STAY, "backend"), (OTHER_STAY, "")])
def test_only_a_real_app_is_launched_for_a_real_stay(browser: Any, stay: str, client: str) -> None:
    assert browser.post(f"/stays/{stay}/launch", data=token(browser) | {"client": client}).status_code == 404


def test_a_discharge_names_the_one_who_did_it_and_happens_once(ehr: Any, browser: Any) -> None:
    form = token(browser)
    first = browser.post(f"/stays/{OTHER_STAY}/discharge", data=form)
    second = browser.post(f"/stays/{OTHER_STAY}/discharge", data=form)
    assert "The patient was discharged." in first.text
    assert "nothing changed" in second.text
    encounter = ehr.backend("system/Encounter.r").get(f"Encounter/{OTHER_STAY}").json()
    assert (encounter["status"], encounter["meta"]["versionId"]) == ("finished", "2")
    who = [p["individual"]["reference"] for p in encounter["participant"] if p["type"][0]["coding"][0]["code"] == "DIS"]
    assert who == ["Practitioner/DR-CA-001"]
    finished = browser.post(f"/stays/{FINISHED}/discharge", data=form)
    assert "nothing changed" in finished.text


def test_pages_can_be_used_by_keyboard(browser: Any) -> None:
    for path in ("/", f"/stays/{DEMONSTRATION}"):
        text = browser.get(path).text
        assert '<a class="skip" href="#main">' in text
        assert "onclick" not in text and "<script" not in text
        assert all(f'for="{name}"' in text for name in re.findall(r'<select id="([^"]+)"', text))
        assert text.count('lang="en"') == 1
