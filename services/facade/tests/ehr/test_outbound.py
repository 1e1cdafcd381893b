"""The outbound client: only registered origins, bounded answers, and servers that are left alone for a while."""

import asyncio
import contextlib
import ssl
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from facade.ehr.breaker import Breaker
from facade.ehr.outbound import (
    AnswerRefused,
    OriginNotRegistered,
    OutboundTransport,
    ServerPaused,
    outbound_client,
)


class Server:
    """Answers each connection with the bytes of ``answer``, in pieces, and counts them."""

    def __init__(self):
        self.connections = 0
        self.requests = []
        self.pieces = [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"]
        self.pause_s = 0.0
        self.tasks = set()

    async def serve(self, reader, writer):
        self.connections += 1
        self.tasks.add(asyncio.current_task())
        with contextlib.closing(writer), contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            for piece in self.pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(self.pause_s)

    def answers(self, status="200 OK", headers=(), body=b"{}"):
        head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", *headers, "Connection: close"))
        self.pieces = [head.encode() + b"\r\n", body]

    @property
    def origin(self):
        return f"http://127.0.0.1:{self.port}"


@contextlib.asynccontextmanager
async def serving(tls=None):
    one = Server()
    listening = await asyncio.start_server(one.serve, "127.0.0.1", 0, ssl=tls)
    one.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield one
        for task in one.tasks:
            task.cancel()
        await asyncio.gather(*one.tasks, return_exceptions=True)


@pytest.fixture
async def server():
    async with serving() as one:
        yield one


@pytest.fixture
async def other():
    async with serving() as one:
        yield one


@pytest.fixture
async def client(server):
    async with outbound_client({server.origin: "main"}, timeout_s=2) as one:
        yield one


async def test_a_registered_origin_is_reached(client, server):
    answer = await client.get(f"{server.origin}/metadata")

    assert (answer.status_code, answer.content) == (200, b"{}")
    assert b"accept-encoding: identity" in server.requests[0].lower()


async def test_another_port_of_the_same_host_is_not_connected_to(client, other, network):
    with pytest.raises(OriginNotRegistered):
        await client.get(other.origin)

    assert (other.connections, network.connected, network.looked_up) == (0, [], [])


@pytest.mark.parametrize("follow", [False, True])
async def test_a_redirect_to_another_origin_is_never_followed(client, server, other, follow):
    server.answers("302 Found", [f"Location: {other.origin}/", "Content-Length: 0"], b"")

    if follow:
        with pytest.raises(OriginNotRegistered):
            await client.get(server.origin, follow_redirects=True)
    else:
        assert (await client.get(server.origin)).status_code == 302
    assert other.connections == 0


async def test_proxies_of_the_environment_are_not_used(server, other, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, other.origin)
    async with outbound_client({server.origin: "main"}, timeout_s=2) as client:
        await client.get(server.origin)

    assert (server.connections, other.connections) == (1, 0)


async def test_a_cookie_of_the_server_is_not_sent_back(client, server):
    server.answers(headers=["Set-Cookie: who=first; Path=/", "Content-Length: 2"])
    await client.get(server.origin)
    await client.get(server.origin)

    assert b"cookie" not in server.requests[1].lower()


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (["Content-Length: 2000000"], b"{}"),
        (["Transfer-Encoding: chunked"], b"400\r\n" + b"x" * 1024 + b"\r\n"),
        (["Content-Encoding: gzip", "Content-Length: 2"], b"{}"),
    ],
    ids=["announced", "chunked", "compressed"],
)
async def test_an_answer_that_is_too_large_or_compressed_is_refused(client, server, headers, body):
    server.answers(headers=headers, body=body)

    with pytest.raises(AnswerRefused):
        await client.get(server.origin, extensions={"max_bytes": 1000})


async def test_an_answer_that_drips_is_given_up(client, server):
    server.answers(headers=["Content-Length: 100"], body=b"")
    server.pieces += [b"x"] * 100
    server.pause_s = 0.05
    started = asyncio.get_running_loop().time()

    with pytest.raises(httpx.ReadTimeout):
        await client.get(server.origin, extensions={"total_s": 0.3})
    assert asyncio.get_running_loop().time() - started < 1.5


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", "169.254.169.254", "::ffff:169.254.169.254",
        "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "0.0.0.0", "::",
        "64:ff9b::7f00:1", "2002:7f00:1::", "224.0.0.1", "240.0.0.1", "::127.0.0.1", "nonsense",
    ],
)  # fmt: skip
async def test_a_registered_name_that_leads_to_an_address_no_ehr_can_be_at_is_not_connected_to(address, network):
    async def answers(host, port):
        return ["203.0.113.7", address]

    async with outbound_client({"https://ehr.example.org:443": "main"}, timeout_s=1, resolver=answers) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("https://ehr.example.org/fhir")

    assert (network.connected, network.looked_up) == ([], [])


