"""Who may call: one kind of token is taken, once; every other is refused with a bare 401 before its body is read."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from facade.container import build_container
from joserfc import jwe, jws, jwt
from joserfc.jwk import ECKey, OctKey, RSAKey
from sqlalchemy import text

PATH = "patient-view"
OTHER_EC = ECKey.generate_key("P-384", {"kid": "ec-1"})
OTHER_RSA = RSAKey.generate_key(2048, {"kid": "rsa-1"})
P256 = ECKey.generate_key("P-256", {"kid": "p256"})
NOW = time.time


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def raw(header: Any, claims: Any, sign: Callable[[bytes], bytes] = lambda _: b"no signature") -> str:
    """A token whose parts are whatever they are."""
    parts = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in (header, claims)]
    signed = ".".join(map(b64, parts))
    return f"{signed}.{b64(sign(signed.encode()))}"


def signed(client: Any, header: Any, claims: Any, key: Any = None) -> str:
    """A token rightly signed with the registered key (or another), whatever its header says."""
    algorithm = str(header["alg"])
    chosen = key or (client.ec if algorithm.startswith("ES") else client.rsa)
    digest = hashes.SHA256() if algorithm.endswith("256") else hashes.SHA384()

    def sign(data: bytes) -> bytes:
        if isinstance(chosen, RSAKey):
            return bytes(chosen.private_key.sign(data, padding.PKCS1v15(), digest))
        r, s = decode_dss_signature(chosen.private_key.sign(data, ec.ECDSA(digest)))
        size = (chosen.curve_key_size + 7) // 8
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    return raw(header, claims, sign)


def with_header(**changes: Any) -> Callable[[Any], str]:
    return lambda c: signed(c, c.header(**changes), c.claims(PATH))


def with_claims(**changes: Any) -> Callable[[Any], str]:
    return lambda c: signed(c, c.header(), c.claims(PATH, **changes))


def hmac_signed(key: Callable[[Any], bytes]) -> Callable[[Any], str]:
    def make(c: Any) -> str:
        sign = lambda data: hmac.new(key(c), data, hashlib.sha384).digest()  # noqa: E731
        return raw({**c.header(), "alg": "HS384"}, c.claims(PATH), sign)

    return make


def pem(c: Any) -> bytes:
    return bytes(c.rsa.as_pem(private=False))


def jwk_text(c: Any) -> bytes:
    return json.dumps(c.ec.as_dict(private=False)).encode()


def tampered(c: Any) -> str:
    header, _, signature = c.token(PATH).split(".")
    return f"{header}.{b64(json.dumps(c.claims(PATH)).encode())}.{signature}"


def nested(c: Any) -> str:
    """A signed token inside a signed token."""
    header = c.header(cty="JWT")
    return jws.serialize_compact(header, c.token(PATH).encode(), c.ec, algorithms=["ES384"])


def encrypted(c: Any) -> str:
    key = ECKey.generate_key("P-384", {"kid": "ec-1"})
    header = {"alg": "ECDH-ES", "enc": "A128GCM", "typ": "JWT", "kid": "ec-1"}
    return jwe.encrypt_compact(header, json.dumps(c.claims(PATH)).encode(), key)


def twice(name: str, c: Any) -> str:
    """Claims in which ``name`` stands twice: first wrong, then right."""
    claims = json.dumps(c.claims(PATH))
    text = "{" + f'"{name}": "elsewhere", ' + claims[1:]
    return jws.serialize_compact(c.header(), text.encode(), c.ec, algorithms=["ES384"])


def at(path: str) -> str:
    return f"https://preceptor.example.org{path}"


BOUND = "cds-hooks_2.0@196", "For CDS Hooks, [the aud] value MUST be the URL of the CDS Service endpoint being invoked"
FORGED: dict[str, Callable[[Any], str]] = {
    # no signature, or one that anybody can make
    "none": lambda c: raw({**c.header(), "alg": "none"}, c.claims(PATH)),
    "none without a signature": lambda c: raw({**c.header(), "alg": "none"}, c.claims(PATH), lambda _: b""),
    "None in capitals": lambda c: raw({**c.header(), "alg": "NONE"}, c.claims(PATH)),
    "an empty algorithm": lambda c: raw({**c.header(), "alg": ""}, c.claims(PATH)),
    "no algorithm": lambda c: raw(c.header(alg=None), c.claims(PATH)),
    "a list of algorithms": lambda c: raw({**c.header(), "alg": ["ES384"]}, c.claims(PATH)),
    "HMAC with the public key as PEM": hmac_signed(pem),
    "HMAC with the public key as JWK": hmac_signed(jwk_text),
    "HMAC with nothing": hmac_signed(lambda c: b""),
    "HMAC named HS256": lambda c: jwt.encode(
        {**c.header(), "alg": "HS256"}, c.claims(PATH), OctKey.import_key("x" * 32), algorithms=["HS256"]
    ),
    "RS256": lambda c: signed(c, {**c.header("RS384"), "alg": "RS256"}, c.claims(PATH), c.rsa),
    "ES256": lambda c: signed(c, {**c.header(kid="p256"), "alg": "ES256"}, c.claims(PATH), P256),
    # somebody else's key
    "another EC key under the same kid": lambda c: signed(c, c.header(), c.claims(PATH), OTHER_EC),
    "another RSA key under the same kid": lambda c: signed(c, c.header("RS384"), c.claims(PATH), OTHER_RSA),
    "an EC token that names the RSA key": lambda c: signed(c, c.header(kid="rsa-1"), c.claims(PATH)),
    "an RSA token that names the EC key": lambda c: signed(c, c.header("RS384", kid="ec-1"), c.claims(PATH)),
    "an unknown kid": with_header(kid="another"),
    "no kid": with_header(kid=None),
    "an empty kid": with_header(kid=""),
    "a number for a kid": lambda c: raw({**c.header(), "kid": 1}, c.claims(PATH)),
    "a path for a kid": with_header(kid="../../etc/passwd"),
    "an embedded jwk": lambda c: signed(c, c.header(jwk=OTHER_EC.as_dict(private=False)), c.claims(PATH), OTHER_EC),
    "an embedded jwk beside the right signature": with_header(jwk=OTHER_EC.as_dict(private=False)),
    "an x5c chain": with_header(x5c=["MIIB"]),
    "an x5u address": with_header(x5u="https://evil.example.org/chain.pem"),
    "a jku elsewhere": with_header(jku="https://evil.example.org/jwks.json"),
    "a jku that looks alike": lambda c: signed(c, c.header(jku=f"{c.jwks_uri}?"), c.claims(PATH)),
    "a jku with a user": lambda c: signed(
        c, c.header(jku=c.jwks_uri.replace("http://", "http://evil@")), c.claims(PATH)
    ),
    "a jku on this machine": with_header(jku="http://127.0.0.1:22/"),
    "a jku at the cloud's metadata": with_header(jku="http://169.254.169.254/latest/meta-data"),
    "a jku by file": with_header(jku="file:///etc/passwd"),
    "a jku on a look-alike host": lambda c: signed(
        c, c.header(jku=c.jwks_uri.replace("127.0.0.1", "127.0.0.1.evil.example.org")), c.claims(PATH)
    ),
    "a jku with dots": lambda c: signed(c, c.header(jku=c.jwks_uri.replace("/jwks", "/x/../jwks")), c.claims(PATH)),
    "a jku in capitals": lambda c: signed(c, c.header(jku=c.jwks_uri.upper()), c.claims(PATH)),
    "a jku by the name of the host": lambda c: signed(
        c, c.header(jku=c.jwks_uri.replace("127.0.0.1", "localhost")), c.claims(PATH)
    ),
    "a jku that is a list": lambda c: signed(c, c.header(jku=[c.jwks_uri]), c.claims(PATH)),
    # another kind of token
    "no typ": with_header(typ=None),
    "another typ": with_header(typ="at+jwt"),
    "a critical extension": with_header(crit=["exp"], exp=1),
    "an unencoded payload": with_header(b64=False, crit=["b64"]),
    "a compressed token": with_header(zip="DEF"),
    "nested": nested,
    "encrypted": encrypted,
    "changed after it was signed": tampered,
    "a signature cut short": lambda c: c.token(PATH)[:-8],
    "no signature part": lambda c: c.token(PATH).rpartition(".")[0],
    "one part too many": lambda c: f"{c.token(PATH)}.AAAA",
    "no token at all": lambda c: "",
    "a header that is huge": with_header(x="y" * 6_000),
    "a token that is huge": with_claims(x="y" * 20_000),
    "a header that is a list": lambda c: raw([1], c.claims(PATH)),
    "a header that is no JSON": lambda c: raw(b"{", c.claims(PATH)),
    "a header nested deeply": lambda c: raw(b"[" * 1500, c.claims(PATH)),
    "a claims set that is a list": lambda c: signed(c, c.header(), [c.claims(PATH)]),
    "an issuer said twice": lambda c: twice("iss", c),
    "an audience said twice": lambda c: twice("aud", c),
    # claims
    "an issuer nobody registered": with_claims(iss="https://evil.example.org"),
    "the issuer with a slash": lambda c: signed(c, c.header(), c.claims(PATH, iss=f"{c.issuer}/")),
    "the issuer in capitals": lambda c: signed(c, c.header(), c.claims(PATH, iss=c.issuer.upper())),
    "no issuer": with_claims(iss=None),
    "a list of issuers": lambda c: signed(c, c.header(), c.claims(PATH, iss=[c.issuer])),
    "another service": with_claims(aud=at("/cds-services/order-sign")),
    "the base": with_claims(aud=at("")),
    "discovery": with_claims(aud=at("/cds-services")),
    "the feedback endpoint": with_claims(aud=at(f"/cds-services/{PATH}/feedback")),
    "the endpoint with a slash": with_claims(aud=at(f"/cds-services/{PATH}/")),
    "the endpoint with a query": with_claims(aud=at(f"/cds-services/{PATH}?a=b")),
    "the endpoint by http": with_claims(aud=f"http://preceptor.example.org/cds-services/{PATH}"),
    "the endpoint with its port": with_claims(aud=f"https://preceptor.example.org:443/cds-services/{PATH}"),
    "the endpoint in capitals": with_claims(aud=at(f"/CDS-Services/{PATH}")),
    "the endpoint at another host": with_claims(aud=f"https://preceptor.example.org.evil.org/cds-services/{PATH}"),
    "no audience": with_claims(aud=None),
    "an empty list of audiences": with_claims(aud=[]),
    "a list of others": with_claims(aud=[at("/cds-services/order-sign"), "https://other.example.org"]),
    "an audience within a text": with_claims(aud=f"https://other.example.org {at(f'/cds-services/{PATH}')}"),
    "an audience that is an object": with_claims(aud={at(f"/cds-services/{PATH}"): 1}),
    "expired": lambda c: c.token(PATH, exp=int(NOW()) - 1, iat=int(NOW()) - 100),
    "no expiry": with_claims(exp=None),
    "an expiry in words": lambda c: signed(c, c.header(), c.claims(PATH, exp=str(int(NOW()) + 60))),
    "an expiry that is true": with_claims(exp=True),
    "an expiry beyond all time": with_claims(exp=1e300),
    "valid for a day": lambda c: c.token(PATH, exp=int(NOW()) + 86_400),
    "issued in the future": lambda c: c.token(PATH, iat=int(NOW()) + 3_600, exp=int(NOW()) + 3_660),
    "not valid before tomorrow": lambda c: c.token(PATH, nbf=int(NOW()) + 86_400),
    "issued a day ago": lambda c: c.token(PATH, iat=int(NOW()) - 86_400),
    "no time of issue": with_claims(iat=None),
    "no jti": with_claims(jti=None),
    "an empty jti": with_claims(jti=""),
    "a jti that is a number": with_claims(jti=7),
    "a jti that is huge": with_claims(jti="j" * 1_000),
}


class Body:
    """An ASGI receive that counts how often the body is asked for."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.read = 0

    async def __call__(self) -> dict[str, Any]:
        self.read += 1
        return {"type": "http.request", "body": self.content, "more_body": False}


