"""Asks a registered authorization server what a token means (RFC 7662), as a client that proves itself.

An answer is kept for a few seconds, so that a page of reads is one question; a token that was revoked works no longer
than that. When the server does not answer, what it last said counts for at most half a minute, then nothing does.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import httpx
from fhir_support.errors import ServiceUnavailable
from service_runtime.secrets import SecretError

from facade.ehr.asking import AskFailed, ServerRefused, ask
from facade.ehr.assertion import ASSERTION_TYPE, ClientAssertions
from facade.ehr.registry import Ehr

__all__ = ["Introspection"]

_KEEP_S = 5.0
_KEEP_WITHOUT_ANSWER_S = 30.0
_MAX_HELD = 2_048


class Introspection:
    """Answers of authorization servers by token; tokens themselves are not kept."""

    def __init__(
        self, http: httpx.AsyncClient, assertions: ClientAssertions, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._http = http
        self._assertions = assertions
        self._clock = clock
        self._held: OrderedDict[str, tuple[float, Mapping[str, Any] | None]] = OrderedDict()

    async def ask(self, ehr: Ehr, unverified_token: str) -> Mapping[str, Any] | None:
        """Return the members of an active token's answer, None when it is not active; raise ``ServiceUnavailable``."""
        digest = hashlib.sha256(f"{ehr.id}\n{unverified_token}".encode()).hexdigest()
        held, now = self._held.get(digest), self._clock()
        if held is not None and now - held[0] < _KEEP_S:
            return held[1]
        try:
            answer = await self._request(ehr, unverified_token)
        except (AskFailed, SecretError):
            if held is not None and now - held[0] < _KEEP_WITHOUT_ANSWER_S:
                return held[1]
            raise ServiceUnavailable("The authorization server cannot be asked now.") from None
        self._held[digest] = (now, answer)
        self._held.move_to_end(digest)
        while len(self._held) > _MAX_HELD:
            self._held.popitem(last=False)
        return answer

    async def _request(self, ehr: Ehr, unverified_token: str) -> Mapping[str, Any] | None:
        registered = ehr.access_tokens
        if registered is None or registered.introspection_endpoint is None or not registered.introspection_client_id:
            raise ServerRefused("introspection-not-registered")
        assertion = await self._assertions.make(
            client_id=registered.introspection_client_id,
            token_url=registered.introspection_endpoint,
            algorithm=ehr.signing_algorithm,
        )
        form = {
            "token": unverified_token,
            "token_type_hint": "access_token",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
        }
        try:
            answer = await ask(self._http, "POST", registered.introspection_endpoint, form=form)
        except ServerRefused as error:
            if error.reason == "http-400-unsupported_token_type":
                # Servers exist that say so of a token they would not issue for us; RFC 7662 would say "not active".
                return None
            raise
        if not isinstance(answer.get("active"), bool):
            raise ServerRefused("not-an-introspection-response")
        return answer if answer["active"] else None
