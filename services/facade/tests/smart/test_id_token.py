"""Forged and faulty id_tokens, one rule broken at a time."""

import base64
import hashlib
import hmac
import json
import time

import pytest
from facade.smart.errors import IdentityRefused
from facade.smart.id_token import verify_id_token
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

ISSUER = "https://ehr.example.org/fhir"
KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
OTHER = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
CURVE = ECKey.generate_key("P-384", {"kid": "curve", "use": "sig"})
KEYS = KeySet([KEY, CURVE]).as_dict(private=False)
NOW = 1_800_000_000


def claims(**changes):
    good = {
        "iss": ISSUER,
        "sub": "dr-1",
        "aud": "preceptor",
        "iat": NOW,
        "exp": NOW + 300,
        "nonce": "n",
        "fhirUser": f"{ISSUER}/Practitioner/dr-1",
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def signed(body=None, *, key=KEY, alg="RS256", kid="one", **header):
    return jwt.encode({"alg": alg, "kid": kid, **header}, body or claims(), key, algorithms=[alg])


def verify(token, keys=KEYS):
    return verify_id_token(
        token, keys, issuer=ISSUER, client_id="preceptor", nonce="n", fhir_base=ISSUER, now=float(NOW)
    )


def encoded(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def by_hand(header, body, sign=lambda _: b""):
    """A token that no honest library makes."""
    signing_input = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(body).encode())}"
    return f"{signing_input}.{encoded(sign(signing_input.encode()))}"


def with_the_public_key(signing_input):
    return hmac.new(KEY.as_pem(private=False), signing_input, hashlib.sha256).digest()


@pytest.mark.parametrize(("key", "alg", "kid"), [(KEY, "RS256", "one"), (CURVE, "ES384", "curve")])
def test_a_sound_token_names_the_clinician(key, alg, kid):
    assert verify(signed(key=key, alg=alg, kid=kid)) == "Practitioner/dr-1"


def test_a_relative_fhir_user_is_of_this_ehr():
    assert verify(signed(claims(fhirUser="PractitionerRole/r-1"))) == "PractitionerRole/r-1"


def test_several_audiences_need_us_as_the_authorized_party():
    assert verify(signed(claims(aud=["preceptor", "other"], azp="preceptor"))) == "Practitioner/dr-1"


FORGED = {
    "alg none": by_hand({"alg": "none", "kid": "one"}, claims()),
    "alg none, spelt otherwise": by_hand({"alg": "nOnE", "kid": "one"}, claims()),
    "HMAC with the public key": by_hand({"alg": "HS256", "kid": "one"}, claims(), with_the_public_key),
    "signed by a stranger": signed(key=OTHER),
    "kid of no key": signed(kid="two"),
    "changed after signing": signed().rpartition(".")[0] + "x." + signed().rpartition(".")[2],
    "not a token": "a.b.c",
    "empty": "",
    "wrong iss": signed(claims(iss=f"{ISSUER}/")),
    "no iss": signed(claims(iss=None)),
    "wrong aud": signed(claims(aud="other")),
    "aud among others without azp": signed(claims(aud=["preceptor", "other"])),
    "azp of another": signed(claims(azp="other")),
    "no aud": signed(claims(aud=None)),
    "expired": signed(claims(exp=NOW - 61)),
    "no exp": signed(claims(exp=None)),
    "exp is a word": signed(claims(exp="tomorrow")),
    "issued in the future": signed(claims(iat=NOW + 3600)),
    "no iat": signed(claims(iat=None)),
    "not valid yet": signed(claims(nbf=NOW + 3600)),
    "wrong nonce": signed(claims(nonce="m")),
    "no nonce": signed(claims(nonce=None)),
    "no sub": signed(claims(sub=None)),
    "no fhirUser": signed(claims(fhirUser=None)),
    "a patient": signed(claims(fhirUser=f"{ISSUER}/Patient/p-1")),
    "a clinician of another EHR": signed(claims(fhirUser="https://evil.example/fhir/Practitioner/dr-1")),
    "a clinician of an EHR whose name begins alike": signed(
        claims(fhirUser=f"{ISSUER}.evil.example/Practitioner/dr-1")
    ),
    "fhirUser is not a string": signed(claims(fhirUser=["Practitioner/dr-1"])),
}


@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED.keys())
def test_a_forged_or_faulty_token_is_refused(token):
    with pytest.raises(IdentityRefused):
        verify(token)


def test_keys_for_encryption_and_shared_secrets_do_not_verify():
    key_set = {"keys": [{**KEYS["keys"][0], "use": "enc"}, {"kty": "oct", "k": "c2VjcmV0", "kid": "one"}]}

    with pytest.raises(IdentityRefused):
        verify(signed(), key_set)


@pytest.mark.parametrize("keys", [{}, {"keys": []}, {"keys": "none"}, {"keys": [None]}])
def test_a_provider_without_keys_proves_nothing(keys):
    with pytest.raises(IdentityRefused):
        verify(signed(), keys)


def test_the_clock_is_used_when_none_is_given():
    token = signed(claims(iat=int(time.time()), exp=int(time.time()) + 60))

    assert (
        verify_id_token(token, KEYS, issuer=ISSUER, client_id="preceptor", nonce="n", fhir_base=ISSUER)
        == "Practitioner/dr-1"
    )
