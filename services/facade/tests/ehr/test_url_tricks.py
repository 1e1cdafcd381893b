"""Addresses that look like a registered EHR and are not: nothing is connected to, looked up or sent anywhere else.

What counts is seen at the socket: every connection and every name looked up in this process.
"""

import asyncio
import contextlib
import json

import httpx
import pytest
from facade.ehr.asking import AskFailed, ask
from facade.ehr.discovery import Discovery
from facade.ehr.outbound import outbound_client
from facade.ehr.registry import Ehr, EhrRegistry
from facade.jwt_keys import KeySetUnavailable, RemoteKeySets, UnknownKey
from facade.smart.errors import UnknownIssuer
from facade.smart.launches import Launches
from fhir_support.client import FhirAnswerInvalid, FhirClient, FhirClientError
from fhir_support.references import InvalidReference, resource_key

# {home} and {trap} are host and port of a registered EHR and of a server that nobody may reach; {h} and {t} the ports.
TRICKS = {
    "another port": "http://{trap}/fhir",
    "no port": "http://127.0.0.1/fhir",
    "port zero": "http://127.0.0.1:0/fhir",
    "empty port": "http://127.0.0.1:/fhir",
    "port with a plus": "http://127.0.0.1:+{t}/fhir",
    "port too large": "http://127.0.0.1:99999/fhir",
    "port with leading zeros": "http://127.0.0.1:000{t}/fhir",
    "port in other digits": "http://127.0.0.1:٨٠/fhir",
    "two ports": "http://127.0.0.1:{h}:{t}/fhir",
    "another scheme": "https://{home}/fhir",
    "no scheme": "//{trap}/fhir",
    "file": "file:///etc/passwd",
    "ftp": "ftp://{trap}/fhir",
    "gopher": "gopher://{trap}/fhir",
    "javascript": "javascript:alert(1)",
    "data": "data:application/json,{{}}",
    "scheme with blank": "http ://{trap}/fhir",
    "user information that looks like the host": "http://{home}@{trap}/fhir",
    "user and password": "http://{home}:x@{trap}/fhir",
    "two at signs": "http://x@{home}@{trap}/fhir",
    "encoded at sign": "http://{home}%40{trap}/fhir",
    "at sign after a fragment": "http://{trap}#@{home}/fhir",
    "at sign after a query": "http://{trap}?@{home}/fhir",
    "backslash before at sign": "http://{home}\\@{trap}/fhir",
    "backslash for slash": "http:\\\\{trap}\\fhir",
    "one slash": "http:/{trap}/fhir",
    "three slashes": "http:///{trap}/fhir",
    "four slashes": "http:////{trap}/fhir",
    "host in the path": "http://{trap}/{home}/fhir",
    "host as subdomain": "http://127.0.0.1.evil.example:{h}/fhir",
    "host as prefix": "http://127.0.0.1evil.example:{h}/fhir",
    "trailing dot": "http://127.0.0.1.:{t}/fhir",
    "trailing dot on our port": "http://localhost.:{h}/fhir",
    "localhost by name": "http://localhost:{t}/fhir",
    "localhost in capitals": "http://LOCALHOST:{t}/fhir",
    "decimal address": "http://2130706433:{t}/fhir",
    "hexadecimal address": "http://0x7f000001:{t}/fhir",
    "hexadecimal with dots": "http://0x7f.0x0.0x0.0x1:{t}/fhir",
    "octal address": "http://0177.0.0.1:{t}/fhir",
    "octal as one number": "http://017700000001:{t}/fhir",
    "short address": "http://127.1:{t}/fhir",
    "address with three parts": "http://127.0.1:{t}/fhir",
    "zero address": "http://0.0.0.0:{t}/fhir",
    "zero": "http://0:{t}/fhir",
    "another loopback address": "http://127.0.0.2:{t}/fhir",
    "IPv6 loopback": "http://[::1]:{t}/fhir",
    "IPv6 mapped": "http://[::ffff:127.0.0.1]:{t}/fhir",
    "IPv6 mapped in hexadecimal": "http://[::ffff:7f00:1]:{t}/fhir",
    "IPv6 unspecified": "http://[::]:{t}/fhir",
    "IPv6 with a zone": "http://[fe80::1%25eth0]:{t}/fhir",
    "NAT64": "http://[64:ff9b::7f00:1]:{t}/fhir",
    "metadata service": "http://169.254.169.254/latest/meta-data/",
    "metadata service as a number": "http://2852039166/latest/",
    "metadata service over IPv6": "http://[fd00:ec2::254]/latest/",
    "metadata service mapped": "http://[::ffff:169.254.169.254]/latest/",
    "metadata service by name": "http://metadata.google.internal/computeMetadata/v1/",
    "private address": "http://10.0.0.1/fhir",
    "private address of a router": "http://192.168.0.1/fhir",
    "punycode look-alike": "http://xn--127-9b4a.0.0.1:{t}/fhir",
    "full-width digits": "http://１２７.0.0.1:{t}/fhir",
    "full-width dot": "http://127。0.0.1:{t}/fhir",
    "ligature in a name": "http://ｌocalhost:{t}/fhir",
    "soft hyphen": "http://local\u00adhost:{t}/fhir",
    "zero-width space": "http://local\u200bhost:{t}/fhir",
    "line break in the host": "http://{home}\r\n.evil.example/fhir",
    "line break and a header": "http://{trap}/fhir HTTP/1.1\r\nHost: {home}",
    "encoded line break": "http://{home}%0d%0a@{trap}/fhir",
    "tab in the host": "http://127.0.0.1\t:{t}/fhir",
    "NUL in the host": "http://127.0.0.1\x00:{t}/fhir",
    "blank before": " http://{trap}/fhir",
    "encoded dots": "http://127%2e0%2e0%2e1:{t}/fhir",
    "encoded slash in the host": "http://127.0.0.1:{h}%2f@{trap}/fhir",
    "semicolon": "http://127.0.0.1;{home}:{t}/fhir",
    "comma": "http://127.0.0.1,{home}:{t}/fhir",
    "wildcard DNS": "http://127.0.0.1.nip.io:{t}/fhir",
    "rebinding name": "http://7f000001.c0a80001.rbndr.us:{t}/fhir",
    "empty": "",
    "very long": "http://{trap}/" + "a" * 70_000,
}


