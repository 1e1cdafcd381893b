"""What holds for every answer: an X-Request-Id, security headers, and one log line without addresses."""

import time

from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from service_runtime.log import LogCode, log
from service_runtime.request_id import REQUEST_ID_HEADER, accept_request_id

__all__ = ["security_headers", "surround"]

_DEFAULTS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
"""Sent where a route does not say otherwise."""

_HSTS = "max-age=31536000; includeSubDomains"


def security_headers(*, https: bool) -> list[tuple[bytes, bytes]]:
    """Return the headers as ASGI wants them, for an answer that is made outside of ``surround``."""
    headers = {**_DEFAULTS, **({"Strict-Transport-Security": _HSTS} if https else {})}
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def surround(app: ASGIApp, *, https: bool) -> ASGIApp:
    """Return ``app`` with all of it; it stands outside the router, so that unknown addresses are covered as well."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        started = time.monotonic()
        unverified_id = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        request_id = accept_request_id(unverified_id.decode("latin-1"))
        status = 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableScopeHeaders.from_message(message)
                headers[REQUEST_ID_HEADER] = request_id
                for name, value in _DEFAULTS.items():
                    headers.setdefault(name, value)
                if https:
                    headers["Strict-Transport-Security"] = _HSTS
            await send(message)

        try:
            await app(scope, receive, sending)
        finally:
            elapsed_ms = round((time.monotonic() - started) * 1000)
            log(
                LogCode.REQUEST_SERVED,
                method=scope["method"],
                route=_route(scope),
                status=status,
                elapsed_ms=elapsed_ms,
            )

    return wrapped


def _route(scope: HTTPScope) -> str:
    """The route's pattern: an address itself may name a patient's encounter."""
    return str(scope.get("path_template") or "unknown")
