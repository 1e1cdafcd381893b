"""Forged, replayed and faulty id_tokens, one rule broken at a time; each goes the whole way from discovery on."""

import base64
import hashlib
import hmac
import json

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from facade.ehr.discovery import Discovery
from facade.ehr.registry import Ehr
from facade.jwt_keys import RemoteKeySets
from facade.smart.authorization_server import AuthorizationServer
from facade.smart.errors import EhrUnavailable, IdentityRefused
from joserfc.jwk import ECKey, KeySet, RSAKey

ISSUER = "https://ehr.example.org/fhir"
KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
OTHER = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
CURVE = ECKey.generate_key("P-384", {"kid": "curve", "use": "sig"})
KEYS = KeySet([KEY, CURVE]).as_dict(private=False)
NOW = 1_800_000_000
EHR = Ehr(
    id="main",
    name="An EHR",
    issuer=ISSUER,
    fhir_base=ISSUER,
    backend_client_id="preceptor-backend",
    backend_scopes="system/Encounter.rs",
    launch_client_id="preceptor",
    launch_scopes="openid fhirUser launch",
    encounter_topic="https://ehr.example.org/topic",
)


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
    """A token whose signature is right for ``key``; only what the caller changes is wrong with it."""
    return by_hand({"alg": alg, "kid": kid, **header}, claims() if body is None else body, SIGNERS[alg](key))


def rsa_signer(key):
    return lambda message: key.private_key.sign(message, padding.PKCS1v15(), hashes.SHA256())


def pss_signer(key):
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    return lambda message: key.private_key.sign(message, pss, hashes.SHA256())


def ec_signer(key):
    def sign(message):
        r, s = decode_dss_signature(key.private_key.sign(message, ec.ECDSA(hashes.SHA384())))
        return r.to_bytes(48, "big") + s.to_bytes(48, "big")

    return sign


def nothing(_):
    return b""


SIGNERS = {"RS256": rsa_signer, "PS256": pss_signer, "ES384": ec_signer}


async def verify(token, keys=KEYS, *, issuer_said=ISSUER, jwks_uri=f"{ISSUER}/jwks", nonce="n", now=NOW):
    """Verify as a launch does, with an OpenID provider that publishes these documents; return what it was asked."""
    asked = []

    def answer(request):
        asked.append(str(request.url))
        if request.url.path.endswith("/openid-configuration"):
            return httpx.Response(200, json={"issuer": issuer_said, "jwks_uri": jwks_uri})
        return httpx.Response(200, json=keys)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        server = AuthorizationServer(http, Discovery(http), None, RemoteKeySets(http))
        try:
            return await server.clinician(EHR, ISSUER, token, nonce, float(now))
        finally:
            allowed = {f"{ISSUER}/.well-known/openid-configuration", f"{ISSUER}/jwks"}
            assert set(asked) <= allowed, "a token or document led to an address that is not registered"


def encoded(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def by_hand(header, body, sign=None):
    """A token that no honest library makes; signed with the right key unless ``sign`` says otherwise."""
    sign = sign or rsa_signer(KEY)
    signing_input = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(body).encode())}"
    return f"{signing_input}.{encoded(sign(signing_input.encode()))}"


def with_the_public_key(signing_input):
    return hmac.new(KEY.as_pem(private=False), signing_input, hashlib.sha256).digest()


@pytest.mark.requirement(
    "a7",
    "hl7.fhir.uv.smart-app-launch_2.2.0@218",
    "1. Examine the ID token for its “issuer” property 2.Perform a `GET {issuer}/.well-known/openid-configuration` "
    "3.Fetch the server’s JSON Web Key by following the “jwks_uri” property [...] 4. Validate the token’s signature "
    "against the public key [...] 5.Extract the fhirUser claim",
)
@pytest.mark.parametrize(("key", "alg", "kid"), [(KEY, "RS256", "one"), (CURVE, "ES384", "curve")])
async def test_a_sound_token_names_the_clinician(key, alg, kid):
    assert await verify(signed(key=key, alg=alg, kid=kid)) == "Practitioner/dr-1"


async def test_a_relative_fhir_user_is_of_this_ehr():
    assert await verify(signed(claims(fhirUser="PractitionerRole/r-1"))) == "PractitionerRole/r-1"


async def test_several_audiences_need_us_as_the_authorized_party():
    assert await verify(signed(claims(aud=["preceptor", "other"], azp="preceptor"))) == "Practitioner/dr-1"


def body_swapped():
    good, other = signed(), signed(claims(sub="dr-2", fhirUser=f"{ISSUER}/Practitioner/dr-2"))
    return ".".join([good.split(".")[0], other.split(".")[1], good.split(".")[2]])


def attacker(**header):
    return signed(key=OTHER, **header)


