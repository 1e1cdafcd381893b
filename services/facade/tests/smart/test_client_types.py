"""What the launched app sends in each of the three ways it may be registered, to the real sandbox EHR."""

import base64
import json
import time
from urllib.parse import parse_qs, unquote_plus

import pytest
from facade.ehr.assertion import ASSERTION_TYPE
from facade.ehr.client_authentication import client_secret_path

SECRET = "a secret: with + and / and a colon"
ENCOUNTER = "Encounter/enc-ac4dcc33953d"


@pytest.fixture
def registration():
    return {}


@pytest.fixture
async def settings_for(settings_for, sandbox, registration, secrets):
    """A registration with the changes that a test names; the secret an EHR gave us is in the store."""
    await secrets.write(client_secret_path("sandbox"), {"secret": SECRET})

    def make(**changes):
        settings = settings_for(**changes)
        scopes = f"{sandbox.entry['launch_scopes']} online_access"
        settings.ehrs_file.write_text(json.dumps([{**sandbox.entry, "launch_scopes": scopes, **registration}]))
        return settings

    return make


def token_requests(container):
    """The token requests of the launched app from now on, each with its form."""
    seen = []

    async def note(request):
        if request.url.path == "/auth/token" and b"client_credentials" not in request.content:
            form = parse_qs(request.content.decode(), strict_parsing=True)
            seen.append((request, {name: values[0] for name, values in form.items()}))

    container.http.event_hooks["request"].append(note)
    return seen


async def launched_and_refreshed(clinician):
    """Launch, refresh the token, and return both token requests."""
    seen = token_requests(clinician.container)
    window = (await clinician.open(ENCOUNTER)).rpartition("/")[2]
    sessions = clinician.container.sessions
    session = await sessions.find(window, clinician.cookies[f"preceptor-session-{window}"])
    old = session.context.model_copy(update={"token_expires_at": session.context.token_expires_at.replace(year=2020)})
    await sessions.replace(session, old)
    await clinician.container.user_access.confirm(session)
    kept = await sessions.context(session)
    assert kept.refresh_token not in (None, old.refresh_token)
    code, refresh = seen
    assert code[1]["grant_type"] == "authorization_code"
    assert code[1].keys() >= {"code", "redirect_uri", "code_verifier"}
    assert refresh[1]["grant_type"] == "refresh_token"
    assert refresh[1]["refresh_token"] == old.refresh_token
    for request, _ in seen:
        assert request.method == "POST"
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    return seen


def decoded(part):
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


@pytest.mark.requirement(
    "a4",
    "hl7.fhir.uv.smart-app-launch_2.2.0@71",
    "[When an app requests an access token the] `client_id`[parameter is] required for `public apps`",
)
@pytest.mark.parametrize(
    "registration", [{"launch_client_id": "preceptor-public", "launch_client_type": "public"}], ids=["public"]
)
async def test_a_public_client_names_itself_and_proves_nothing(clinician, registration):
    for request, form in await launched_and_refreshed(clinician):
        assert form["client_id"] == "preceptor-public"
        assert "authorization" not in request.headers
        assert "client_assertion" not in form


@pytest.mark.requirement(
    "a4",
    "hl7.fhir.uv.smart-app-launch_2.2.0@345",
    "the client authenticates by supplying an Authorization header with HTTP Basic authentication, where the username "
    "is the app’s client_id and the password is the app’s client_secret.",
)
@pytest.mark.requirement(
    "a4",
    "hl7.fhir.uv.smart-app-launch_2.2.0@72",
    "[when an app requests an access token the] `client_id`[parameter is] ...omit[ed] for `confidential apps`",
)
@pytest.mark.parametrize(
    "registration",
    [{"launch_client_id": "preceptor-symmetric", "launch_client_type": "confidential-symmetric"}],
    ids=["confidential-symmetric"],
)
async def test_a_client_with_a_secret_sends_it_by_basic_and_nothing_in_the_body(clinician, registration):
    for request, form in await launched_and_refreshed(clinician):
        scheme, _, credentials = request.headers["authorization"].partition(" ")
        user, _, secret = base64.b64decode(credentials).decode().partition(":")
        assert (scheme, unquote_plus(user), unquote_plus(secret)) == ("Basic", "preceptor-symmetric", SECRET)
        assert not {"client_id", "client_secret", "client_assertion"} & form.keys()