async def post(
    app: Any, path: str, authorization: list[str], body: bytes = b"{}"
) -> tuple[int, dict[str, str], bytes, int]:
    """Send a request by ASGI itself; return status, headers, body and how often the request's body was asked for."""
    receive, sent = Body(body), []
    headers = [(b"authorization", one.encode("latin-1")) for one in authorization]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "https",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "client": ("203.0.113.7", 4711),
        "server": ("preceptor.example.org", 443), "state": {},
        "headers": [*headers, (b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())],
    }  # fmt: skip

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start = next(one for one in sent if one["type"] == "http.response.start")
    answered = b"".join(one.get("body", b"") for one in sent if one["type"] == "http.response.body")
    return start["status"], {k.decode(): v.decode() for k, v in start["headers"]}, answered, receive.read


@pytest.mark.requirement("e4", *BOUND)
@pytest.mark.requirement(
    "e4",
    "cds-hooks_2.0@202",
    "JWTs SHALL NOT be signed [by Clients] using the none algorithm, referred to in rfc7518 as unsecured JSON Web "
    "Signatures, as the lack of a cryptographic signature does not provide any integrity protection.",
)
@pytest.mark.requirement("e4", "", "A refusal is a bare 401.")
@pytest.mark.requirement(
    "e4",
    "cds-hooks_2.0@201",
    "JWTs SHALL NOT be signed using the none algorithm, referred to in rfc7518 as unsecured JSON Web Signatures, "
    "[and Services SHALL NOT accept these JWTs] as the lack of a cryptographic signature does not provide any "
    "integrity protection.",
)
@pytest.mark.requirement(
    "e4",
    "cds-hooks_2.0@203",
    "JWTs SHALL NOT be signed using any symmetric algorithm as these algorithms require the CDS Client and CDS "
    "Service to share a private key in order to verify the signature",
)
@pytest.mark.requirement(
    "e4",
    "cds-hooks_2.0@184",
    "[When sending a JWT header,] the typ field is required [and SHALL be a] string data type and SHALL be 'JWT'",
)
@pytest.mark.requirement(
    "e4",
    "cds-hooks_2.0@191",
    "[When sending a JWT payload,] the iat field is required [and SHALL be a] number data type [containing] the "
    'time at which this JWT was issued, expressed in seconds since the "Epoch" (1970-01-01T00:00:00Z UTC)',
)
@pytest.mark.requirement(
    "e4",
    "cds-hooks_2.0@190",
    "[When sending a JWT payload,] the exp field is required [and SHALL be a] number data type [containing the] "
    'expiration time integer for this authentication JWT, expressed in seconds since the "Epoch" '
    "(1970-01-01T00:00:00Z UTC).",
)
async def test_no_forged_token_is_taken_and_no_body_is_read(cds, ehr, cds_client, connections, monkeypatch):
    monkeypatch.setattr(cds_client, "extra_keys", [P256.as_dict(private=False)])
    await cds.cards(PATH, ehr.request(PATH))  # so that the registered keys are known
    connections.clear()
    assert len(FORGED) >= 40
    accepted, read, spoken = [], [], []
    for name, make in FORGED.items():
        status, headers, answered, asked = await post(cds.app, f"/cds-services/{PATH}", [f"Bearer {make(cds_client)}"])
        if status != 401:
            accepted.append((name, status))
        if asked:
            read.append(name)
        if answered or headers["www-authenticate"] != "Bearer":
            spoken.append(name)
    assert (accepted, read, spoken) == ([], [], [])
    assert connections == [], "no token leads us anywhere"