FORGED = {
    "alg none": by_hand({"alg": "none", "kid": "one"}, claims(), nothing),
    "alg none, spelt otherwise": by_hand({"alg": "nOnE", "kid": "one"}, claims(), nothing),
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
    "brings its own key": attacker(jwk=OTHER.as_dict(private=False)),
    "names a key set elsewhere": attacker(jku="https://evil.example/jwks"),
    "names our key set of another": signed(jku=f"{ISSUER}/jwks"),
    "names a certificate elsewhere": attacker(x5u="https://evil.example/cert"),
    "brings a certificate": attacker(x5c=["MIIB"]),
    "has a critical extension": by_hand({"alg": "RS256", "kid": "one", "crit": ["x"], "x": 1}, claims()),
    "payload is not encoded": by_hand({"alg": "RS256", "kid": "one", "b64": False, "crit": ["b64"]}, claims()),
    "compressed": by_hand({"alg": "RS256", "kid": "one", "zip": "DEF"}, claims()),
    "no alg": by_hand({"kid": "one"}, claims()),
    "alg is a list": by_hand({"alg": ["RS256"], "kid": "one"}, claims()),
    "alg of another use of the key": signed(alg="PS256"),
    "EC alg with an RSA key": by_hand({"alg": "ES256", "kid": "one"}, claims()),
    "RSA alg with an EC key": by_hand({"alg": "RS256", "kid": "curve"}, claims(), ec_signer(CURVE)),
    "EC signature of zeros": by_hand({"alg": "ES384", "kid": "curve"}, claims(), lambda _: bytes(96)),
    "EC alg of another curve": by_hand({"alg": "ES256", "kid": "curve"}, claims(), lambda _: bytes(64)),
    "HS384 with the public key": by_hand(
        {"alg": "HS384", "kid": "one"},
        claims(),
        lambda one: hmac.new(KEY.as_pem(private=False), one, hashlib.sha384).digest(),
    ),
    "kid is a number": by_hand({"alg": "RS256", "kid": 1}, claims()),
    "kid is a path": by_hand({"alg": "RS256", "kid": "../../dev/null"}, claims()),
    "kid is an SQL text": by_hand({"alg": "RS256", "kid": "x' UNION SELECT 'y"}, claims()),
    "huge header": by_hand({"alg": "RS256", "kid": "one", "x": "y" * 20_000}, claims()),
    "deep header": f"{encoded(b'[' * 3000)}.e30.",
    "signature removed": signed().rpartition(".")[0] + ".",
    "signature of another token": body_swapped(),
    "four parts": signed() + ".x",
    "encrypted form": ".".join(["e30"] * 5),
    "JSON form": json.dumps({"payload": signed().split(".")[1], "signatures": []}),
    "with a line break": signed() + "\n",
    "not ASCII": signed() + "\u0131",
    "claims are a list": by_hand({"alg": "RS256", "kid": "one"}, [claims()]),
    "iss is a list": signed(claims(iss=[ISSUER])),
    "iss of another registered EHR": signed(claims(iss="https://other.example.org/fhir")),
    "aud is an object": signed(claims(aud={"preceptor": True})),
    "aud in upper case": signed(claims(aud="PRECEPTOR")),
    "aud is empty": signed(claims(aud=[])),
    "lives for years": signed(claims(exp=NOW + 10 * 365 * 86_400)),
    "issued years ago": signed(claims(iat=NOW - 10 * 365 * 86_400)),
    "exp is true": signed(claims(exp=True)),
    "exp is infinite": signed(claims(exp=float("inf"))),
    "exp is not a number": signed(claims(exp=float("nan"))),
    "nonce is a list": signed(claims(nonce=["n"])),
    "nonce with a blank": signed(claims(nonce="n ")),
    "fhirUser climbs": signed(claims(fhirUser=f"{ISSUER}/../fhir/Practitioner/dr-1")),
    "fhirUser with user information": signed(
        claims(fhirUser="https://ehr.example.org@evil.example/fhir/Practitioner/1")
    ),
    "fhirUser with a query": signed(claims(fhirUser=f"{ISSUER}/Practitioner/dr-1?x=y")),
    "fhirUser with a fragment": signed(claims(fhirUser=f"{ISSUER}/Practitioner/dr-1#x")),
    "a device": signed(claims(fhirUser=f"{ISSUER}/Device/d-1")),
}


@pytest.mark.requirement("a7", "", "id_token: issuer discovery, JWKS, signature, `iss`, `aud`, `nonce`, `exp`")
@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED.keys())
async def test_a_forged_or_faulty_token_is_refused(token):
    with pytest.raises(IdentityRefused):
        await verify(token)


def test_enough_ways_are_tried():
    assert len(FORGED) >= 60


async def test_a_token_of_one_launch_does_not_open_another():
    first = signed(claims(nonce="of the first launch"))

    assert await verify(first, nonce="of the first launch") == "Practitioner/dr-1"
    with pytest.raises(IdentityRefused):
        await verify(first, nonce="of the second launch")
    with pytest.raises(IdentityRefused):
        await verify(first, nonce="of the first launch", now=NOW + 3600)


@pytest.mark.parametrize(
    "keys",
    [
        {"keys": [{**KEYS["keys"][0], "use": "enc"}, {"kty": "oct", "k": "c2VjcmV0", "kid": "two"}]},
        {"keys": []},
        {"keys": [None]},
        {"keys": [OTHER.as_dict(private=False)]},
    ],
    ids=["only for encryption or shared", "none", "nothing", "another's"],
)
async def test_a_key_set_without_the_key_proves_nothing(keys):
    with pytest.raises(IdentityRefused):
        await verify(signed(), keys)


@pytest.mark.parametrize(
    "keys",
    [{}, {"keys": "none"}, [], {"keys": [*KEYS["keys"], OTHER.as_dict(private=False)]}],
    ids=["empty", "a word", "a list", "two keys under one kid"],
)
async def test_what_is_no_sound_key_set_is_not_used(keys):
    with pytest.raises(EhrUnavailable):
        await verify(signed(), keys)


@pytest.mark.parametrize("issuer_said", [f"{ISSUER}/", "https://evil.example", None])
async def test_a_provider_that_calls_itself_otherwise_is_refused(issuer_said):
    with pytest.raises(IdentityRefused):
        await verify(signed(), issuer_said=issuer_said)


@pytest.mark.parametrize(
    "jwks_uri",
    ["https://evil.example/jwks", "https://other.example.org/jwks", "http://ehr.example.org/jwks", "/jwks", None],
)
async def test_keys_are_not_read_from_an_origin_the_ehr_is_not_registered_with(jwks_uri):
    with pytest.raises(IdentityRefused):
        await verify(signed(), jwks_uri=jwks_uri)
