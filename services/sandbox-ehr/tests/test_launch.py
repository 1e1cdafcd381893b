"""EHR launch and standalone launch: what is refused, and what an app gets in the end."""

import html
import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

APPS = ["public-app", "secret-app", "jwt-app"]
SCOPE = "openid fhirUser launch offline_access patient/Patient.rs"
DEMONSTRATION = "enc-ac4dcc33953d"
OTHER_STAY = "enc-cc756340b096"


def answered(response: httpx.Response) -> dict[str, str]:
    """The parameters that the browser is sent back to the app with."""
    assert response.status_code == 302, response.text
    address = urlsplit(response.headers["location"])
    assert f"{address.scheme}://{address.netloc}{address.path}" == "https://app.example.org/callback"
    return dict(parse_qsl(address.query))


@pytest.mark.parametrize("client", APPS)
def test_a_launch_gives_every_kind_of_client_the_stay_and_the_user(ehr: Any, client: str) -> None:
    code = ehr.code(client, SCOPE, nonce="n-1")
    answer = ehr.redeem(client, code)
    assert answer.status_code == 200, answer.text
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    given = answer.json()
    assert (given["scope"], given["expires_in"], given["token_type"]) == (SCOPE, 3600, "Bearer")
    assert f"Patient/{given['patient']}" == ehr.patient_of(DEMONSTRATION)
    assert given["encounter"] == DEMONSTRATION
    assert given["need_patient_banner"] is False
    assert ehr.http.get(given["smart_style_url"]).json()["color_text"]

    discovery = ehr.http.get("/fhir/.well-known/openid-configuration").json()
    keys = KeySet.import_key_set(ehr.http.get(discovery["jwks_uri"]).json())
    claims = jwt.decode(given["id_token"], keys, algorithms=["RS256"]).claims
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (ehr.fhir_base, client, "n-1")
    assert claims["fhirUser"] == f"{ehr.fhir_base}/Practitioner/DR-CA-001"


def test_a_cards_link_hands_its_context_over_and_a_button_none(ehr: Any) -> None:
    given = '{"document":"d","flag":"<script>"}'
    for app_context in (given, None):
        answer = ehr.authorize("public-app", SCOPE, launch=ehr.launch("public-app", app_context=app_context))
        token = ehr.redeem("public-app", answered(answer)["code"]).json()
        assert token.get("appContext") == app_context


def test_discovery_says_what_is_there(ehr: Any) -> None:
    answer = ehr.http.get("/fhir/.well-known/smart-configuration", headers={"Accept": "text/html"})
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["access-control-allow-origin"] == "*"
    found = answer.json()
    assert found["issuer"] == ehr.fhir_base
    assert found["token_endpoint"] == ehr.token_url
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert {"launch-ehr", "launch-standalone", "client-confidential-asymmetric"} <= set(found["capabilities"])
    assert found["token_endpoint_auth_signing_alg_values_supported"] == ["RS384", "ES384"]


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"client_id": None},
        {"client_id": "backend"},
        {"redirect_uri": None},
        {"redirect_uri": "https://app.example.org/callback/"},
        {"redirect_uri": "https://app.example.org/callback?x=1"},
        {"redirect_uri": "https://APP.example.org/callback"},
        {"redirect_uri": "https://attacker.example.org/callback"},
    ],
)
def test_nobody_is_redirected_before_client_and_address_are_known(ehr: Any, changes: dict[str, str]) -> None:
    answer = ehr.authorize("public-app", SCOPE, **{"launch": "x", **changes})
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"state": None}, "invalid_request"),
        ({"state": ""}, "invalid_request"),
        ({"aud": None}, "invalid_request"),
        ({"aud": "https://elsewhere.example.org/fhir"}, "invalid_request"),
        ({"aud": "SLASH"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"scope": "launch"}, None),
        ({"scope": "system/*.rs"}, "invalid_scope"),
        ({"scope": ""}, "invalid_scope"),
        ({"scope": "patient/Patient.rs"}, "invalid_request"),
        ({"launch": "made-up"}, "invalid_request"),
    ],
)
def test_a_wrong_request_is_sent_back_with_its_error(ehr: Any, changes: dict[str, str], error: str | None) -> None:
    if changes.get("aud") == "SLASH":
        changes = {"aud": f"{ehr.fhir_base}/"}
    sent: dict[str, Any] = {"launch": ehr.launch("public-app"), "scope": SCOPE, **changes}
    found = answered(ehr.authorize("public-app", **sent))
    assert found.get("error") == error
    assert ("code" in found) is (error is None)
    if sent.get("state", "s" * 32):
        assert found["state"] == "s" * 32


