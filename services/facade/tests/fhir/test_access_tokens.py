"""Who is let in: tokens that are right, and every way in which they can be wrong, forged or used elsewhere."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jws, jwt
from joserfc.jwk import RSAKey

from .conftest import NORTH, PUBLIC, SOUTH, entry

pytestmark = pytest.mark.asyncio(loop_scope="module")

STRANGER = RSAKey.generate_key(2048)
SCOPE = "system/*.rs"
NOW = int(time.time())


def part(value):
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def parts(issuer, **claims):
    return issuer.token(NORTH, SCOPE, **claims).split(".")


def payload(issuer):
    return parts(issuer)[1]


def unsigned(alg):
    return lambda issuer: f"{part({'alg': alg, 'typ': 'at+jwt', 'kid': issuer.key.kid})}.{payload(issuer)}."


def mac(alg, digest, secret):
    def forge(issuer):
        signed = f"{part({'alg': alg, 'typ': 'at+jwt', 'kid': issuer.key.kid})}.{payload(issuer)}"
        return f"{signed}.{part(hmac.digest(secret(issuer), signed.encode(), digest))}"

    return forge


def pem(issuer):
    return issuer.key.as_pem(private=False)


def modulus(issuer):
    return issuer.key.as_dict(private=False)["n"].encode()


def claims(**changed):
    return lambda issuer: issuer.token(NORTH, SCOPE, **changed)


def audience(value):
    return lambda issuer: issuer.token(value, SCOPE)


def header(**changed):
    return lambda issuer: issuer.token(NORTH, SCOPE, header=changed)


def by_stranger(**more):
    def forge(issuer):
        head = {"alg": "RS256", "typ": "at+jwt", "kid": issuer.key.kid, **more}
        said = {"iss": issuer.url, "aud": NORTH, "client_id": "c", "scope": SCOPE, "exp": NOW + 300}
        return jwt.encode(head, said, STRANGER, algorithms=["RS256"])

    return forge


def changed_payload(issuer):
    head, body, signature = parts(issuer)
    said = json.loads(base64.urlsafe_b64decode(body + "=="))
    return f"{head}.{part({**said, 'scope': 'system/*.cruds'})}.{signature}"


def changed_header(issuer):
    _, body, signature = parts(issuer)
    return f"{part({'alg': 'RS384', 'typ': 'at+jwt', 'kid': issuer.key.kid})}.{body}.{signature}"


def anothers_signature(issuer):
    head, body, _ = parts(issuer)
    return f"{head}.{body}.{parts(issuer, sub='x')[2]}"


def raw_payload(raw):
    def forge(issuer):
        head = {"alg": "RS256", "typ": "at+jwt", "kid": issuer.key.kid}
        return jws.serialize_compact(head, raw, issuer.key, algorithms=["RS256"])

    return forge


FORGED = {
    "alg none": unsigned("none"),
    "alg None": unsigned("None"),
    "alg NONE": unsigned("NONE"),
    "alg nOnE": unsigned("nOnE"),
    "no alg": lambda issuer: f"{part({'typ': 'at+jwt', 'kid': issuer.key.kid})}.{payload(issuer)}.",
    "alg is a list": unsigned(["none"]),
    "HS256 with the public key as PEM": mac("HS256", hashlib.sha256, pem),
    "HS384 with the public key as PEM": mac("HS384", hashlib.sha384, pem),
    "HS512 with the public key as PEM": mac("HS512", hashlib.sha512, pem),
    "HS256 with the modulus": mac("HS256", hashlib.sha256, modulus),
    "HS256 with an empty secret": mac("HS256", hashlib.sha256, lambda _: b""),
    "for the EHR's own server": lambda issuer: issuer.token(f"{issuer.url}/north", SCOPE),
    "no aud": audience(None),
    "for another tenant": audience(SOUTH),
    "for the short base, with two EHRs": audience(f"{PUBLIC}/fhir"),
    "aud with a slash": audience(f"{NORTH}/"),
    "aud that begins like ours": audience(f"{NORTH}.evil.example"),
    "aud longer than ours": audience(f"{NORTH}/Composition"),
    "aud shorter than ours": audience(PUBLIC),
    "aud in capitals": audience(NORTH.upper()),
    "aud by http": audience(NORTH.replace("https", "http")),
    "aud list without ours": audience([SOUTH, "https://ehr.example.org"]),
    "aud is an object": audience({"url": NORTH}),
    "aud is empty": audience([]),
    "aud is a number": audience(1),
    "aud list that is too long": audience([NORTH, *("x" for _ in range(50))]),
    "aud is the client (an id_token)": audience("client"),
    "iss of another": claims(iss="https://evil.example"),
    "iss that begins like it": lambda issuer: issuer.token(NORTH, SCOPE, iss=f"{issuer.url}.evil.example"),
    "iss with a slash": lambda issuer: issuer.token(NORTH, SCOPE, iss=f"{issuer.url}/"),
    "no iss": claims(iss=None),
    "iss is a list": lambda issuer: issuer.token(NORTH, SCOPE, iss=[issuer.url]),
    "no kid": header(kid=None),
    "unknown kid": header(kid="another"),
    "kid that is a path": header(kid="../../../dev/null"),
    "kid that is SQL": header(kid="x' OR '1'='1"),
    "kid of the other key": lambda issuer: issuer.token(NORTH, SCOPE, header={"kid": issuer.ec_key.kid}),
    "jku of another": header(jku="https://evil.example/jwks"),
    "jku of the issuer": lambda issuer: issuer.token(NORTH, SCOPE, header={"jku": f"{issuer.url}/jwks"}),
    "an embedded key": by_stranger(jwk=STRANGER.as_dict(private=False)),
    "an embedded key under another kid": by_stranger(kid="mine", jwk=STRANGER.as_dict(private=False)),
    "x5u": header(x5u="https://evil.example/cert"),
    "x5c": header(x5c=["MIIB"]),
    "crit": lambda issuer: _with_header(issuer, crit=["exp"]),
    "crit of something unknown": lambda issuer: _with_header(issuer, crit=["x"], x=1),
    "expired": claims(exp=NOW - 1),
    "expired long ago": claims(exp=1),
    "no exp": claims(exp=None),
    "exp is text": claims(exp=str(NOW + 300)),
    "exp is true": claims(exp=True),
    "exp is a list": claims(exp=[NOW + 300]),
    "exp is beyond numbers": raw_payload(
        json.dumps({"exp": 0, "aud": NORTH, "client_id": "c"}).replace('"exp": 0', '"exp": Infinity').encode()
    ),
    "not yet valid": claims(nbf=NOW + 3_600),
    "nbf is text": claims(nbf="soon"),
    "issued in the future": claims(iat=NOW + 3_600),
    "signed by a stranger": by_stranger(),
    "the payload changed": changed_payload,
    "the header changed": changed_header,
    "the signature of another token": anothers_signature,
    "the signature cut": lambda issuer: ".".join(parts(issuer))[:-8],
    "no signature": lambda issuer: ".".join([*parts(issuer)[:2], ""]),
    "two parts": lambda issuer: ".".join(parts(issuer)[:2]),
    "five parts": lambda issuer: ".".join([*parts(issuer), "x", "y"]),
    "a huge header": lambda issuer: _with_header(issuer, pad="x" * 5_000),
    "a huge token": claims(pad="x" * 20_000),
    "typ of a client assertion": header(typ="client-authentication+jwt"),
    "typ of a logout token": header(typ="logout+jwt"),
    "typ is a number": lambda issuer: _with_header(issuer, typ=7),
    "no client": claims(client_id=None),
    "the client is a number": claims(client_id=7),
    "the client is empty": claims(client_id=""),
    "the patient is a list": claims(patient=["anna", "bert"]),
    "the scope is an object": lambda issuer: issuer.token(NORTH, {"system/*.rs": True}),
    "the payload is a list": raw_payload(b"[1]"),
    "the payload is no JSON": raw_payload(b"{"),
    "the payload is deep": raw_payload(b"[" * 5_000),
    "not a token": lambda _: "x",
    "an opaque token": lambda _: "kNbQpA7m1dY0" * 3,
}


def _with_header(issuer, **more):
    """Sign a header that the library itself would refuse to sign."""
    signed = f"{part({'alg': 'RS256', 'typ': 'at+jwt', 'kid': issuer.key.kid, **more})}.{payload(issuer)}"
    signature = issuer.key.private_key.sign(signed.encode(), padding.PKCS1v15(), SHA256())
    return f"{signed}.{part(signature)}"


class Body:
    """A request body that knows whether anybody read it."""

    def __init__(self):
        self.read = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.read = True
        yield b"status=final"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(endpoint_for, issuer):
    """Two EHRs with one issuer, and nothing in them."""
    return await endpoint_for(entry("north", issuer), entry("south", issuer))


@pytest.mark.requirement(
    "c4", "hl7.fhir.uv.smart-app-launch_2.2.0@96",
    "The resource server also validates that the `aud` parameter associated with the authorization [request] ... "
    "matches the resource server’s own FHIR endpoint.",
)  # fmt: skip
@pytest.mark.requirement(
    "c4", "hl7.fhir.uv.smart-app-launch_2.2.0@94",
    "The resource server SHALL validate the access token and ensure that it has not expired",
)  # fmt: skip
async def test_no_forged_token_is_accepted_and_no_body_read(door, issuer):
    assert len(FORGED) >= 60
    accepted, read = [], []
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for name, forge in FORGED.items():
        token = forge(issuer)
        for method, path in (("GET", "Composition"), ("POST", "Composition/_search"), ("POST", "")):
            body = Body()
            more = {"content": body.__aiter__(), "headers": form} if method == "POST" else {}
            answer = await door.ask(path, token=token, method=method, **more)
            if answer.status_code != 401 or 'error="invalid_token"' not in answer.headers["WWW-Authenticate"]:
                accepted.append((name, answer.status_code))
            assert answer.json()["resourceType"] == "OperationOutcome"
            read += [name] * body.read
    assert (accepted, read) == ([], [])


@pytest.mark.parametrize(
    "authorization",
    [
        "Basic Y2xpZW50OnNlY3JldA==",
        "Bearer",
        "Bearer ",
        "Digest x",
        "bearer\tx",
        "{0}",
        "Bearer {0} {0}",
        "Bearer {0},Bearer {0}",
        "Bearer  ä",
        "DPoP {0}",
        "Bearer\u00a0{0}",
    ],
)
async def test_what_is_no_bearer_token_is_refused(door, issuer, authorization):
    header = authorization.format(issuer.token(NORTH, SCOPE)).encode("latin-1")
    answer = await door.http.get(f"{NORTH}/Composition", headers={"Authorization": header})
    assert answer.status_code == 401


@pytest.mark.requirement(
    "c3", "", "No token: 401 with WWW-Authenticate; a token without the scope: 403; both with an OperationOutcome."
)
async def test_without_a_token_a_client_is_told_how_to_come_back(door):
    for method, path in (
        ("GET", "Composition"), ("GET", "Composition/x"), ("HEAD", "Composition/x"),
        ("GET", "Composition/x/_history/1"), ("GET", "Composition/_history"), ("POST", "Composition/_search"),
        ("POST", ""), ("PUT", "Composition/x"), ("DELETE", "Composition/x"), ("PATCH", "Composition/x"),
        ("POST", "Composition"), ("GET", ""),
    ):  # fmt: skip
        answer = await door.ask(path, method=method)
        assert answer.status_code == 401, (method, path)
        assert answer.headers["WWW-Authenticate"] == f'Bearer realm="{NORTH}"'
        if method != "HEAD":
            assert answer.json()["issue"][0]["code"] == "login"


@pytest.mark.requirement(
    "c4", "hl7.fhir.uv.smart-app-launch_2.2.0@95",
    "The resource server SHALL validate the access token and ensure that … its scope covers the requested resource.",
)  # fmt: skip
async def test_a_valid_token_without_the_scope_is_forbidden(door):
    for path, scope in (
        ("Composition", "system/Composition.r"),
        ("Composition", "system/Device.rs"),
        ("Composition/x", "system/Composition.s"),
        ("Composition/_history", "system/Composition.r"),
        ("Composition/x/_history", "system/Composition.s"),
        ("Composition", ""),
        ("Composition", "openid fhirUser launch"),
        ("Composition", "patient/Composition.rs"),
    ):
        answer = await door.ask(path, scope)
        assert (answer.status_code, answer.json()["issue"][0]["code"]) == (403, "forbidden"), (path, scope)
        assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    "right",
    [
        lambda issuer: issuer.token(NORTH, SCOPE),
        lambda issuer: issuer.token([SOUTH, NORTH], SCOPE),
        lambda issuer: issuer.token(NORTH, SCOPE, header={"typ": None}),
        lambda issuer: issuer.token(NORTH, SCOPE, header={"typ": "JWT"}),
        lambda issuer: issuer.token(NORTH, SCOPE, header={"typ": "application/at+jwt"}),
        lambda issuer: issuer.token(NORTH, SCOPE, header={"alg": "RS512"}),
        lambda issuer: issuer.token(NORTH, SCOPE, header={"alg": "PS256"}),
        lambda issuer: issuer.token(NORTH, SCOPE, header={"alg": "ES384"}),
        lambda issuer: issuer.token(NORTH, SCOPE.split()),
        lambda issuer: issuer.token(NORTH, SCOPE, client_id=None, azp="client"),
        lambda issuer: issuer.token(NORTH, SCOPE, iat=int(time.time()) + 30),
    ],
)
async def test_a_right_token_is_accepted_however_its_server_writes_it(door, issuer, right):
    assert (await door.ask("Composition", token=right(issuer))).status_code == 200


async def test_an_ehr_without_registered_tokens_lets_nobody_in(endpoint_for, issuer):
    one = await endpoint_for(entry("north", issuer, access_tokens=None))
    assert (await one.ask("Composition", SCOPE)).status_code == 401


async def test_with_one_ehr_the_short_base_is_its_base_too(endpoint_for, issuer):
    one = await endpoint_for(entry("north", issuer))
    short = f"{PUBLIC}/fhir"
    for base in (short, NORTH):
        for audience_base in (short, NORTH):
            token = issuer.token(audience_base, SCOPE)
            answer = await one.ask("Composition", token=token, base=base)
            assert answer.status_code == 200
            assert answer.json()["link"] == [{"relation": "self", "url": f"{base}/Composition"}]


async def test_with_two_ehrs_the_short_base_is_nobodys(door):
    for path in ("Composition", "metadata", ".well-known/smart-configuration"):
        assert (await door.ask(path, base=f"{PUBLIC}/fhir")).status_code == 404
    assert (await door.ask("metadata", base=f"{PUBLIC}/fhir/west")).status_code == 404


def by_introspection(issuer, *, signed=False):
    registered = {
        "issuer": issuer.url,
        "introspection_endpoint": f"{issuer.url}/introspect",
        "introspection_client_id": "preceptor-backend",
        **({"jwks_uri": f"{issuer.url}/jwks"} if signed else {}),
    }
    return entry("north", issuer, access_tokens=registered)


def active(issuer, **changed):
    said = {
        "active": True, "iss": issuer.url, "aud": NORTH, "client_id": "client", "sub": "client", "scope": SCOPE,
        "exp": int(time.time()) + 300, **changed,
    }  # fmt: skip
    return {name: value for name, value in said.items() if value is not None}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asking(endpoint_for, issuer):
    return await endpoint_for(by_introspection(issuer))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asking_both(endpoint_for, issuer):
    return await endpoint_for(by_introspection(issuer, signed=True))


async def test_an_opaque_token_is_valid_when_its_server_says_so(asking, issuer):
    issuer.introspected["opaque-1"] = active(issuer)
    answer = await asking.ask("Composition", token="opaque-1")
    assert answer.status_code == 200
    assertion = issuer.assertions[-1].split(".")[1]
    said = json.loads(base64.urlsafe_b64decode(assertion + "=="))
    assert (said["iss"], said["sub"], said["aud"]) == (
        "preceptor-backend",
        "preceptor-backend",
        f"{issuer.url}/introspect",
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"active": False},
        {"active": "true"},
        {"active": 1},
        {"active": None},
        {"aud": None},
        {"aud": SOUTH},
        {"aud": []},
        {"iss": "https://evil.example"},
        {"exp": None},
        {"exp": 1},
        {"exp": "tomorrow"},
        {"client_id": None},
        {"nbf": NOW + 3_600},
        {"patient": 7},
    ],
)
async def test_an_answer_that_does_not_say_it_is_for_us_and_now_is_a_no(asking, issuer, changed):
    issuer.introspected["opaque-2"] = active(issuer, **changed)
    assert (await asking.ask("Composition", token="opaque-2")).status_code in (401, 503)


@pytest.mark.requirement("c3", "", "Revoked: 401.")
async def test_a_revoked_token_is_refused(endpoint_for, issuer):
    for registered in (by_introspection(issuer), by_introspection(issuer, signed=True)):
        one = await endpoint_for(registered)
        clock = Clock()
        one.container.access_tokens._introspection._clock = clock
        token = issuer.token(NORTH, SCOPE)
        issuer.introspected[token] = active(issuer)
        assert (await one.ask("Composition", token=token)).status_code == 200
        issuer.revoked.add(token)
        clock.now += 5.1
        answer = await one.ask("Composition", token=token)
        assert (answer.status_code, answer.json()["resourceType"]) == (401, "OperationOutcome")
        # And by another worker, or after a restart, at once.
        other = await endpoint_for(registered)
        assert (await other.ask("Composition", token=token)).status_code == 401


class Clock:
    def __init__(self):
        self.now = 1_000.0

    def __call__(self):
        return self.now


async def test_a_silent_server_is_believed_for_half_a_minute_and_then_nobody_comes_in(asking, issuer):
    clock = Clock()
    asking.container.access_tokens._introspection._clock = clock
    issuer.introspected["opaque-3"] = active(issuer)
    assert (await asking.ask("Composition", token="opaque-3")).status_code == 200
    issuer.silent = True
    clock.now += 25
    assert (await asking.ask("Composition", token="opaque-3")).status_code == 200
    assert (await asking.ask("Composition", token="opaque-4")).status_code == 503
    clock.now += 6
    answer = await asking.ask("Composition", token="opaque-3")
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (503, "transient")


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"scope": "system/Device.rs"}, 403),
        ({"scope": f"{SCOPE} system/*.cruds"}, 200),
        ({"aud": SOUTH}, 401),
        ({"client_id": "another"}, 401),
        ({"patient": "bert"}, 401),
        ({"aud": None}, 200),
        ({"exp": 1}, 401),
    ],
)
async def test_where_both_are_asked_both_must_agree_and_the_narrower_counts(asking_both, issuer, said, status):
    token = issuer.token(NORTH, SCOPE, patient="anna")
    issuer.introspected[token] = active(issuer, **{"patient": "anna", **said})
    assert (await asking_both.ask("Composition", token=token)).status_code == status


async def test_a_forged_token_is_not_even_asked_about(asking_both, issuer):
    before = issuer.asked.get("/introspect", 0)
    assert (await asking_both.ask("Composition", token=by_stranger()(issuer))).status_code == 401
    assert issuer.asked.get("/introspect", 0) == before


async def test_a_key_set_with_two_keys_of_one_kid_opens_nothing(endpoint_for, issuer, threaded_server):
    async def twins(scope, receive, send):
        key = issuer.key.as_dict(private=False)
        body = json.dumps({"keys": [key, {**STRANGER.as_dict(private=False), "kid": key["kid"]}]}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    server = threaded_server(twins)
    server.start()
    one = await endpoint_for(
        entry("north", issuer, access_tokens={"issuer": issuer.url, "jwks_uri": f"{server.url}/x"})
    )
    assert (await one.ask("Composition", SCOPE)).status_code == 503
    assert (await one.ask("Composition", token=by_stranger()(issuer))).status_code == 503
    server.stop()
