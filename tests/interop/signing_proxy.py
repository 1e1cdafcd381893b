"""A CDS client's gateway: signs each call for exactly the endpoint it goes to, and publishes the key.

Clients exist that cannot prove who they are; a hospital puts such a gateway before them. What it passes on is not
changed: body and answer go through byte by byte.
"""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey

__all__ = ["ISSUER", "KEY", "SigningProxy", "signing_proxy"]

ISSUER = "https://cds-client.example.org"
KEY = ECKey.generate_key("P-384", {"kid": "cds-client", "use": "sig", "alg": "ES384"})
"""Made anew with every run of the tests."""


class SigningProxy:
    """The calls that went through: path, status and body of the answer."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.calls: list[tuple[str, int, bytes]] = []


@contextmanager
def signing_proxy(port: int, facade: str) -> Iterator[SigningProxy]:
    """Run one before ``facade`` until the block ends."""
    proxy = SigningProxy(f"http://localhost:{port}")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, json.dumps({"keys": [KEY.as_dict(private=False)]}).encode())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            endpoint = facade + self.path
            headers = {"Content-Type": self.headers["content-type"], "Authorization": f"Bearer {_token(endpoint)}"}
            answer = httpx.post(endpoint, content=body, headers=headers, timeout=20)
            proxy.calls.append((self.path, answer.status_code, answer.content))
            self._answer(answer.status_code, answer.content)

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _token(endpoint: str) -> str:
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": endpoint, "iat": now, "exp": now + 60, "jti": str(uuid.uuid4())}
    return jwt.encode({"alg": "ES384", "typ": "JWT", "kid": "cds-client"}, claims, KEY, algorithms=["ES384"])
