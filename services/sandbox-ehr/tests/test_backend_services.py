"""Backend Services: which client assertions are believed, and what a token may then do."""

import base64
import hmac
import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA384

SCOPE = "system/Patient.r"

# What is wrong -> the changes of an otherwise good assertion.
WRONG_CLAIMS: dict[str, dict[str, Any]] = {
    "iss of nobody": {"iss": "nobody"},
    "sub of another": {"sub": "narrow"},
    "no sub": {"sub": None},
    "aud of the FHIR base": {"aud": "http://localhost/fhir"},
    "aud with a slash more": {"aud": "SLASH"},
    "several aud": {"aud": "SEVERAL"},
    "no aud": {"aud": None},
    "expired": {"exp": 1},
    "expires in more than five minutes": {"exp": 10**11},
    "exp that is no number": {"exp": "tomorrow"},
    "exp that is not a number": {"exp": float("nan")},
    "exp true": {"exp": True},
    "no exp": {"exp": None},
    "no jti": {"jti": None},
    "empty jti": {"jti": ""},
    "endless jti": {"jti": "j" * 300},
    "issued in the future": {"iat": 10**11},
    "not valid yet": {"nbf": 10**11},
}
WRONG_HEADERS: dict[str, dict[str, Any]] = {
    "RS256": {"alg": "RS256"},
    "no kid": {"kid": None},
    "unknown kid": {"kid": "rsa-2"},
    "kid of the other key": {"kid": "ec-1"},
    "no typ": {"typ": None},
    "another typ": {"typ": "at+jwt"},
    "jku elsewhere": {"jku": "https://attacker.example.org/jwks"},
}


@pytest.mark.parametrize("key", ["rsa", "ec"])
def test_a_good_assertion_gives_a_short_lived_token(ehr: Any, keys: dict[str, Any], key: str) -> None:
    answer = ehr.ask("backend", SCOPE, ehr.assertion("backend", key=keys[key]))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() | {"access_token": ""} == {
        "access_token": "",
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": SCOPE,
    }


@pytest.mark.parametrize("wrong", WRONG_CLAIMS)
def test_an_assertion_with_wrong_claims_is_refused(ehr: Any, wrong: str) -> None:
    changes = dict(WRONG_CLAIMS[wrong])
    if changes.get("aud") == "SLASH":
        changes["aud"] = f"{ehr.token_url}/"
    if changes.get("aud") == "SEVERAL":
        changes["aud"] = [ehr.token_url, "https://elsewhere.example.org"]
    _refused(ehr.ask("backend", SCOPE, ehr.assertion("backend", **changes)))


@pytest.mark.parametrize("wrong", WRONG_HEADERS)
def test_an_assertion_with_a_wrong_header_is_refused(ehr: Any, wrong: str) -> None:
    _refused(ehr.ask("backend", SCOPE, ehr.assertion("backend", header=WRONG_HEADERS[wrong])))


def test_a_stranger_with_the_right_kid_is_refused(ehr: Any, keys: dict[str, Any]) -> None:
    _refused(ehr.ask("backend", SCOPE, ehr.assertion("backend", key=keys["stranger"])))


STRANGERS: dict[str, dict[str, Any]] = {
    "brings its own key": {"jwk": "STRANGER"},
    "brings a certificate": {"x5c": ["MIIB"]},
    "names a certificate": {"x5u": "https://attacker.example.org/cert"},
    "names a key set": {"jku": "https://attacker.example.org/jwks"},
    "has a critical extension": {"crit": ["exp"], "exp": 1},
    "has a huge header": {"x": "y" * 20_000},
    "has a kid that is a path": {"kid": "../../rsa-1"},
    "has a kid of two keys": {"kid": ["rsa-1", "ec-1"]},
}


@pytest.mark.parametrize("header", STRANGERS.values(), ids=STRANGERS)
def test_a_stranger_cannot_bring_or_name_a_key(ehr: Any, keys: dict[str, Any], header: dict[str, Any]) -> None:
    stranger = keys["stranger"]
    shown = {name: stranger.as_dict(private=False) if value == "STRANGER" else value for name, value in header.items()}
    sent = {"alg": "RS384", "typ": "JWT", "kid": "rsa-1", **shown}
    claims = {"iss": "backend", "sub": "backend", "aud": ehr.token_url, "exp": time.time() + 200, "jti": "x"}
    signed = f"{_encoded(sent)}.{_encoded(claims)}"
    code = stranger.private_key.sign(signed.encode(), PKCS1v15(), SHA384())
    _refused(ehr.ask("backend", SCOPE, f"{signed}.{base64.urlsafe_b64encode(code).rstrip(b'=').decode()}"))


@pytest.mark.parametrize("size", [96, 0, 64, 97])
def test_an_elliptic_signature_of_zeros_is_refused(ehr: Any, size: int) -> None:
    _, claims, _ = ehr.assertion("backend").split(".")
    signed = f"{_encoded({'alg': 'ES384', 'typ': 'JWT', 'kid': 'ec-1'})}.{claims}"
    _refused(ehr.ask("backend", SCOPE, f"{signed}.{base64.urlsafe_b64encode(bytes(size)).rstrip(b'=').decode()}"))


