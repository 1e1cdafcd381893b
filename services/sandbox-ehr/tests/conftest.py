"""A sandbox EHR on a port of its own, with clients of every kind; everything goes over HTTP."""

import base64
import hashlib
import html
import json
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import pytest
import uvicorn
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey
from sandbox_ehr.app import build_app
from sandbox_ehr.auth.clients import scrypt_hash
from sandbox_ehr.container import Container
from sandbox_ehr.pages.forms import CSRF_COOKIE
from sandbox_ehr.settings import SandboxEhrSettings

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
REDIRECT = "https://app.example.org/callback"
DEMONSTRATION = "enc-ac4dcc33953d"
OTHER_STAY = "enc-cc756340b096"
SECRET = "open sesame: 100%"

RSA = RSAKey.generate_key(2048, {"use": "sig", "kid": "rsa-1"})
EC = ECKey.generate_key("P-384", {"use": "sig", "kid": "ec-1"})
STRANGER = RSAKey.generate_key(2048, {"use": "sig", "kid": "rsa-1"})


def _client(client_id: str, method: str, grants: list[str], scope: str, **more: Any) -> dict[str, Any]:
    named = {"client_id": client_id, "client_name": client_id, "token_endpoint_auth_method": method}
    return {**named, "grant_types": grants, "scope": scope, **more}


def clients() -> dict[str, Any]:
    """The registered clients of the tests."""
    keys = {"keys": [RSA.as_dict(private=False), EC.as_dict(private=False)]}
    app = ["authorization_code", "refresh_token"]
    scope = (
        "openid fhirUser launch launch/patient launch/encounter offline_access patient/*.cruds user/*.cruds "
        "patient/Observation.rs user/Observation.rs?category=laboratory system/*.rs"
    )
    at = {
        "redirect_uris": [REDIRECT, "https://app.example.org/other?x=1"],
        "launch_url": "https://app.example.org/launch",
    }
    backend = ["client_credentials"]
    return {
        "resource_servers": ["https://results.example.org/fhir"],
        "clients": [
            _client("backend", "private_key_jwt", backend, "system/*.cruds", jwks=keys),
            _client("narrow", "private_key_jwt", backend, "system/Observation.rs system/Patient.r", jwks=keys),
            _client("public-app", "none", app, scope, **at),
            _client(
                "secret-app",
                "client_secret_basic",
                app,
                scope,
                client_secret_scrypt=scrypt_hash(SECRET, b"s" * 16),
                **at,
            ),
            _client("jwt-app", "private_key_jwt", app, scope, jwks=keys, **at),
        ],
    }


class Ehr:
    """What a test does with the running EHR."""

    def __init__(self, base_url: str, container: Container) -> None:
        self.base_url = base_url
        self.fhir_base = f"{base_url}/fhir"
        self.token_url = f"{base_url}/auth/token"
        self.container = container
        self.http = httpx.Client(base_url=base_url, timeout=30)

    def assertion(self, client: str, *, key: Any = RSA, header: Any = None, **claims: Any) -> str:
        """A good assertion, but for ``header`` and ``claims``; a None takes one away."""
        now = int(time.time())
        good = {"iss": client, "sub": client, "aud": self.token_url, "exp": now + 240, "jti": secrets.token_hex(8)}
        alg = "ES384" if isinstance(key, ECKey) else "RS384"
        sent = {"alg": alg, "typ": "JWT", "kid": key.kid, **(header or {})}
        sent = {name: value for name, value in sent.items() if value is not None}
        body = {name: value for name, value in {**good, **claims}.items() if value is not None}
        return jws.serialize_compact(sent, json.dumps(body).encode(), key, algorithms=["RS384", "ES384", "RS256"])

    def ask(self, client: str, scope: str, assertion: str | None = None) -> httpx.Response:
        """A Backend Services token request."""
        form = {"grant_type": "client_credentials", "scope": scope, "client_assertion_type": ASSERTION_TYPE}
        return self.http.post("/auth/token", data={**form, "client_assertion": assertion or self.assertion(client)})

    def backend(self, scope: str = "system/*.cruds", client: str = "backend") -> "Fhir":
        answer = self.ask(client, scope)
        assert answer.status_code == 200, answer.text
        return Fhir(self, answer.json()["access_token"])

    def csrf(self) -> dict[str, str]:
        """The form field that proves a form is ours."""
        self.http.get("/").raise_for_status()
        return {"csrf": self.http.cookies[CSRF_COOKIE]}

    def launch(self, client: str, encounter: str = DEMONSTRATION, app_context: str | None = None) -> str:
        """Press Launch on a stay, or a card's link, and return the launch parameter of the frame."""
        form = {**self.csrf(), "client": client, **({"app_context": app_context} if app_context else {})}
        page = self.http.post(f"/stays/{encounter}/launch", data=form)
        assert page.status_code == 200, page.text
        source = re.search(r'<iframe [^>]*src="([^"]+)"', page.text)
        assert source is not None
        query = parse_qs(urlsplit(html.unescape(source[1])).query)
        assert query["iss"] == [self.fhir_base]
        return query["launch"][0]

    def authorize(self, client: str, scope: str, verifier: str = "v" * 64, **changes: str | None) -> httpx.Response:
        """A good authorization request, but for ``changes``; a None takes a parameter away."""
        digest = hashlib.sha256(verifier.encode()).digest()
        good = {
            "response_type": "code",
            "client_id": client,
            "redirect_uri": REDIRECT,
            "scope": scope,
            "state": "s" * 32,
            "aud": self.fhir_base,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        sent = {name: value for name, value in {**good, **changes}.items() if value is not None}
        return self.http.get("/auth/authorize", params=sent)

    def code(self, client: str, scope: str, encounter: str = DEMONSTRATION, **changes: str | None) -> str:
        answer = self.authorize(client, scope, launch=self.launch(client, encounter), **changes)
        found = dict(parse_qsl(urlsplit(answer.headers["location"]).query))
        assert "code" in found, found
        return found["code"]

    def redeem(self, client: str, code: str, **changes: Any) -> httpx.Response:
        """A good token request for a code, but for ``changes``."""
        form: dict[str, Any] = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT}
        form["code_verifier"] = "v" * 64
        return self.with_proof(client, {**form, **changes})

    def refresh(self, client: str, refresh_token: str, **changes: Any) -> httpx.Response:
        return self.with_proof(client, {"grant_type": "refresh_token", "refresh_token": refresh_token, **changes})

    def with_proof(self, client: str, form: dict[str, Any], path: str = "/auth/token") -> httpx.Response:
        """Send a form with the client's own kind of proof, where the form holds no other."""
        headers = {}
        if client == "public-app":
            form.setdefault("client_id", client)
        elif client == "secret-app":
            pair = f"{client}:{'open+sesame%3A+100%25'}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        else:
            form.setdefault("client_assertion_type", ASSERTION_TYPE)
            form.setdefault("client_assertion", self.assertion(client))
        form = {name: value for name, value in form.items() if value is not None}
        return self.http.post(path, data=form, headers=headers)

    def user(self, scope: str, encounter: str = DEMONSTRATION, client: str = "public-app") -> "Fhir":
        """A client for an app that was launched for a stay."""
        answer = self.redeem(client, self.code(client, f"launch {scope}", encounter))
        assert answer.status_code == 200, answer.text
        return Fhir(self, answer.json()["access_token"])

    def patient_of(self, encounter: str) -> str:
        subject = self.backend("system/Encounter.r").get(f"Encounter/{encounter}").json()["subject"]["reference"]
        return str(subject)


