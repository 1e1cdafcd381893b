"""The launch against the real sandbox EHR: what is sent, what is kept, and what is refused."""

import base64
import hashlib
import re
from urllib.parse import urlencode, urlsplit

import pytest
from facade.store.tables import LaunchRow, SessionRow
from sqlalchemy import func, select

CHROMIUM_FRAME_COOKIE = re.compile(
    r"^preceptor-(launch|session)-[A-Za-z0-9_-]{16}=[A-Za-z0-9_-]{43}; Max-Age=\d+; "
    r"Path=/; Secure; HttpOnly; SameSite=None; Partitioned$"
)


async def rows(container, table) -> int:
    async with container.database.reading() as session:
        return (await session.execute(select(func.count()).select_from(table))).scalar_one()


def watched(container):
    """The requests the facade sends to others from now on."""
    sent = []

    async def note(request):
        sent.append(request)

    container.http.event_hooks["request"].append(note)
    return sent


@pytest.mark.requirement(
    "a3",
    "hl7.fhir.uv.smart-app-launch_2.2.0@32",
    "[When] the app constructs a request for an authorization code … [the] `response_type` [parameter "
    "is] required [and SHALL contain the] fixed value: `code`.",
)
@pytest.mark.requirement(
    "a3",
    "hl7.fhir.uv.smart-app-launch_2.2.0@34",
    "[the] `redirect_uri`[parameter is] required [and] Must match one of the client's pre-registered redirect URIs",
)
@pytest.mark.requirement(
    "a3",
    "hl7.fhir.uv.smart-app-launch_2.2.0@35",
    "[in the EHR Launch flow, the] `launch`[parameter is required, and] must match the launch value "
    "received from the EHR.",
)
@pytest.mark.requirement(
    "a3",
    "hl7.fhir.uv.smart-app-launch_2.2.0@40",
    "The app SHALL use an unpredictable value for the state parameter with at least 122 bits of entropy",
)
@pytest.mark.requirement(
    "a3",
    "hl7.fhir.uv.smart-app-launch_2.2.0@41",
    "[the] … `aud` [parameter is] `required` ... [and SHALL contain the] URL of the EHR resource server "
    "from which the app wishes to retrieve FHIR data.",
)
@pytest.mark.requirement(
    "a3",
    "hl7.fhir.uv.smart-app-launch_2.2.0@13",
    "All SMART apps SHALL support Proof Key for Code Exchange [(PKCE)]",
)
async def test_the_authorization_request_is_what_smart_app_launch_asks_for(clinician, query):
    address = await clinician.launch_address()
    answer = await clinician.ask(address)

    assert answer.status_code == 302
    assert answer.headers["cache-control"] == "no-store"
    location = answer.headers["location"]
    assert location.startswith(f"{clinician.ehr.base_url}/auth/authorize?")
    sent = query(location)
    assert {name: len(values) for name, values in sent.items()} == dict.fromkeys(sent, 1)
    assert sent["response_type"] == ["code"]
    assert sent["client_id"] == ["preceptor"]
    assert sent["redirect_uri"] == [f"{clinician.facade_url}/smart/callback"]
    assert sent["launch"] == query(address)["launch"]
    assert sent["aud"] == [clinician.ehr.fhir_base]
    assert sent["code_challenge_method"] == ["S256"]
    assert len(base64.urlsafe_b64decode(sent["code_challenge"][0] + "=")) == hashlib.sha256().digest_size
    # 43 characters of base64url are 256 bits; SMART asks for 122.
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", sent["state"][0])
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", sent["nonce"][0])
    assert {"openid", "fhirUser", "launch"} <= set(sent["scope"][0].split())


@pytest.mark.requirement(
    "a3",
    "hl7.fhir.uv.smart-app-launch_2.2.0@2",
    "Apps SHALL generate an unpredictable `state` parameter for each user session",
)
async def test_no_two_launches_share_a_value(clinician, query):
    first = query((await clinician.ask(await clinician.launch_address())).headers["location"])
    second = query((await clinician.ask(await clinician.launch_address())).headers["location"])

    for name in ("state", "nonce", "code_challenge", "launch"):
        assert first[name] != second[name]