class Server:
    """Answers every request with a document and keeps what it was sent."""

    def __init__(self):
        self.document, self.status, self.headers, self.received = {}, "200 OK", [], []

    async def serve(self, reader, writer):
        with contextlib.closing(writer), contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            self.received.append(await reader.readuntil(b"\r\n\r\n"))
            body = json.dumps(self.document).encode()
            head = [f"HTTP/1.1 {self.status}", f"Content-Length: {len(body)}", "Connection: close", *self.headers]
            writer.write("\r\n".join([*head, "", ""]).encode() + body)
            await writer.drain()


@contextlib.asynccontextmanager
async def listening():
    one = Server()
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    one.place = f"127.0.0.1:{one.port}"
    async with server:
        yield one


class World:
    """A registered EHR, a trap, and the parts of the facade that follow addresses."""

    def __init__(self, home, trap, http):
        self.home, self.trap, self.http = home, trap, http
        self.base = f"http://{home.place}/fhir"
        self.ehr = ehr_at(self.base)
        self.fhir = FhirClient(self.base, http, Token(), retries=0)

    def trick(self, name):
        return TRICKS[name].format(home=self.home.place, trap=self.trap.place, h=self.home.port, t=self.trap.port)


def ehr_at(base):
    return Ehr(
        id="main", name="EHR", issuer=base, fhir_base=base, backend_client_id="b", backend_scopes="system/*.rs",
        launch_client_id="l", launch_scopes="openid", encounter_topic="https://ehr.example.org/topic",
    )  # fmt: skip


class Token:
    async def token(self):
        return "the token"

    async def renew(self, refused):
        return refused


@pytest.fixture
async def world(network):
    async with listening() as home, listening() as trap:
        ehr = ehr_at(f"http://{home.place}/fhir")
        async with outbound_client(EhrRegistry((ehr,)).origins, timeout_s=1) as http:
            one = World(home, trap, http)
            yield one
    assert trap.received == []
    assert {place[1] for place in network.connected} <= {home.port}, network.connected
    assert set(network.looked_up) <= {"127.0.0.1"}, network.looked_up


RELATIVE = {"one slash", "three slashes", "four slashes", "scheme with blank", "blank before", "empty"}
"""What RFC 3986 reads as a path below the FHIR base, or as no address: as an endpoint it is the EHR's own."""


async def not_refused(world, call, errors, *, but=()):
    """The tricks for which ``call`` does not raise one of ``errors``."""
    names = []
    for name in TRICKS:
        if name in but:
            continue
        try:
            await call(world.trick(name))
        except errors:
            continue
        names.append(name)
    return names


def test_enough_tricks_are_tried():
    assert len(TRICKS) >= 70


async def test_the_client_itself_goes_nowhere(world):
    async def get(url):
        await world.http.get(url, follow_redirects=True)

    async def post(url):
        await ask(world.http, "POST", url, form={"client_assertion": "secret"})

    assert await not_refused(world, get, (httpx.TransportError, httpx.InvalidURL, UnicodeError)) == []
    assert await not_refused(world, post, AskFailed) == []
    assert world.home.received == []