@pytest.mark.parametrize(
    "authorization",
    [[], ["Basic dXNlcjpwYXNz"], ["Bearer"], ["{}"], ["Bearer  {}"], ["Bearer {} {}"], ["Bearer {}", "Bearer {}"]],
    ids=["none", "basic", "no token", "no scheme", "two blanks", "two tokens", "two headers"],
)
async def test_a_header_that_is_no_single_bearer_token_is_refused(cds, cds_client, authorization):
    sent = [one.replace("{}", cds_client.token(PATH)) for one in authorization]
    status, _, answered, asked = await post(cds.app, f"/cds-services/{PATH}", sent)
    assert (status, answered, asked) == (401, b"", 0)


@pytest.mark.requirement(
    "e4",
    "cds-hooks_2.0@189",
    "[When sending a JWT payload,] the aud field is required [and SHALL be a] string data type or an array of strings "
    "[per [rfc7519](https://tools.ietf.org/html/rfc7519#section-4.1.3) containing] the CDS Service endpoint that is "
    "being called by the CDS Client",
)
@pytest.mark.parametrize("algorithm", ["ES384", "RS384"])
@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.requirement(
    "e4",
    "cds-hooks_2.0@176",
    "[If not using mutual TLS,] to enable the CDS Service to authenticate the identity of the CDS Client, CDS "
    "Hooks uses digitally signed [JSON web tokens (JWT)](https://jwt.io/) "
    "[(rfc7519)](https://tools.ietf.org/html/rfc7519)",
)
@pytest.mark.requirement(
    "e4",
    "cds-hooks_2.0@199",
    "If the jku header field is ommitted, the CDS Client and CDS Service SHALL communicate the JWK Set out-of-band.",
)
@pytest.mark.requirement(
    "e4",
    "cds-hooks_2.0@205",
    "At publication time of this specification, both ES384 and RS384 are RECOMMENDED for their regard within the "
    "larger security industry, strength, and support across popular programming languages and libraries.",
)
async def test_a_right_token_is_taken(cds, ehr, cds_client, algorithm, listed):
    endpoint = f"{ehr.base}/cds-services/{PATH}"
    token = cds_client.token(PATH, algorithm, aud=[endpoint, "https://other.example.org"] if listed else endpoint)
    assert (await cds.call(PATH, ehr.request(PATH), token=token)).status_code == 200