@pytest.mark.requirement(
    "a2",
    "hl7.fhir.uv.smart-app-launch_2.2.0@29",
    "the app discovers the EHR FHIR server’s SMART configuration metadata, including OAuth "
    "`authorization_endpoint` and `token_endpoint` URLs. The discovery URL is constructed by appending "
    ".well-known/smart-configuration to the FHIR Base URL. The app issues an HTTP GET to the discovery "
    "URL with an Accept header supporting application/json.",
)
@pytest.mark.requirement(
    "a9",
    "hl7.fhir.uv.smart-app-launch_2.2.0@7",
    "An app SHALL NOT store bearer tokens in cookies that are transmitted as clear text.",
)
async def test_a_launch_ends_on_the_page_with_cookies_that_work_in_a_frame(clinician):
    clinician.container.discovery.forget(clinician.container.ehrs.get("sandbox"))
    sent = watched(clinician.container)

    page = await clinician.launch()

    (discovery,) = [one for one in sent if one.url.path.endswith("/smart-configuration")]
    assert (discovery.method, str(discovery.url)) == (
        "GET",
        f"{clinician.ehr.fhir_base}/.well-known/smart-configuration",
    )
    assert discovery.headers["accept"] == "application/json"

    assert re.fullmatch(r"/workbench/[A-Za-z0-9_-]{16}", page)
    opened = [cookie for cookie in clinician.set_cookies if "Max-Age=0" not in cookie]
    assert all(CHROMIUM_FRAME_COOKIE.match(cookie) for cookie in opened), opened
    assert [name for name in clinician.cookies if "launch" in name] == []
    shown = await clinician.ask(page)
    assert shown.status_code == 200
    assert await rows(clinician.container, LaunchRow) == 0


@pytest.mark.requirement(
    "a2",
    "hl7.fhir.uv.smart-app-launch_2.2.0@36",
    "[in the `Standalone Launch` flow, the] `launch` [parameter is] omitted",
)
@pytest.mark.requirement(
    "a2",
    "hl7.fhir.uv.smart-app-launch_2.2.0@152",
    "[When clients n]eed patient context at launch time (FHIR Patient resource)[ they SHALL request the "
    "`launch/patient` scope].",
)
async def test_a_standalone_launch_asks_for_patient_and_stay_instead(clinician, query):
    started = await clinician.ask(f"/smart/launch?{urlencode({'iss': clinician.ehr.fhir_base})}")

    sent = query(started.headers["location"])
    assert "launch" not in sent
    scopes = sent["scope"][0].split()
    assert "launch" not in scopes
    assert {"launch/patient", "launch/encounter"} <= set(scopes)


@pytest.mark.parametrize(
    "change",
    [
        lambda iss: iss + "/",
        lambda iss: iss.upper(),
        lambda iss: iss.replace("localhost", "127.0.0.1"),
        lambda iss: iss.replace("http://", "https://"),
        lambda iss: iss.replace("http://", "http://user@"),
        lambda iss: iss + ".evil.example",
        lambda iss: iss + "/../fhir",
        lambda iss: iss + "#",
        lambda iss: " " + iss,
        lambda _: "http://169.254.169.254/latest",
        lambda _: "",
    ],
)
async def test_an_issuer_that_is_not_registered_is_refused_before_anything_is_sent_or_stored(clinician, change):
    sent = watched(clinician.container)

    answer = await clinician.ask(f"/smart/launch?{urlencode({'iss': change(clinician.ehr.fhir_base), 'launch': 'x'})}")

    assert answer.status_code == 400
    assert "This EHR is not registered" in answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert [str(request.url) for request in sent if "Subscription" not in str(request.url)] == []
    assert clinician.set_cookies == []
    assert await rows(clinician.container, LaunchRow) == 0


async def test_a_parameter_that_is_sent_twice_is_refused(clinician):
    twice = urlencode([("iss", clinician.ehr.fhir_base), ("iss", "http://evil.example"), ("launch", "x")])

    answer = await clinician.ask(f"/smart/launch?{twice}")

    assert answer.status_code == 400
    assert await rows(clinician.container, LaunchRow) == 0


@pytest.mark.requirement(
    "a3",
    "hl7.fhir.uv.smart-app-launch_2.2.0@4",
    "App SHALL ... validate the `state` value for any request sent to its redirect URL.",
)
async def test_a_state_works_once(clinician):
    callback = await clinician.to_callback()
    cookies = dict(clinician.cookies)
    assert (await clinician.ask(callback)).status_code == 303

    clinician.cookies = cookies
    replayed = await clinician.ask(callback)

    assert replayed.status_code == 400
    assert "no longer valid" in replayed.text
    assert await rows(clinician.container, SessionRow) == 1


@pytest.mark.requirement(
    "a3",
    "hl7.fhir.uv.smart-app-launch_2.2.0@60",
    "[When an authorization repsonse is received t]he app SHALL validate the value of the state "
    "parameter [sent by the server] upon return to the redirect URL",
)
@pytest.mark.parametrize("state", ["", "x" * 43, None])
async def test_a_state_that_is_not_ours_is_refused(clinician, query, state):
    callback = await clinician.to_callback()
    code = query(callback)["code"][0]
    sent = {"code": code} if state is None else {"code": code, "state": state}

    answer = await clinician.ask(f"{urlsplit(callback).path}?{urlencode(sent)}")

    assert answer.status_code == 400
    assert await rows(clinician.container, SessionRow) == 0