def test_a_parameter_sent_twice_is_refused(ehr: Any) -> None:
    answer = ehr.http.get(f"/auth/authorize?client_id=public-app&client_id=public-app&redirect_uri={ehr.base_url}")
    assert answer.status_code == 400


def test_authorize_takes_a_form_too(ehr: Any) -> None:
    by_get = ehr.authorize("public-app", SCOPE, launch=ehr.launch("public-app"))
    query = dict(parse_qsl(by_get.request.url.query.decode()))
    answer = ehr.http.post("/auth/authorize", data={**query, "launch": ehr.launch("public-app")})
    assert "code" in answered(answer)


def test_a_launch_is_good_once_and_for_its_own_client(ehr: Any) -> None:
    launch = ehr.launch("public-app")
    assert answered(ehr.authorize("jwt-app", SCOPE, launch=launch))["error"] == "invalid_request"
    assert "code" in answered(ehr.authorize("public-app", SCOPE, launch=launch))
    assert answered(ehr.authorize("public-app", SCOPE, launch=launch))["error"] == "invalid_request"


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": "w" * 64},
        {"code_verifier": None},
        {"code_verifier": "v" * 42},
        {"redirect_uri": "https://app.example.org/other?x=1"},
        {"redirect_uri": None},
        {"code": "made-up"},
    ],
)
def test_a_code_needs_its_verifier_and_address_and_has_one_try(ehr: Any, changes: dict[str, Any]) -> None:
    code = ehr.code("public-app", SCOPE)
    answer = ehr.redeem("public-app", **{"code": code, **changes})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    if "code" not in changes:
        assert ehr.redeem("public-app", code).json()["error"] == "invalid_grant"