@pytest.mark.requirement(
    "e4",
    "cds-hooks_2.0@198",
    "The CDS Client MAY make its JWK Set available via a URL identified by the jku header field, as defined by "
    "[rfc7515 4.1.2](https://tools.ietf.org/html/rfc7515#section-4.1.2)",
)
async def test_the_registered_jku_may_be_named(cds, ehr, cds_client):
    token = signed(cds_client, cds_client.header(jku=cds_client.jwks_uri), cds_client.claims(PATH))
    assert (await cds.call(PATH, ehr.request(PATH), token=token)).status_code == 200


async def test_header_parameters_that_mean_nothing_to_us_are_let_be(cds, ehr, cds_client):
    token = signed(cds_client, cds_client.header(vendor="x"), cds_client.claims(PATH, tenant="clinic-1", sub="me"))
    assert (await cds.call(PATH, ehr.request(PATH), token=token)).status_code == 200


@pytest.mark.requirement(
    "e4",
    "cds-hooks_2.0@192",
    "[When sending a JWT payload,] the jti field is required [and SHALL be a] string data type [containing] a nonce "
    "string value that uniquely identifies this authentication JWT (used to protect against replay attacks)",
)
async def test_a_token_is_taken_once_by_all_workers_and_after_a_restart(cds, facade_with, ehr, cds_client):
    token = cds_client.token(PATH)
    assert (await cds.call(PATH, ehr.request(PATH), token=token)).status_code == 200
    assert (await cds.call(PATH, ehr.request(PATH), token=token)).status_code == 401
    # Another worker, and the process after a restart, are both another facade over the same database.
    async with facade_with() as other:
        status, _, answered, asked = await post(other.app, f"/cds-services/{PATH}", [f"Bearer {token}"])
        assert (status, answered, asked) == (401, b"", 0)