@pytest.mark.requirement(
    "a3",
    "hl7.fhir.uv.smart-app-launch_2.2.0@61",
    "The app… SHALL ensure that the state value [associated with the authorization request and response] "
    "is securely tied to the user’s current session",
)
async def test_a_state_of_another_browser_is_refused_and_used_up(clinician, new_browser):
    callback = await clinician.to_callback()

    assert (await new_browser().ask(callback)).status_code == 400

    # Whoever stole the address has shown it: the launch is over for everybody.
    assert (await clinician.ask(callback)).status_code == 400
    assert await rows(clinician.container, SessionRow) == 0


async def test_two_launches_of_one_browser_do_not_disturb_each_other(clinician):
    first, second = await clinician.to_callback(), await clinician.to_callback()

    assert (await clinician.ask(first)).status_code == 303
    assert (await clinician.ask(second)).status_code == 303


async def test_an_id_token_for_another_nonce_is_refused(clinician):
    callback = await clinician.to_callback(nonce="another")

    answer = await clinician.ask(callback)

    assert answer.status_code == 403
    assert "could not be confirmed" in answer.text
    assert await rows(clinician.container, SessionRow) == 0


async def test_a_code_for_another_challenge_is_refused(clinician):
    other = base64.urlsafe_b64encode(hashlib.sha256(b"attacker").digest()).rstrip(b"=").decode()
    callback = await clinician.to_callback(code_challenge=other)

    answer = await clinician.ask(callback)

    assert answer.status_code == 400
    assert "The EHR refused the launch" in answer.text
    assert await rows(clinician.container, SessionRow) == 0


@pytest.mark.requirement(
    "a9",
    "hl7.fhir.uv.smart-app-launch_2.2.0@6",
    "An app SHALL NOT forward values passed back to its redirect URL to any other arbitrary or "
    "user-provided URL (a practice known as an “open redirector”).",
)
async def test_an_error_of_the_ehr_becomes_a_page_that_repeats_nothing_of_it(clinician, query):
    started = await clinician.ask(await clinician.launch_address())
    state = query(started.headers["location"])["state"][0]
    hostile = {"error": "<script>alert(1)</script>", "error_description": "<img src=x>", "state": state}

    answer = await clinician.ask(f"/smart/callback?{urlencode(hostile)}")

    assert answer.status_code == 400
    assert "alert(1)" not in answer.text
    assert "img src" not in answer.text.replace('<img src="/workbench/static', "")


async def test_an_answer_of_another_authorization_server_is_refused(clinician):
    callback = await clinician.to_callback()

    answer = await clinician.ask(f"{callback}&{urlencode({'iss': 'http://evil.example'})}")

    assert answer.status_code == 400
    assert await rows(clinician.container, SessionRow) == 0


async def choosing(clinician):
    """A standalone launch in which the EHR names a patient and no stay; the page with its handle, and the patient."""
    encounter = await clinician.container.connections.client("sandbox").read("Encounter/enc-ac4dcc33953d")
    page = await clinician.standalone(None, patient=encounter["subject"]["reference"].partition("/")[2])
    assert page.status_code == 200, page.text
    handle = re.search(r'name="handle" value="([^"]+)"', page.text)
    return page, handle[1]


async def test_an_answer_that_has_to_name_its_server_and_does_not_is_refused(clinician, monkeypatch):
    discovery = clinician.container.discovery
    said = await discovery.smart(clinician.container.ehrs.get("sandbox"))

    async def promises(_):
        return said.model_copy(update={"authorization_response_iss_parameter_supported": True})

    monkeypatch.setattr(discovery, "smart", promises)
    without, named = await clinician.to_callback(), await clinician.to_callback()

    # RFC 9207, 2.4: clients MUST reject an answer without iss of a server that says it sends one.
    assert (await clinician.ask(without)).status_code == 400
    assert (await clinician.ask(f"{named}&{urlencode({'iss': said.issuer})}")).status_code == 303


async def test_without_a_stay_the_clinician_chooses_one_of_the_patient(clinician):
    page, handle = await choosing(clinician)
    assert "Which stay is it about?" in page.text
    assert 'value="Encounter/enc-ac4dcc33953d"' in page.text
    assert await rows(clinician.container, SessionRow) == 0

    chosen = {"handle": handle, "stay": "Encounter/enc-ac4dcc33953d"}
    opened = await clinician.ask("/smart/stay", method="POST", data=chosen)

    assert opened.status_code == 303
    shown = await clinician.ask(opened.headers["location"])
    assert shown.status_code == 200
    assert [name for name in clinician.cookies if "launch" in name] == []


