"""A small authorization server behind a real socket: keys, introspection and discovery, for tests of what reads tokens.

It issues whatever a test asks for, also what no server should, and says what it was asked.
"""

import json
import socket
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

__all__ = ["TokenIssuer"]


@dataclass
class TokenIssuer:
    """``revoked`` holds tokens that are no longer active; ``asked`` counts requests by path."""

    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"use": "sig"}, auto_kid=True))
    ec_key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-384", {"use": "sig"}, auto_kid=True))
    revoked: set[str] = field(default_factory=set)
    introspected: dict[str, dict[str, Any]] = field(default_factory=dict)
    assertions: list[str] = field(default_factory=list)
    asked: dict[str, int] = field(default_factory=dict)
    silent: bool = False
    port: int = 0

    def start(self) -> None:
        """Listen on a free port of this machine."""
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        config = uvicorn.Config(self, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listening]}, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop listening."""
        self._server.should_exit = True
        self._thread.join(10)

    @property
    def url(self) -> str:
        """The issuer."""
        return f"http://127.0.0.1:{self.port}"

    def token(self, aud: Any, scope: Any = "", *, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """Return a signed access token; a claim of None is left out."""
        now = int(time.time())
        said = {
            "iss": self.url,
            "aud": aud,
            "sub": "client",
            "client_id": "client",
            "scope": scope,
            "iat": now,
            "exp": now + 300,
            "jti": str(uuid.uuid4()),
            **claims,
        }
        head = {"alg": "RS256", "typ": "at+jwt", "kid": self.key.kid, **(header or {})}
        key = self.ec_key if head["alg"].startswith("ES") else self.key
        if head["alg"].startswith("ES") and "kid" not in (header or {}):
            head["kid"] = self.ec_key.kid
        kept = {name: value for name, value in head.items() if value is not None}
        body = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(kept, body, key, algorithms=["RS256", "RS384", "RS512", "PS256", "ES384"])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        path = scope["path"]
        self.asked[path] = self.asked.get(path, 0) + 1
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        status, answer = (503, {}) if self.silent else self._answer(path, body)
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    def _answer(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        if path == "/jwks":
            return 200, {"keys": [key.as_dict(private=False) for key in (self.key, self.ec_key)]}
        if path == "/introspect":
            form = parse_qs(body.decode())
            self.assertions.append(form["client_assertion"][0])
            token = form["token"][0]
            if token in self.revoked:
                return 200, {"active": False}
            return 200, self.introspected.get(token, {"active": False})
        if path.endswith("/.well-known/smart-configuration"):
            return 200, {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/jwks",
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "introspection_endpoint": f"{self.url}/introspect",
                "grant_types_supported": ["authorization_code", "client_credentials"],
                "token_endpoint_auth_methods_supported": ["private_key_jwt"],
                "code_challenge_methods_supported": ["S256", "plain"],
                "capabilities": ["launch-ehr", "launch-standalone", "sso-openid-connect", "client-public"],
            }
        return 404, {}