def test_a_code_used_twice_ends_the_tokens_of_its_first_use(ehr: Any, fhir: Any) -> None:
    code = ehr.code("public-app", SCOPE)
    given = ehr.redeem("public-app", code).json()
    client = fhir(ehr, given["access_token"])
    assert client.get(f"Patient/{given['patient']}").status_code == 200
    assert ehr.redeem("public-app", code).status_code == 400
    assert client.get(f"Patient/{given['patient']}").status_code == 401
    assert ehr.refresh("public-app", given["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_code_is_no_use_to_another_client(ehr: Any) -> None:
    code = ehr.code("public-app", SCOPE)
    assert ehr.redeem("jwt-app", code).json()["error"] == "invalid_grant"
    assert ehr.redeem("public-app", code).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("client", "form", "headers"),
    [
        ("secret-app", {"client_id": "secret-app"}, {}),
        ("secret-app", {"client_id": "secret-app", "client_secret": "open sesame: 100%"}, {}),
        ("secret-app", {}, {"Authorization": "Basic c2VjcmV0LWFwcDp3cm9uZw=="}),
        ("secret-app", {}, {"Authorization": "Basic !!!"}),
        ("jwt-app", {"client_id": "jwt-app"}, {}),
        ("public-app", {}, {}),
        ("public-app", {"client_id": "nobody"}, {}),
    ],
)
def test_a_confidential_client_must_prove_itself(
    ehr: Any, client: str, form: dict[str, str], headers: dict[str, str]
) -> None:
    code = ehr.code(client, SCOPE)
    sent = {"grant_type": "authorization_code", "code": code, "redirect_uri": "https://app.example.org/callback"}
    answer = ehr.http.post("/auth/token", data={**sent, "code_verifier": "v" * 64, **form}, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    # A refused client has not used the code up.
    assert ehr.redeem(client, code).status_code == 200


@pytest.mark.parametrize("client", APPS)
def test_a_refresh_token_is_replaced_and_its_reuse_ends_everything(ehr: Any, fhir: Any, client: str) -> None:
    first = ehr.redeem(client, ehr.code(client, SCOPE)).json()
    second = ehr.refresh(client, first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert (second["patient"], second["encounter"]) == (first["patient"], first["encounter"])
    current = fhir(ehr, second["access_token"])
    assert current.get(f"Patient/{second['patient']}").status_code == 200
    assert ehr.refresh(client, first["refresh_token"]).json()["error"] == "invalid_grant"
    assert current.get(f"Patient/{second['patient']}").status_code == 401
    assert ehr.refresh(client, second["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_refresh_narrows_and_never_widens(ehr: Any) -> None:
    given = ehr.redeem("public-app", ehr.code("public-app", f"{SCOPE} patient/Condition.rs")).json()
    narrowed = ehr.refresh("public-app", given["refresh_token"], scope="patient/Condition.r").json()
    assert narrowed["scope"] == "patient/Condition.r"
    widened = ehr.refresh("public-app", narrowed["refresh_token"], scope="patient/*.rs")
    assert widened.json()["error"] == "invalid_scope"


def test_no_refresh_token_without_its_scope(ehr: Any) -> None:
    given = ehr.redeem("public-app", ehr.code("public-app", "launch patient/Patient.rs")).json()
    assert not {"refresh_token", "id_token"} & given.keys()


def test_scopes_are_narrowed_to_what_the_client_may_have(ehr: Any) -> None:
    given = ehr.redeem("public-app", ehr.code("public-app", "launch patient/Patient.rs system/Patient.rs email")).json()
    assert given["scope"] == "launch patient/Patient.rs"


def _choice(ehr: Any, scope: str) -> dict[str, str]:
    page = ehr.authorize("public-app", scope)
    assert page.status_code == 200
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    handle = re.search(r'name="request" value="([^"]+)"', page.text)
    stay = re.search(rf'<option value="([^"]+/{OTHER_STAY})"', page.text)
    assert handle and stay
    return {"request": html.unescape(handle[1]), "stay": stay[1], "practitioner": "DR-IM-001", "decision": "allow"}


def test_a_standalone_launch_lets_the_user_choose(ehr: Any) -> None:
    form = _choice(ehr, "launch/patient openid fhirUser patient/Patient.rs")
    found = answered(ehr.http.post("/auth/authorize/decision", data=form))
    given = ehr.redeem("public-app", found["code"]).json()
    assert f"Patient/{given['patient']}" == ehr.patient_of(OTHER_STAY)
    assert given["need_patient_banner"] is True
    assert "encounter" not in given
    again = ehr.http.post("/auth/authorize/decision", data=form)
    assert again.status_code == 400


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"decision": "deny"}, "access_denied"),
        ({"stay": ""}, "invalid_request"),
        ({"stay": "pt-nobody/enc-nothing"}, "access_denied"),
        ({"stay": f"pt-nobody/{DEMONSTRATION}"}, "access_denied"),
        ({"practitioner": "nobody"}, "access_denied"),
        ({"practitioner": "../Patient"}, "access_denied"),
    ],
)
def test_a_standalone_choice_must_be_a_real_one(ehr: Any, changes: dict[str, str], error: str) -> None:
    form = _choice(ehr, "launch/patient patient/Patient.rs") | changes
    assert answered(ehr.http.post("/auth/authorize/decision", data=form))["error"] == error


def test_a_code_expires(ehr: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    code = ehr.code("public-app", SCOPE)
    grants = ehr.container.grants
    monkeypatch.setattr(grants, "clock", lambda now=grants.clock: now() + 61)
    assert ehr.redeem("public-app", code).json()["error"] == "invalid_grant"
