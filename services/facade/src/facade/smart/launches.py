"""The launch itself: from ``iss`` to the EHR's authorization page, and from its answer to a session."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import httpx
from fhir_support.client import FhirClient

from facade.ehr.registry import Ehr, EhrRegistry, UnknownEhr
from facade.smart.authorization_server import AuthorizationServer
from facade.smart.cookies import FrameCookie, cookie_name
from facade.smart.errors import ContextMissing, EhrRefused, UnknownIssuer, authorization_refused
from facade.smart.launch_context import read_launch_context, user_client
from facade.smart.launch_steps import Asked, AuthorizationRequest, OpenedSession, SignedIn, StayChoice
from facade.smart.pending import PendingLaunches
from facade.smart.scopes import not_granted, requested_scopes
from facade.smart.secret_values import challenge, random_value
from facade.smart.sessions import SessionContext, Sessions
from facade.smart.stays import hospital_stays
from facade.smart.token_response import AppContext, TokenResponse

__all__ = ["Launches"]

_MAX_LAUNCH_CHARACTERS = 2048


class Launches:
    """EHR and standalone launches (SMART App Launch 2.2) as the kind of client that each EHR registered us as."""

    def __init__(
        self,
        *,
        ehrs: EhrRegistry,
        http: httpx.AsyncClient,
        server: AuthorizationServer,
        pending: PendingLaunches,
        sessions: Sessions,
        public_base_url: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._ehrs = ehrs
        self._http = http
        self._server = server
        self._pending = pending
        self._sessions = sessions
        self._public_base_url = public_base_url
        self._clock = clock

    @property
    def redirect_uri(self) -> str:
        """The address registered at every EHR."""
        return f"{self._public_base_url}/smart/callback"

    async def start(self, unverified_issuer: str, unverified_launch: str | None) -> AuthorizationRequest:
        """Begin a launch; without ``launch`` a standalone one. Raises ``LaunchRefused``.

        Nothing is sent and nothing stored before the issuer is known to be registered.
        """
        try:
            ehr = self._ehrs.by_issuer(unverified_issuer)
        except UnknownEhr:
            raise UnknownIssuer("issuer-not-registered") from None
        if unverified_launch is not None and not 0 < len(unverified_launch) <= _MAX_LAUNCH_CHARACTERS:
            raise EhrRefused("launch-parameter-invalid")
        return await self._authorization_request(ehr, unverified_launch)

    async def start_standalone(self, unverified_ehr_id: str) -> AuthorizationRequest:
        """Begin a standalone launch at the EHR we call ``unverified_ehr_id``; raise ``LaunchRefused``."""
        try:
            ehr = self._ehrs.get(unverified_ehr_id)
        except UnknownEhr:
            raise UnknownIssuer("ehr-not-registered") from None
        return await self._authorization_request(ehr, None)

    async def complete(self, query: Mapping[str, str], cookies: Mapping[str, str]) -> OpenedSession | StayChoice:
        """Turn the EHR's answer into a session, or ask which stay it is about; raise ``LaunchRefused``."""
        state = query.get("state", "")
        cookie = self._pending.cookie_name(state)
        ehr_id, asked = await self._pending.redeem("asked", state, cookies.get(cookie), Asked)
        ehr = self._ehrs.get(ehr_id)
        if query.get("iss", None if asked.names_itself else asked.issuer) != asked.issuer:
            # RFC 9207: the answer comes from another authorization server than the one that was asked.
            raise EhrRefused("issuer-parameter-differs")
        if "error" in query:
            raise authorization_refused(query["error"])
        response = await self._server.exchange(
            ehr,
            asked.token_endpoint,
            {
                "grant_type": "authorization_code",
                "code": query.get("code", ""),
                "redirect_uri": self.redirect_uri,
                "code_verifier": asked.code_verifier,
            },
        )
        practitioner = await self._server.clinician(
            ehr, asked.issuer, response.id_token, asked.nonce, self._clock().timestamp()
        )
        signed_in = self._signed_in(ehr, asked, response, practitioner)
        if response.encounter is not None:
            return await self._open(ehr, signed_in, f"Encounter/{response.encounter}", FrameCookie(cookie))
        stays = await hospital_stays(self._client(ehr, signed_in), signed_in.patient)
        if not stays:
            raise ContextMissing("no-encounter")
        kept = await self._pending.keep("signed-in", ehr.id, signed_in)
        return StayChoice(ehr.id, kept.handle, stays, (kept.cookie, FrameCookie(cookie)))

    async def choose(self, form: Mapping[str, str], cookies: Mapping[str, str]) -> OpenedSession:
        """Open a session for the stay that was chosen; raise ``LaunchRefused``.

        The handle in the form is known to our own page alone, so another site cannot choose in the user's place.
        """
        handle = form.get("handle", "")
        cookie = self._pending.cookie_name(handle)
        ehr_id, signed_in = await self._pending.redeem("signed-in", handle, cookies.get(cookie), SignedIn)
        ehr = self._ehrs.get(ehr_id)
        offered = await hospital_stays(self._client(ehr, signed_in), signed_in.patient)
        if form.get("stay") not in dict(offered):
            raise ContextMissing("stay-not-offered")
        return await self._open(ehr, signed_in, form["stay"], FrameCookie(cookie))

    async def _authorization_request(self, ehr: Ehr, launch: str | None) -> AuthorizationRequest:
        configuration = await self._server.configuration(ehr)
        asked = Asked(
            code_verifier=random_value(),
            nonce=random_value(),
            issuer=configuration.issuer or ehr.issuer,
            names_itself=configuration.authorization_response_iss_parameter_supported,
            token_endpoint=configuration.token_endpoint,
            scope=requested_scopes(ehr.launch_scopes, standalone=launch is None),
        )
        kept = await self._pending.keep("asked", ehr.id, asked)
        parameters = {
            "response_type": "code",
            "client_id": ehr.launch_client_id,
            "redirect_uri": self.redirect_uri,
            "scope": asked.scope,
            "state": kept.handle,
            # SMART: the URL of the FHIR server, exactly; it stops a counterfeit server from getting a real token.
            "aud": ehr.fhir_base,
            "nonce": asked.nonce,
            "code_challenge": challenge(asked.code_verifier),
            "code_challenge_method": "S256",
            **({"launch": launch} if launch is not None else {}),
        }
        assert configuration.authorization_endpoint is not None  # ``configuration`` above has seen to it
        return AuthorizationRequest(
            ehr.id,
            configuration.authorization_endpoint,
            parameters,
            kept.cookie,
            may_post="authorize-post" in configuration.capabilities,
        )

    def _signed_in(self, ehr: Ehr, asked: Asked, response: TokenResponse, practitioner: str) -> SignedIn:
        if response.patient is None:
            raise ContextMissing("no-patient")
        return SignedIn(
            practitioner=practitioner,
            patient=f"Patient/{response.patient}",
            access_token=response.access_token,
            refresh_token=response.refresh_token,
            token_endpoint=asked.token_endpoint,
            token_expires_at=self._clock() + timedelta(seconds=response.expires_in),
            not_granted=not_granted(asked.scope, response.scope),
            show_banner=response.need_patient_banner,
            app_context=AppContext.read(response.app_context),
            open_resources=response.open_resources(ehr.fhir_base),
        )

    async def _open(self, ehr: Ehr, signed_in: SignedIn, encounter: str, used: FrameCookie) -> OpenedSession:
        about = await read_launch_context(ehr, self._client(ehr, signed_in), signed_in, encounter)
        session = await self._sessions.open(
            ehr.id,
            SessionContext(
                **signed_in.model_dump(),
                encounter=encounter,
                practitioner_name=about.practitioner_name,
                patient_name=about.patient_name,
                patient_birth_date=about.patient_birth_date,
                patient_sex=about.patient_sex,
                csrf_token=random_value(),
            ),
        )
        name = cookie_name("session", session.window, self._public_base_url)
        opened = FrameCookie(name, value=session.secret, max_age=self._sessions.absolute_s)
        return OpenedSession(ehr.id, session, (opened, used))

    def _client(self, ehr: Ehr, signed_in: SignedIn) -> FhirClient:
        return user_client(ehr, self._http, signed_in.access_token)