@pytest.mark.requirement(
    "a4",
    "hl7.fhir.uv.smart-app-launch_2.2.0@62",
    "After obtaining an authorization code the app trades the code for an access token... [by issusing] "
    "an HTTP `POST` to the EHR authorization server’s token endpoint URL using content-type",
)
@pytest.mark.requirement(
    "a4",
    "hl7.fhir.uv.smart-app-launch_2.2.0@64",
    "For `confidential apps`, authentication is required [when making requests to the token endpoint].",
)
@pytest.mark.requirement(
    "a4",
    "hl7.fhir.uv.smart-app-launch_2.2.0@65",
    "Confidential clients SHOULD use [Asymmetric "
    "Authentication](https://hl7.org/fhir/smart-app-launch/STU2.2/client-confidential-asymmetric.html) "
    "[for authentication when making requests to the",
)
@pytest.mark.requirement(
    "a4",
    "hl7.fhir.uv.smart-app-launch_2.2.0@67",
    "[When an app requests an access token the] `grant_type`[parameter is] `required` [and SHALL contain "
    "the] fixed value: `authorization_code`",
)
@pytest.mark.requirement(
    "a4",
    "hl7.fhir.uv.smart-app-launch_2.2.0@68",
    "[When an app requests an access token the] `code`[parameter is] `required` [and SHALL contain the "
    "authorizaion c]ode that the app received from the authorization server",
)
@pytest.mark.requirement(
    "a4",
    "hl7.fhir.uv.smart-app-launch_2.2.0@69",
    "[When an app requests an access token the] `redirect_uri`[parameter is] `required`[and SHALL "
    "contain the] same redirect_uri used in the initial authorization request",
)
@pytest.mark.requirement(
    "a4",
    "hl7.fhir.uv.smart-app-launch_2.2.0@70",
    "[When an app requests an access token the] `code_verifier`[parameter is] `required`[and SHALL be] "
    "... used to verify against the `code_challenge` parameter previously provided in the",
)
@pytest.mark.requirement(
    "a5",
    "hl7.fhir.uv.smart-app-launch_2.2.0@317",
    "[T]he client SHALL use [their assigned `client_id`] when requesting an access token.",
)
@pytest.mark.requirement(
    "a5",
    "hl7.fhir.uv.smart-app-launch_2.2.0@319",
    "Before a client can request an access token, it SHALL generate a one-time-use JSON Web Token (JWT) "
    "that will be used to authenticate the client to the FHIR authorization server.",
)
@pytest.mark.requirement(
    "a5",
    "hl7.fhir.uv.smart-app-launch_2.2.0@320",
    "The authentication JWT … SHALL be signed with the client’s private key (which SHOULD be an `RS384` "
    "or `ES384` signature).",
)
@pytest.mark.requirement(
    "a5",
    "hl7.fhir.uv.smart-app-launch_2.2.0@321",
    "[When] a client generate[s] a one-time-use JSON Web Token (JWT)… [the]`alg`[Authentication JWT "
    "header value is] `required` [and SHALL contain t]he JWA algorithm (e.g., RS384, ES384) used",
)
@pytest.mark.requirement(
    "a5",
    "hl7.fhir.uv.smart-app-launch_2.2.0@322",
    "[When] a client generate[s] a one-time-use JSON Web Token (JWT)… [the]`kid`[Authentication JWT "
    "header value is] `required` [and SHALL contain t]he identifier of the key-pair used to sign",
)
@pytest.mark.requirement(
    "a5",
    "hl7.fhir.uv.smart-app-launch_2.2.0@323",
    "[When] a client generate[s] a one-time-use JSON Web Token (JWT)… [the]`typ`[header value is] "
    "`required`[with] Fixed value: JWT.",
)
@pytest.mark.requirement(
    "a5",
    "hl7.fhir.uv.smart-app-launch_2.2.0@327",
    "[When] a client generate[s] a one-time-use JSON Web Token (JWT)… [the]`iss`[claim is] `required`… "
    "[and] SHALL [contain the] Issuer of the JWT --the client's `client_id`, as determined",
)
@pytest.mark.requirement(
    "a5",
    "hl7.fhir.uv.smart-app-launch_2.2.0@328",
    "[When] a client generate[s] a one-time-use JSON Web Token (JWT)… [the]`sub`[claim is] `required`… "
    "[and] SHALL [contain] The client's `client_id`, as determined during registration with the",
)
@pytest.mark.requirement(
    "a5",
    "hl7.fhir.uv.smart-app-launch_2.2.0@329",
    "[When] a client generate[s] a one-time-use JSON Web Token (JWT)… [the]`aud`[claim is] `required`… "
    '[and] SHALL [contain] The FHIR authorization server\'s "token URL" (the same URL to which',
)
@pytest.mark.requirement(
    "a5",
    "hl7.fhir.uv.smart-app-launch_2.2.0@332",
    "[When] a client generate[s] a one-time-use JSON Web Token (JWT)… [the]`jti`[claim is] `required`… "
    "[and] SHALL [contain a] nonce string value that uniquely identifies this authentication JWT",
)
@pytest.mark.requirement(
    "a5",
    "hl7.fhir.uv.smart-app-launch_2.2.0@333",
    "[When the client requests an access token] … [the]`client_assertion_type`[parameter is] `required`… "
    "[and] SHALL [contain the] Fixed value:",
)
@pytest.mark.requirement(
    "a5",
    "hl7.fhir.uv.smart-app-launch_2.2.0@334",
    "[When the client requests an access token] … [the]`client_assertion`[parameter is] `required`… "
    "[and] SHALL [contain the] Signed authentication JWT value",
)
@pytest.mark.requirement(
    "a6",
    "hl7.fhir.uv.smart-app-launch_2.2.0@106",
    "[When requesting a new access token using a refresh token the] `refresh_token` [parameter is] "
    "`required`[and SHALL contain the] The refresh token from a prior authorization response",
)
@pytest.mark.requirement(
    "a5",
    "hl7.fhir.uv.smart-app-launch_2.2.0@308",
    "The client SHALL support ... `RS384` … for the JSON Web Algorithm (JWA) header parameter",
)
@pytest.mark.requirement(
    "a5",
    "hl7.fhir.uv.smart-app-launch_2.2.0@309",
    "The client SHALL support ... `ES384` for the JSON Web Algorithm (JWA) header parameter",
)
@pytest.mark.requirement(
    "a5",
    "hl7.fhir.uv.smart-app-launch_2.2.0@331",
    "[the]`exp`[claim] ... SHALL be no more than five minutes in the future.",
)
@pytest.mark.requirement(
    "a5",
    "hl7.fhir.uv.smart-app-launch_2.2.0@325",
    "When [the `jku` Authentication JWT header value is] present, this SHALL match the JWKS URL value that the client "
    "supplied to the FHIR authorization server at client registration time.",
)
@pytest.mark.requirement(
    "a6",
    "hl7.fhir.uv.smart-app-launch_2.2.0@117",
    "`refresh_token` [parameter is] present, the app should discard any previous refresh_token associated "
    "with this launch and replace it with this new value",
)
@pytest.mark.parametrize(
    "registration",
    [{"signing_algorithm": "RS384", "assertion_jku": True}, {"signing_algorithm": "ES384"}],
    ids=["RS384 with jku", "ES384"],
)
async def test_a_client_with_a_key_signs_a_new_assertion_for_each_request(clinician, registration):
    keys = (await clinician.http.get(f"{clinician.facade_url}/.well-known/jwks.json")).json()["keys"]
    identifiers = set()
    for request, form in await launched_and_refreshed(clinician):
        assert not {"client_id", "client_secret"} & form.keys()
        assert "authorization" not in request.headers
        assert form["client_assertion_type"] == ASSERTION_TYPE
        header, claims = (decoded(part) for part in form["client_assertion"].split(".")[:2])
        assert (header["typ"], header["alg"]) == ("JWT", registration["signing_algorithm"])
        assert [one["alg"] for one in keys if one["kid"] == header["kid"]] == [header["alg"]]
        wanted = f"{clinician.facade_url}/.well-known/jwks.json" if "assertion_jku" in registration else None
        assert header.get("jku") == wanted
        assert claims["iss"] == claims["sub"] == "preceptor"
        assert claims["aud"] == f"{clinician.ehr.base_url}/auth/token" == str(request.url)
        assert 0 < claims["exp"] - time.time() <= 300
        identifiers.add(claims["jti"])
    assert len(identifiers) == 2


@pytest.mark.requirement(
    "a8",
    "hl7.fhir.uv.smart-app-launch_2.2.0@147",
    "clients should examine the granted scopes by the authorization server and respond accordingly.",
)
@pytest.mark.parametrize(
    "registration",
    [{"launch_scopes": "openid fhirUser launch patient/Encounter.rs user/Organization.rs user/Coverage.rs"}],
    ids=["narrower"],
)
async def test_the_page_works_with_what_was_granted_and_says_what_was_not(clinician, registration):
    page = await clinician.ask(await clinician.open(ENCOUNTER))

    assert page.status_code == 200
    assert "The EHR did not grant: user/Organization.rs; user/Coverage.rs." in page.text
    assert "The EHR did not allow the patient's name to be read" in page.text
