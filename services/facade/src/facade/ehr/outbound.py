"""The one HTTP client for everything outside this process: it reaches registered origins and no other.

Whether a URL comes from an administrator, a discovery document, a reference or a ``next`` link: an origin that is not
registered is refused before a name is resolved or a socket opened. Redirects are not followed, answers are limited in
size and total time, cookies are not kept, proxies of the environment are not used, TLS is verified as usual.
"""

import asyncio
import logging
import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import httpcore
import httpx
from httpx_aiohttp import AiohttpTransport
from service_runtime.log import LogCode, log

from facade.ehr.bounded import bounded
from facade.ehr.breaker import Breaker, retry_after_s
from facade.ehr.connecting import CheckedAddresses, Resolver, resolve
from facade.ehr.origins import origin_of
from facade.ehr.refusals import AnswerRefused, OriginNotRegistered, OutboundRefused, ServerPaused

__all__ = [
    "SMALL_ANSWER",
    "AnswerRefused",
    "OriginNotRegistered",
    "OutboundRefused",
    "OutboundTransport",
    "ServerPaused",
    "outbound_client",
]

_MAX_BYTES = 33_554_432
_TOTAL_S = 30.0

SMALL_ANSWER = {"max_bytes": 262_144, "total_s": 10.0}
"""``extensions`` of a request whose answer is a small document: discovery, keys, tokens."""


@dataclass(frozen=True)
class _Place:
    """One origin with its own connections, so that one slow server does not use up those of another."""

    transport: httpx.AsyncHTTPTransport
    breaker: Breaker
    ehr_id: str


class OutboundTransport(httpx.AsyncBaseTransport):
    """Sends requests to ``registered`` origins (each of an EHR, by its id) and ``own`` ones (our Serve applications).

    Our own are trusted: their streams carry the deadline of a task, so no limit of size or total time is put on them.
    They are asked through aiohttp, which needs a third of the processor time.
    """

    def __init__(
        self,
        registered: Mapping[str, str],
        own: Collection[str] = (),
        *,
        connections: int = 20,
        resolver: Resolver = resolve,
    ) -> None:
        context = httpx.create_ssl_context()
        limits = httpx.Limits(max_connections=connections)
        self._places: dict[str, _Place] = {}
        self._own = {origin: _OwnTransport(client=lambda: _session(context, connections)) for origin in own}
        for origin in registered.keys() - self._own.keys():
            url = httpx.URL(origin)
            transport = httpx.AsyncHTTPTransport(verify=context, limits=limits)
            # httpx has no parameter for the network below its pool; a test holds that this one is used.
            transport._pool = httpcore.AsyncConnectionPool(
                ssl_context=context,
                max_connections=limits.max_connections,
                keepalive_expiry=limits.keepalive_expiry,
                network_backend=CheckedAddresses(
                    url.raw_host.decode("ascii"),
                    url.port or {"http": 80, "https": 443}[url.scheme],
                    resolver=resolver,
                ),
            )
            self._places[origin] = _Place(transport, Breaker(), registered[origin])

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send ``request``; raise ``OutboundRefused`` or another ``httpx.TransportError``."""
        origin = _origin(request.url)
        if origin in self._own:
            return await self._own[origin].handle_async_request(request)
        place = self._place(origin)
        total_s = float(request.extensions.get("total_s", _TOTAL_S))
        if not place.breaker.admits(total_s):
            raise ServerPaused("the server is left alone for a while")
        deadline = asyncio.get_running_loop().time() + total_s
        try:
            response = await self._send(place, request, deadline)
        except asyncio.CancelledError:
            place.breaker.gave_up()
            raise
        except (httpx.PoolTimeout, httpx.LocalProtocolError, httpx.UnsupportedProtocol):
            # Ours: too many at once, or a request that cannot be sent. It says nothing about the server.
            place.breaker.gave_up()
            raise
        except httpx.TransportError:
            if place.breaker.failed():
                log(LogCode.EHR_PAUSED, level=logging.WARNING, ehr=place.ehr_id, reason="transport")
            raise
        wait_s = retry_after_s(response.status_code, response.headers.get("retry-after"))
        if place.breaker.answered(wait_s):
            log(LogCode.EHR_REACHED, ehr=place.ehr_id)
        if wait_s:
            log(
                LogCode.EHR_PAUSED,
                level=logging.WARNING,
                ehr=place.ehr_id,
                reason="retry-after",
                status=response.status_code,
            )
        return await bounded(response, int(request.extensions.get("max_bytes", _MAX_BYTES)), deadline)

    async def aclose(self) -> None:
        """Close all connections."""
        for transport in (*self._own.values(), *(place.transport for place in self._places.values())):
            await transport.aclose()

    def _place(self, origin: str | None) -> _Place:
        if origin is None or origin not in self._places:
            log(LogCode.OUTBOUND_REFUSED, level=logging.WARNING, reason="origin-not-registered")
            raise OriginNotRegistered("the URL does not lead to a registered origin")
        return self._places[origin]

    async def _send(self, place: _Place, request: httpx.Request, deadline: float) -> httpx.Response:
        try:
            async with asyncio.timeout_at(deadline):
                return await place.transport.handle_async_request(request)
        except TimeoutError:
            raise httpx.ReadTimeout("no answer in time", request=request) from None


class _OwnTransport(AiohttpTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except httpx.TimeoutException as error:
            # A refused or broken connection comes as a timeout too, and is not one.
            if isinstance(error.__cause__, TimeoutError):
                raise
            raise httpx.ConnectError(type(error.__cause__).__name__, request=request) from None


def _origin(url: httpx.URL) -> str | None:
    try:
        return origin_of(url)
    except ValueError:
        return None


def _session(context: ssl.SSLContext, connections: int) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(ssl=context, limit=connections)
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())


def outbound_client(
    registered: Mapping[str, str],
    own: Collection[str] = (),
    *,
    timeout_s: float,
    connections: int = 20,
    **more: Any,
) -> httpx.AsyncClient:
    """Return the client; ``timeout_s`` is for each wait (connection, bytes), beside the limit of the whole."""
    return httpx.AsyncClient(
        transport=OutboundTransport(registered, own, connections=connections, **more),
        timeout=timeout_s,
        trust_env=False,
        follow_redirects=False,
        headers={"Accept-Encoding": "identity", "User-Agent": "Preceptor"},
    )