async def test_of_many_calls_with_one_token_at_once_one_is_taken(cds, ehr, cds_client):
    token = cds_client.token(PATH)
    answers = await asyncio.gather(*(cds.call(PATH, ehr.request(PATH), token=token) for _ in range(10)))
    assert sorted(one.status_code for one in answers) == [200, *[401] * 9]


async def test_the_same_jti_in_a_new_token_is_a_replay(cds, ehr, cds_client):
    jti = str(uuid.uuid4())
    for expected in (200, 401):
        token = cds_client.token(PATH, jti=jti, exp=int(NOW()) + 100 + expected)
        assert (await cds.call(PATH, ehr.request(PATH), token=token)).status_code == expected


async def test_a_token_whose_call_fails_is_used_up(cds, cds_client):
    token = cds_client.token(PATH)
    assert (await cds.call(PATH, b"no json", token=token)).status_code == 400
    assert (await cds.call(PATH, b"no json", token=token)).status_code == 401


async def test_where_used_tokens_cannot_be_remembered_none_is_taken(cds, cds_client):
    async with cds.container.database.session() as session:
        await session.execute(text("ALTER TABLE used_assertion RENAME TO gone"))
    status, _, _, asked = await post(cds.app, f"/cds-services/{PATH}", [f"Bearer {cds_client.token(PATH)}"])
    assert (status, asked) == (503, 0)