async def test_what_was_checked_is_what_is_connected_to_though_the_name_changes(network):
    answers = iter([["192.0.2.1"], ["127.0.0.1"], ["169.254.169.254"]])

    async def rebinding(host, port):
        return next(answers)

    async with outbound_client({"https://ehr.example.org:443": "main"}, timeout_s=0.2, resolver=rebinding) as client:
        for _ in range(3):
            with pytest.raises(httpx.TransportError):
                await client.get("https://ehr.example.org/fhir")

    assert {place[0] for place in network.connected} <= {"192.0.2.1"}
    assert network.looked_up == []


async def test_tls_is_verified_though_the_address_was_resolved_here(tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path / "server.pem"))

    async def answers(host, port):
        return ["127.0.0.1"]

    async with serving(context) as served:
        origin = f"https://localhost:{served.port}"
        async with outbound_client({origin: "main"}, timeout_s=2, resolver=answers) as client:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.get(origin)
    assert served.requests == []


async def test_a_hospitals_own_authority_is_trusted_by_the_usual_variable(tmp_path, monkeypatch):
    certificate = self_signed(tmp_path / "server.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    async with serving(context) as served:
        origin = f"https://localhost:{served.port}"
        async with outbound_client({origin: "main"}, timeout_s=2) as client:
            assert (await client.get(origin)).status_code == 200


def self_signed(path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, SHA256())
    )  # fmt: skip
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(certificate.public_bytes(Encoding.PEM) + private)
    return path


@pytest.mark.requirement("b2", "", "a breaker for each EHR: opens after repeated failures of transport, probes by one")
async def test_after_repeated_failures_a_server_is_left_alone_and_then_probed_by_one(monkeypatch):
    now, calls = [100.0], []
    monkeypatch.setattr("facade.ehr.outbound.Breaker", lambda: Breaker(lambda: now[0]))

    async def resolver(host, port):
        calls.append(host)
        await asyncio.sleep(0)
        raise OSError

    transport = OutboundTransport({"http://localhost:9": "main"}, resolver=resolver)
    async with httpx.AsyncClient(transport=transport) as client:
        for _ in range(5):
            with pytest.raises(httpx.ConnectError):
                await client.get("http://localhost:9")
        with pytest.raises(ServerPaused):
            await client.get("http://localhost:9")
        assert len(calls) == 5
        now[0] += 2.1
        outcomes = await asyncio.gather(*(client.get("http://localhost:9") for _ in range(4)), return_exceptions=True)
    assert len(calls) == 6
    assert sorted(type(one).__name__ for one in outcomes) == ["ConnectError", *["ServerPaused"] * 3]


@pytest.mark.requirement("b2", "", "Retry-After honoured")
async def test_a_server_that_asks_to_wait_is_left_alone(client, server):
    server.answers("503 Service Unavailable", ["Retry-After: 1", "Content-Length: 2"])
    assert (await client.get(server.origin)).status_code == 503
    with pytest.raises(ServerPaused):
        await client.get(server.origin)

    await asyncio.sleep(1.05)
    server.answers(headers=["Content-Length: 2"])
    assert (await client.get(server.origin)).status_code == 200
    assert server.connections == 2


async def test_our_own_applications_stream_as_long_as_they_do(server):
    server.answers(headers=["Content-Length: 6"], body=b"")
    server.pieces += [b"abc", b"def"]
    async with outbound_client({}, [server.origin], timeout_s=2) as client:
        answer = await client.get(server.origin, extensions={"max_bytes": 1, "total_s": 0.0})
    assert answer.content == b"abcdef"


async def test_of_our_own_applications_late_broken_and_gone_are_three_things(server):
    async with outbound_client({}, [server.origin, "http://127.0.0.1:9"], timeout_s=0.3) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("http://127.0.0.1:9")
        server.pieces = []
        with pytest.raises(httpx.ConnectError):
            await client.get(server.origin)
        server.pause_s, server.pieces = 5, [b"HTTP/1.1 "]
        with pytest.raises(httpx.ReadTimeout):
            await client.get(server.origin)


async def test_our_own_applications_lead_nowhere_else(server, other):
    server.answers("302 Found", [f"Location: {other.origin}/", "Content-Length: 0"], b"")
    async with outbound_client({}, [server.origin], timeout_s=2) as client:
        assert (await client.get(server.origin)).status_code == 302
    assert other.connections == 0