@pytest.mark.parametrize("stay", ["Encounter/of-another-patient", "Patient/x", "", "../../metadata", None])
async def test_a_stay_that_was_not_offered_cannot_be_chosen(clinician, stay):
    _, handle = await choosing(clinician)
    form = {"handle": handle} if stay is None else {"handle": handle, "stay": stay}

    answer = await clinician.ask("/smart/stay", method="POST", data=form)

    assert answer.status_code == 403
    assert await rows(clinician.container, SessionRow) == 0


async def test_a_choice_is_made_once_and_in_the_browser_that_was_asked(clinician, new_browser):
    _, handle = await choosing(clinician)
    form = {"handle": handle, "stay": "Encounter/enc-ac4dcc33953d"}

    assert (await new_browser().ask("/smart/stay", method="POST", data=form)).status_code == 400
    assert (await clinician.ask("/smart/stay", method="POST", data=form)).status_code == 400
    assert await rows(clinician.container, SessionRow) == 0


async def test_the_handle_of_a_choice_is_no_state_and_a_state_no_handle(clinician, query):
    _, handle = await choosing(clinician)
    assert (await clinician.ask(f"/smart/callback?{urlencode({'state': handle, 'code': 'x'})}")).status_code == 503
    state = query((await clinician.ask(await clinician.launch_address())).headers["location"])["state"][0]
    form = {"handle": state, "stay": "Encounter/enc-ac4dcc33953d"}
    assert (await clinician.ask("/smart/stay", method="POST", data=form)).status_code == 503
    assert await rows(clinician.container, SessionRow) == 0


async def test_a_standalone_launch_begins_at_an_ehr_by_its_name_or_with_a_list(clinician, query):
    shown = await clinician.ask("/smart/standalone")
    assert 'href="/smart/standalone?ehr=sandbox"' in shown.text
    assert "frame-ancestors 'none'" in shown.headers["content-security-policy"]
    assert (await clinician.ask("/smart/standalone?ehr=another")).status_code == 400
    for begin in ("ehr=sandbox", urlencode({"iss": clinician.ehr.fhir_base})):
        started = await clinician.ask(f"/smart/standalone?{begin}")
        assert "launch/patient" in query(started.headers["location"])["scope"][0].split()


@pytest.mark.requirement(
    "a3",
    "hl7.fhir.uv.smart-app-launch_2.2.0@52",
    "If [clients are] using the HTTP POST method [for Authorization Requests], the request parameters "
    "are serialized using Form Serialization and the application/x-www-form-urlencoded content type.",
)
async def test_a_request_too_long_for_an_address_is_sent_as_a_form(clinician, query):
    padded = "x" * 1900

    answer = await clinician.ask(f"/smart/launch?{urlencode({'iss': clinician.ehr.fhir_base, 'launch': padded})}")

    assert answer.status_code == 200
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', answer.text))
    assert f'<form method="post" action="{clinician.ehr.base_url}/auth/authorize" data-submit>' in answer.text
    assert fields["launch"] == padded
    assert fields["code_challenge_method"] == "S256"
    policy = answer.headers["content-security-policy"]
    assert f"form-action 'self' {clinician.ehr.base_url};" in policy
    assert "unsafe" not in policy
    # The EHR does not know this launch and says so; what matters is that it takes the form.
    refused = await clinician.http.post(f"{clinician.ehr.base_url}/auth/authorize", data=fields)
    assert query(refused.headers["location"])["error"] == ["invalid_request"]
    assert query(refused.headers["location"])["state"] == [fields["state"]]


async def test_pages_about_a_launch_may_only_be_framed_by_registered_ehrs(clinician):
    answer = await clinician.ask("/smart/callback?state=x&code=y")

    policy = answer.headers["content-security-policy"]
    assert f"frame-ancestors {clinician.ehr.base_url}" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.requirement(
    "a9",
    "hl7.fhir.uv.smart-app-launch_2.2.0@8",
    "Apps SHOULD persist tokens and other sensitive data in app-specific storage locations only",
)
async def test_tokens_and_names_are_not_readable_in_the_database(clinician, tmp_path):
    await clinician.launch()

    raw = b"".join(file.read_bytes() for file in tmp_path.glob("facade.sqlite3*"))
    assert raw
    for secret in (b"access_token", b"eyJ", b"Knight", b"Practitioner/", *map(str.encode, clinician.cookies.values())):
        assert secret not in raw