@pytest.mark.requirement(
    "e4",
    "cds-hooks_2.0@177",
    "CDS Services SHOULD require authentication if invoking the service poses any risk of exposing sensitive data"
    " to the caller.",
)
@pytest.mark.requirement(
    "e4",
    "cds-hooks_2.0@195",
    "CDS Services SHOULD limit the CDS Clients they trust by maintaining an allowlist of iss and jku urls.",
)
async def test_an_ehr_without_registered_clients_cannot_call(facade_with, cds_settings, registered, cds_client):
    cds_settings.ehrs_file.write_text(json.dumps([{**registered, "cds_clients": []}]))
    async with facade_with() as cds:
        status, _, _, asked = await post(cds.app, f"/cds-services/{PATH}", [f"Bearer {cds_client.token(PATH)}"])
    assert (status, asked) == (401, 0)


async def test_two_ehrs_cannot_register_one_issuer(cds_settings, registered, secrets):
    other = {**registered, "id": "other", "issuer": "https://other.example.org/fhir"}
    cds_settings.ehrs_file.write_text(json.dumps([registered, other]))
    with pytest.raises(ValueError, match="issuer"):
        build_container(cds_settings, secrets)


async def test_a_token_for_the_service_is_none_for_its_feedback(cds, cds_client):
    path = f"/cds-services/{PATH}/feedback"
    status, _, _, asked = await post(cds.app, path, [f"Bearer {cds_client.token(PATH)}"])
    assert (status, asked) == (401, 0)
    status, _, _, _ = await post(cds.app, path, [f"Bearer {cds_client.token(f'{PATH}/feedback')}"], b'{"feedback": []}')
    assert status == 200


async def test_a_client_whose_keys_share_an_id_is_refused(cds, cds_client, ehr, monkeypatch):
    monkeypatch.setattr(cds_client, "extra_keys", [OTHER_EC.as_dict(private=False)])
    for key in (cds_client.ec, OTHER_EC):
        token = signed(cds_client, cds_client.header(), cds_client.claims(PATH), key)
        assert (await cds.call(PATH, ehr.request(PATH), token=token)).status_code == 401


async def test_a_key_that_was_never_published_is_refused_and_one_that_is_new_is_found(
    facade_with, cds_client, ehr, monkeypatch
):
    new = ECKey.generate_key("P-384", {"kid": "new"})
    token = signed(cds_client, cds_client.header(kid="new"), cds_client.claims(PATH), new)
    async with facade_with() as cds:
        assert (await cds.call(PATH, ehr.request(PATH), token=token)).status_code == 401
    monkeypatch.setattr(cds_client, "extra_keys", [new.as_dict(private=False)])
    async with facade_with() as cds:
        assert (await cds.call(PATH, ehr.request(PATH), token=token)).status_code == 200


async def test_a_service_that_does_not_exist_is_not_found(cds, cds_client):
    assert (await post(cds.app, "/cds-services/nothing", [f"Bearer {cds_client.token('nothing')}"]))[0] == 404
