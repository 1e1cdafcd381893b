"""Acting in the EHR as the clinician who launched, and asking whether they still may."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from weakref import WeakValueDictionary

import httpx
from fhir_support.client import FhirAnswerInvalid, FhirRequestRefused, FhirServerUnavailable

from facade.ehr.registry import EhrRegistry
from facade.smart.authorization_server import AuthorizationServer
from facade.smart.errors import EhrRefused, EhrUnavailable
from facade.smart.launch_context import user_client
from facade.smart.sessions import Session, SessionEnded, Sessions

__all__ = ["UserAccess"]

_RENEW_BEFORE = timedelta(seconds=30)
# Longer than a token request can take (facade.ehr.outbound), so that a claim outlives the request it is for.
_RENEWAL_S = 15.0
_LOOK_AGAIN_S = 0.1


class UserAccess:
    """Uses the tokens of sessions; those that run out are refreshed where the EHR granted it, once for all who wait."""

    def __init__(
        self,
        *,
        ehrs: EhrRegistry,
        http: httpx.AsyncClient,
        server: AuthorizationServer,
        sessions: Sessions,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._ehrs = ehrs
        self._http = http
        self._server = server
        self._sessions = sessions
        self._clock = clock
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def confirm(self, session: Session) -> None:
        """Read the stay as the clinician, now; raise ``SessionEnded`` when the EHR no longer lets them.

        Raises ``EhrUnavailable`` when the EHR does not answer and ``EhrRefused`` when its answer is none.
        """
        token = await self._token(session)
        client = user_client(self._ehrs.get(session.ehr_id), self._http, token)
        try:
            await client.read(session.context.encounter)
        except FhirServerUnavailable:
            raise EhrUnavailable("read-unavailable") from None
        except FhirRequestRefused:
            await self._sessions.end(session.window)
            raise SessionEnded from None
        except FhirAnswerInvalid:
            raise EhrRefused("read-answer-invalid") from None

    async def _token(self, session: Session) -> str:
        """Return a token that is good for a while; it is renewed once, whoever and wherever those are who wait."""
        lock = self._locks.setdefault(session.window, asyncio.Lock())
        async with lock:
            for _ in range(round(_RENEWAL_S / _LOOK_AGAIN_S)):
                context = await self._sessions.context(session)
                if context.token_expires_at - _RENEW_BEFORE > self._clock():
                    return context.access_token
                if context.refresh_token is None:
                    if context.token_expires_at > self._clock():
                        return context.access_token
                    await self._sessions.end(session.window)
                    raise SessionEnded
                if await self._sessions.claim_renewal(session, _RENEWAL_S):
                    return await self._renewed(session, context.refresh_token)
                # Another process renews them: with a refresh token that works once, a second request would end both.
                await asyncio.sleep(_LOOK_AGAIN_S)
        raise EhrUnavailable("token-renewal-by-another-takes-too-long")

    async def _renewed(self, session: Session, refresh_token: str) -> str:
        context = await self._sessions.context(session)
        if context.refresh_token != refresh_token:
            # Renewed by another process between our look and our claim.
            await self._sessions.give_up_renewal(session)
            return context.access_token
        try:
            response = await self._server.exchange(
                self._ehrs.get(session.ehr_id),
                context.token_endpoint,
                {"grant_type": "refresh_token", "refresh_token": refresh_token},
            )
        except EhrRefused:
            await self._sessions.end(session.window)
            raise SessionEnded from None
        except EhrUnavailable:
            await self._sessions.give_up_renewal(session)
            raise
        renewed = context.model_copy(
            update={
                "access_token": response.access_token,
                "refresh_token": response.refresh_token or refresh_token,
                "token_expires_at": self._clock() + timedelta(seconds=response.expires_in),
            }
        )
        await self._sessions.replace(session, renewed)
        return renewed.access_token