@pytest.mark.parametrize(("alg", "digest"), [("HS256", "sha256"), ("HS384", "sha384")])
def test_the_public_key_is_no_shared_secret(ehr: Any, keys: dict[str, Any], alg: str, digest: str) -> None:
    _, claims, _ = ehr.assertion("backend").split(".")
    signed = f"{_encoded({'alg': alg, 'typ': 'JWT', 'kid': 'rsa-1'})}.{claims}"
    code = hmac.new(keys["rsa"].as_pem(private=False), signed.encode(), digest).digest()
    _refused(ehr.ask("backend", SCOPE, f"{signed}.{base64.urlsafe_b64encode(code).rstrip(b'=').decode()}"))


@pytest.mark.parametrize("alg", ["none", "None", "HS384"])
def test_an_unsigned_assertion_is_refused(ehr: Any, alg: str) -> None:
    _, claims, _ = ehr.assertion("backend").split(".")
    _refused(ehr.ask("backend", SCOPE, f"{_encoded({'alg': alg, 'typ': 'JWT', 'kid': 'rsa-1'})}.{claims}."))


def test_changed_claims_break_the_signature(ehr: Any) -> None:
    header, _, signature = ehr.assertion("narrow").split(".")
    claims = {"iss": "backend", "sub": "backend", "aud": ehr.token_url, "exp": time.time() + 200, "jti": "1"}
    _refused(ehr.ask("backend", SCOPE, f"{header}.{_encoded(claims)}.{signature}"))


@pytest.mark.parametrize("garbage", ["", "x", "a.b.c", "e30.e30.", "ey" * 500, "é.é.é"])
def test_garbage_is_refused(ehr: Any, garbage: str) -> None:
    answer = ehr.http.post(
        "/auth/token",
        data={"grant_type": "client_credentials", "scope": SCOPE, "client_assertion": garbage}
        | {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
    )
    _refused(answer)


def test_an_assertion_is_good_once(ehr: Any) -> None:
    assertion = ehr.assertion("backend")
    assert ehr.ask("backend", SCOPE, assertion).status_code == 200
    _refused(ehr.ask("backend", SCOPE, assertion))


def test_a_jti_counts_for_one_client(ehr: Any) -> None:
    assert ehr.ask("backend", SCOPE, ehr.assertion("backend", jti="the-same")).status_code == 200
    assert ehr.ask("narrow", SCOPE, ehr.assertion("narrow", jti="the-same")).status_code == 200


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ("system/Observation.rs", "system/Observation.rs"),
        ("system/Observation.cruds", "system/Observation.rs"),
        ("system/*.cruds", "system/Observation.rs system/Patient.r"),
        ("system/Observation.read", "system/Observation.read"),
        ("system/Observation.rs?category=laboratory", "system/Observation.rs?category=laboratory"),
        ("system/Patient.rs system/Encounter.rs", "system/Patient.r"),
    ],
)
def test_a_client_gets_no_more_than_it_is_registered_for(ehr: Any, asked: str, granted: str) -> None:
    assert ehr.ask("narrow", asked).json()["scope"] == granted


@pytest.mark.parametrize(
    "asked", ["", "system/Encounter.rs", "user/Patient.rs", "patient/*.rs", "openid", "system/*.sr"]
)
def test_scopes_it_may_not_have_are_refused(ehr: Any, asked: str) -> None:
    answer = ehr.ask("narrow", asked)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_assertion_type": "urn:other"}, "invalid_client"),
        ({"client_secret": "x"}, "invalid_client"),
        ({"client_id": "narrow"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, "unauthorized_client"),
    ],
)
def test_the_form_must_be_right(ehr: Any, changes: dict[str, str], error: str) -> None:
    form = {"grant_type": "client_credentials", "scope": SCOPE} | changes
    answer = ehr.with_proof("backend", form)
    assert answer.status_code in (400, 401)
    assert answer.json()["error"] == error


def test_a_repeated_parameter_is_refused(ehr: Any) -> None:
    answer = ehr.http.post(
        "/auth/token",
        content=b"grant_type=client_credentials&grant_type=client_credentials",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_json_is_no_form(ehr: Any) -> None:
    answer = ehr.http.post("/auth/token", json={"grant_type": "client_credentials"})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_an_oversized_form_is_refused_as_oauth_json(ehr: Any) -> None:
    answer = ehr.ask("backend", "system/Patient.r " * 60_000)
    assert (answer.status_code, answer.json()["error"]) == (413, "invalid_request")


def test_a_revoked_token_is_dead_and_only_its_owner_revokes_it(ehr: Any) -> None:
    client = ehr.backend("system/Patient.rs")
    assert ehr.with_proof("narrow", {"token": client.token}, "/auth/revoke").status_code == 200
    assert client.get("Patient").status_code == 200
    assert ehr.with_proof("backend", {"token": client.token}, "/auth/introspect").json()["active"] is True
    assert ehr.with_proof("backend", {"token": client.token}, "/auth/revoke").status_code == 200
    assert client.get("Patient").status_code == 401
    assert ehr.with_proof("backend", {"token": client.token}, "/auth/introspect").json() == {"active": False}


def test_introspection_needs_a_client(ehr: Any) -> None:
    assert ehr.http.post("/auth/introspect", data={"token": "x"}).status_code == 401


def _encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def _refused(answer: Any) -> None:
    assert answer.status_code == 401, answer.text
    assert answer.json()["error"] == "invalid_client"
    assert "access_token" not in answer.text