@pytest.mark.requirement("a2", "", "`iss` compared with registered EHRs before any network call")
async def test_an_issuer_goes_nowhere(world):
    launches = Launches(
        ehrs=EhrRegistry((world.ehr,)), http=world.http, server=None, pending=None, sessions=None,
        public_base_url="https://preceptor.example.org",
    )  # fmt: skip

    assert await not_refused(world, lambda url: launches.start(url, "launch"), UnknownIssuer) == []
    assert world.home.received == []


@pytest.mark.parametrize("member", ["token_endpoint", "authorization_endpoint", "issuer"])
async def test_an_endpoint_of_discovery_goes_nowhere(world, member):
    async def discover(url):
        good = f"{world.base}/x"
        said = {"issuer": world.base, "token_endpoint": good, "authorization_endpoint": good}
        world.home.document = {**said, member: url}
        await Discovery(world.http).smart(world.ehr)

    assert await not_refused(world, discover, AskFailed, but=() if member == "issuer" else RELATIVE) == []


async def test_a_jwks_uri_goes_nowhere(world):
    async def openid(url):
        world.home.document = {"issuer": world.base, "jwks_uri": url}
        await Discovery(world.http).openid_keys(world.ehr, world.base)

    async def keys(url):
        await RemoteKeySets(world.http).key(url, "kid")

    assert await not_refused(world, openid, AskFailed) == []
    assert await not_refused(world, keys, (KeySetUnavailable, UnknownKey)) == []


@pytest.mark.requirement(
    "a9",
    "hl7.fhir.uv.smart-app-launch_2.2.0@97",
    "SHOULD NOT blindly follow such references and send along its access_token, as the token may be subject to "
    "potential theft",
)
async def test_a_reference_or_next_link_goes_nowhere(world):
    async def reference(url):
        resource_key(url, world.base)

    async def page(url):
        world.home.document = {"resourceType": "Bundle", "link": [{"relation": "next", "url": url}]}
        await world.fhir.search("Patient", [])

    assert await not_refused(world, reference, InvalidReference) == []
    assert await not_refused(world, page, FhirAnswerInvalid) == []
    assert all(one.startswith(b"GET /fhir") for one in world.home.received)


CLIMBS = [
    "../admin", "Patient/../../admin", "Patient/%2e%2e/%2e%2e/admin", "Patient/%252e%252e/%252e%252e/admin",
    "Patient/1\\..\\..\\admin", "Patient/1\r\nX-Header: 1", "Patient/1 HTTP/1.1\r\nHost: evil", "Patient/\x00",
    "..%2f..%2fadmin", "Patient/..;/..;/admin/../..",
]  # fmt: skip


@pytest.mark.parametrize("reference", CLIMBS)
async def test_a_reference_does_not_leave_the_fhir_base(world, reference):
    with pytest.raises(InvalidReference):
        resource_key(reference, world.base)
    with pytest.raises(FhirClientError):
        await world.fhir.read(reference)
    assert world.home.received == []


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_not_followed_from_anywhere(world, status):
    world.home.status, world.home.headers = status, [f"Location: http://{world.trap.place}/fhir"]

    with pytest.raises(AskFailed):
        await Discovery(world.http).smart(world.ehr)
    with pytest.raises(AskFailed):
        await ask(world.http, "POST", f"{world.base}/token", form={"code": "secret"})
    with pytest.raises(KeySetUnavailable):
        await RemoteKeySets(world.http).key(f"{world.base}/jwks", "kid")
    with pytest.raises(FhirAnswerInvalid):
        await world.fhir.read("Patient/1")
    with pytest.raises(FhirAnswerInvalid):
        await world.fhir.create({"resourceType": "Task"})


async def test_another_registered_ehr_gets_neither_token_nor_assertion(network):
    """Two registered EHRs: what one of them says must not lead to the other."""
    async with listening() as home, listening() as second:
        first = ehr_at(f"http://{home.place}/fhir")
        other = ehr_at(f"http://{second.place}/fhir").model_copy(update={"id": "other"})
        async with outbound_client(EhrRegistry((first, other)).origins, timeout_s=1) as http:
            there = f"http://{second.place}/fhir"
            home.document = {"issuer": first.issuer, "token_endpoint": f"{there}/token"}
            with pytest.raises(AskFailed):
                await Discovery(http).smart(first)
            home.document = {"issuer": first.issuer, "jwks_uri": f"{there}/jwks"}
            with pytest.raises(AskFailed):
                await Discovery(http).openid_keys(first, first.issuer)
            home.document = {"resourceType": "Bundle", "link": [{"relation": "next", "url": f"{there}/Patient"}]}
            with pytest.raises(FhirAnswerInvalid):
                await FhirClient(first.fhir_base, http, Token(), retries=0).search("Patient", [])
    assert second.received == []