class Fhir:
    """The FHIR endpoint with one access token."""

    def __init__(self, ehr: Ehr, token: str) -> None:
        self.token = token
        self._ehr = ehr

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/fhir+json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        content = b"" if body is None else json.dumps(body).encode()
        return self._ehr.http.request(method, f"/fhir/{path}".rstrip("/"), headers=sent, content=content)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.request("GET", path, **headers)

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return self.request("POST", path, body, **headers)

    def put(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return self.request("PUT", path, body, **headers)

    def transaction(self, *entries: dict[str, Any], kind: str = "transaction") -> httpx.Response:
        return self.post("", {"resourceType": "Bundle", "type": kind, "entry": list(entries)})


class Receiver:
    """A subscriber's endpoint that keeps what it gets; ``status`` is what it answers."""

    def __init__(self) -> None:
        self.status = 200
        self.received: list[tuple[dict[str, str], Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.received.append((headers, json.loads(body)))
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def of_type(self, kind: str) -> list[dict[str, list[Any]]]:
        """The notifications of one type, each as its parameters by name."""
        found = []
        for _, bundle in self.received:
            parameters: dict[str, list[Any]] = {}
            for parameter in bundle["entry"][0]["resource"]["parameter"]:
                value = next((v for n, v in parameter.items() if n.startswith("value")), parameter.get("part"))
                parameters.setdefault(parameter["name"], []).append(value)
            if parameters["type"] == [kind]:
                found.append(parameters)
        return found


class Served:
    """An ASGI application on a thread, on a port that was free."""

    def __init__(self, listening: socket.socket, app: Any, lifespan: str = "off") -> None:
        config = uvicorn.Config(app, log_config=None, access_log=False, ws="none", lifespan=lifespan)
        self._server = uvicorn.Server(config)
        self._listening = listening
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listening]})

    def __enter__(self) -> None:
        self._thread.start()
        wait_for(lambda: self._server.started)

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        self._listening.close()


def wait_for(condition: Any, seconds: float = 20) -> None:
    """Wait until ``condition()`` is true; fail when it does not become so."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)


def free_port() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


@pytest.fixture(scope="session")
def clients_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clients") / "clients.json"
    path.write_text(json.dumps(clients()))
    return path


def _running(state: Path, clients_file: Path) -> Iterator[Ehr]:
    listening = free_port()
    base_url = f"http://localhost:{listening.getsockname()[1]}"
    settings = SandboxEhrSettings(
        state_dir=state, clients_file=clients_file, base_url=base_url, subscription_attempts=2, max_body_bytes=500_000
    )
    container = Container.build(settings)
    with Served(listening, build_app(container), lifespan="on"):
        ehr = Ehr(base_url, container)
        yield ehr
        ehr.http.close()


@pytest.fixture(scope="module")
def ehr(tmp_path_factory: pytest.TempPathFactory, clients_file: Path) -> Iterator[Ehr]:
    """One EHR for the tests of a module, freshly filled."""
    yield from _running(tmp_path_factory.mktemp("state"), clients_file)


@pytest.fixture
def receiver() -> Iterator[tuple[str, Receiver]]:
    """A subscriber's address, and what it received."""
    listening = free_port()
    heard = Receiver()
    with Served(listening, heard):
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/hook", heard


@pytest.fixture(scope="session")
def keys() -> dict[str, Any]:
    return {"rsa": RSA, "ec": EC, "stranger": STRANGER}


@pytest.fixture(scope="session")
def waiting() -> Any:
    return wait_for


@pytest.fixture(scope="session")
def fhir() -> type[Fhir]:
    return Fhir


@pytest.fixture(scope="session")
def serve() -> Any:
    """Serve an ASGI application on this machine while a ``with`` block runs; its value is the address."""

    @contextmanager
    def serving(app: Any) -> Iterator[str]:
        listening = free_port()
        with Served(listening, app):
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"

    return serving
