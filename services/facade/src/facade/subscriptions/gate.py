"""What stands before the address for notifications: who does not hold the secret is refused before anything is read.

Anybody who can reach the facade can send to this address, as often as they like. So a refusal costs almost nothing: no
routing, no body, no line in the log for each; the comparison takes the same time for every wrong secret. Who does
hold the secret is taken at a steady rate, and told when to come again with what exceeds it.
"""

import asyncio
import json
import math
import time
from collections import Counter
from collections.abc import Callable

from fhir_support.errors import FhirError, NotFound, ServiceUnavailable, Unauthorized, operation_outcome
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send
from service_runtime.log import LogCode, log
from service_runtime.request_id import REQUEST_ID_HEADER, accept_request_id
from service_runtime.secrets import SecretError

from facade.ehr.registry import EhrRegistry, UnknownEhr
from facade.subscriptions.channel_secrets import ChannelSecrets
from facade.surround import security_headers

__all__ = ["NotificationGate", "TokenBucket"]

_PREFIX = "/subscriptions/"
_RATE_PER_S = 100.0
_BURST = 500.0
"""More than the busiest hospital's discharges; a Subscription that sends more is out of order."""
_TELL_EVERY_S = 1.0
_TOO_MANY = 429
_REQUEST_ID = REQUEST_ID_HEADER.lower().encode()
_Answer = tuple[list[tuple[bytes, bytes]], bytes]


class TokenBucket:
    """Lets ``rate_per_s`` through for ever, and ``burst`` at once."""

    def __init__(self, rate_per_s: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate_per_s
        self._burst = burst
        self._clock = clock
        self._tokens = burst
        self._at = clock()

    def take(self) -> float:
        """Take one and return 0, or return how many seconds until there is one."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1.0:
            return (1.0 - self._tokens) / self._rate
        self._tokens -= 1.0
        return 0.0


class NotificationGate:
    """An ASGI application around ``app`` that answers what is refused by itself."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        ehrs: EhrRegistry,
        secrets: ChannelSecrets,
        https: bool,
        rate_per_s: float = _RATE_PER_S,
        burst: float = _BURST,
    ) -> None:
        self._app = app
        self._ehrs = ehrs
        self._secrets = secrets
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._buckets: dict[str, TokenBucket] = {}
        self._headers = security_headers(https=https)
        self._answers: dict[int, _Answer] = {}
        self._refused: Counter[tuple[int, str | None]] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may pass; answer the rest without having read any of it."""
        if scope["type"] != ScopeType.HTTP or not scope["path"].startswith(_PREFIX):
            await self._app(scope, receive, send)
            return
        ehr_id = scope["path"][len(_PREFIX) :].partition("/")[0]
        try:
            await self._admit(ehr_id, scope)
        except FhirError as error:
            self._count(error.status, ehr_id if error.status != NotFound.status else None)
            await self._refuse(send, scope, error.status, self._answer(error.status, error.code, error.text))
            return
        wait_s = self._bucket(ehr_id).take()
        if wait_s:
            self._count(_TOO_MANY, ehr_id)
            answer = self._answer(_TOO_MANY, "throttled", "Too many notifications; send this one again later.")
            await self._refuse(send, scope, _TOO_MANY, answer, (b"retry-after", str(math.ceil(wait_s)).encode()))
            return
        await self._app(scope, receive, send)

    async def _admit(self, ehr_id: str, scope: HTTPScope) -> None:
        try:
            self._ehrs.get(ehr_id)
        except UnknownEhr:
            raise NotFound from None
        unverified = next((value for name, value in scope["headers"] if name == b"authorization"), b"").decode(
            "latin-1"
        )
        known = self._secrets.recognises(ehr_id, unverified)
        if known is None:
            try:
                known = await self._secrets.accepts(ehr_id, unverified)
            except SecretError:
                raise ServiceUnavailable from None
        if not known:
            raise Unauthorized

    def _bucket(self, ehr_id: str) -> TokenBucket:
        bucket = self._buckets.get(ehr_id)
        if bucket is None:
            bucket = self._buckets[ehr_id] = TokenBucket(self._rate_per_s, self._burst)
        return bucket

    def _answer(self, status: int, code: str, text: str) -> _Answer:
        """Return headers and body of a refusal, which are made once."""
        answer = self._answers.get(status)
        if answer is None:
            body = json.dumps(operation_outcome(code, text)).encode()
            headers = [
                *self._headers,
                (b"content-type", b"application/fhir+json; charset=utf-8"),
                (b"content-length", str(len(body)).encode()),
            ]
            if status == Unauthorized.status:
                headers.append((b"www-authenticate", b"Bearer"))
            answer = self._answers[status] = (headers, body)
        return answer

    async def _refuse(
        self, send: Send, scope: HTTPScope, status: int, answer: _Answer, *more: tuple[bytes, bytes]
    ) -> None:
        headers, body = answer
        request_id = accept_request_id(_header(scope, b"x-request-id")).encode()
        sent = [*headers, (_REQUEST_ID, request_id), *more]
        await send({"type": "http.response.start", "status": status, "headers": sent})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    def _count(self, status: int, ehr_id: str | None) -> None:
        """Count a refusal; the log gets the sum once a second."""
        if not self._refused:
            asyncio.get_running_loop().call_later(_TELL_EVERY_S, self._tell)
        self._refused[status, ehr_id] += 1

    def _tell(self) -> None:
        refused, self._refused = self._refused, Counter()
        for (status, ehr_id), count in refused.items():
            log(LogCode.NOTIFICATION_REFUSED, status=status, ehr=ehr_id, count=count)


def _header(scope: HTTPScope, wanted: bytes) -> str:
    return next((value for name, value in scope["headers"] if name == wanted), b"").decode("latin-1")
