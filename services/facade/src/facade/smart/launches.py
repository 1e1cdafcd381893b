"""The launch itself: from ``iss`` to the EHR's authorization page, and from its answer to a session."""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode, urlsplit

import httpx
from pydantic import BaseModel, ConfigDict
from service_runtime.envelope import EnvelopeCipher
from sqlalchemy import delete

from facade.ehr.registry import Ehr, EhrRegistry, UnknownEhr
from facade.smart.authorization_server import AuthorizationServer
from facade.smart.cookies import FrameCookie, cookie_name
from facade.smart.errors import EhrRefused, LaunchExpired, UnknownIssuer
from facade.smart.launch_context import read_launch_context, user_client
from facade.smart.secret_values import challenge, hashed, random_value
from facade.smart.sessions import NewSession, SessionContext, Sessions
from facade.store.database import Database
from facade.store.tables import LaunchRow

__all__ = ["AuthorizationRedirect", "Launches", "OpenedSession"]

_LIFETIME_S = 600
_MAX_LAUNCH_CHARACTERS = 2048
# RFC 6749, 4.1.2.1 and OpenID Connect Core, 3.1.2.6: what a log may repeat of an error answer.
_ERRORS = frozenset(
    {
        "access_denied",
        "invalid_request",
        "invalid_scope",
        "login_required",
        "server_error",
        "temporarily_unavailable",
        "unauthorized_client",
        "unsupported_response_type",
    }
)


class _Pending(BaseModel):
    """What is kept, sealed, between the redirect and the EHR's answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code_verifier: str
    nonce: str
    issuer: str
    token_endpoint: str


@dataclass(frozen=True)
class AuthorizationRedirect:
    """Where to send the browser, with the cookie that binds the launch to it."""

    ehr_id: str
    url: str
    cookie: FrameCookie


@dataclass(frozen=True)
class OpenedSession:
    """A session, with the cookies to set for it."""

    ehr_id: str
    session: NewSession
    cookies: tuple[FrameCookie, ...]


class Launches:
    """EHR and standalone launches (SMART App Launch 2.2) as a confidential client with ``private_key_jwt``."""

    def __init__(
        self,
        *,
        ehrs: EhrRegistry,
        http: httpx.AsyncClient,
        server: AuthorizationServer,
        database: Database,
        cipher: EnvelopeCipher,
        sessions: Sessions,
        public_base_url: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._ehrs = ehrs
        self._http = http
        self._server = server
        self._database = database
        self._cipher = cipher
        self._sessions = sessions
        self._public_base_url = public_base_url
        self._clock = clock

    @property
    def redirect_uri(self) -> str:
        """The address registered at every EHR."""
        return f"{self._public_base_url}/smart/callback"

    async def start(self, unverified_issuer: str, unverified_launch: str | None) -> AuthorizationRedirect:
        """Begin a launch; without ``launch`` a standalone one. Raises ``LaunchRefused``.

        Nothing is sent and nothing stored before the issuer is known to be registered.
        """
        try:
            ehr = self._ehrs.by_issuer(unverified_issuer)
        except UnknownEhr:
            raise UnknownIssuer("issuer-not-registered") from None
        if unverified_launch is not None and not 0 < len(unverified_launch) <= _MAX_LAUNCH_CHARACTERS:
            raise EhrRefused("launch-parameter-invalid")
        configuration = await self._server.configuration(ehr)
        pending = _Pending(
            code_verifier=random_value(),
            nonce=random_value(),
            issuer=configuration.issuer or ehr.issuer,
            token_endpoint=configuration.token_endpoint,
        )
        state, browser = random_value(), random_value()
        await self._keep(ehr, state, browser, pending)
        query = {
            "response_type": "code",
            "client_id": ehr.launch_client_id,
            "redirect_uri": self.redirect_uri,
            "scope": _scopes(ehr, standalone=unverified_launch is None),
            "state": state,
            # SMART: the URL of the FHIR server, exactly; it stops a counterfeit server from getting a real token.
            "aud": ehr.fhir_base,
            "nonce": pending.nonce,
            "code_challenge": challenge(pending.code_verifier),
            "code_challenge_method": "S256",
        }
        if unverified_launch is not None:
            query["launch"] = unverified_launch
        endpoint = configuration.authorization_endpoint
        joint = "&" if urlsplit(endpoint).query else "?"
        cookie = FrameCookie(self._cookie_name(state), value=browser, max_age=_LIFETIME_S)
        return AuthorizationRedirect(ehr.id, f"{endpoint}{joint}{urlencode(query)}", cookie)

    async def complete(self, query: Mapping[str, str], cookies: Mapping[str, str]) -> OpenedSession:
        """Turn the EHR's answer into a session; raise ``LaunchRefused``."""
        state = query.get("state", "")
        ehr, pending = await self._redeem(state, cookies.get(self._cookie_name(state)))
        if "iss" in query and query["iss"] != pending.issuer:
            # RFC 9207: the answer comes from another authorization server than the one that was asked.
            raise EhrRefused("issuer-parameter-differs")
        if "error" in query:
            error = query["error"] if query["error"] in _ERRORS else "other"
            raise EhrRefused(f"authorization-{error}")
        response = await self._server.exchange(
            ehr,
            pending.token_endpoint,
            {
                "grant_type": "authorization_code",
                "code": query.get("code", ""),
                "redirect_uri": self.redirect_uri,
                "code_verifier": pending.code_verifier,
            },
        )
        practitioner = await self._server.clinician(
            ehr, pending.issuer, response.id_token, pending.nonce, self._clock().timestamp()
        )
        client = user_client(ehr, self._http, response.access_token)
        about = await read_launch_context(ehr, client, response, practitioner)
        session = await self._sessions.open(
            ehr.id,
            SessionContext(
                patient=about.patient,
                encounter=about.encounter,
                practitioner=practitioner,
                practitioner_name=about.practitioner_name,
                patient_name=about.patient_name,
                patient_birth_date=about.patient_birth_date,
                patient_sex=about.patient_sex,
                show_banner=response.need_patient_banner,
                access_token=response.access_token,
                refresh_token=response.refresh_token,
                token_endpoint=pending.token_endpoint,
                token_expires_at=self._clock() + timedelta(seconds=response.expires_in),
                csrf_token=random_value(),
            ),
        )
        name = cookie_name("session", session.window, self._public_base_url)
        opened = FrameCookie(name, value=session.secret, max_age=self._sessions.absolute_s)
        return OpenedSession(ehr.id, session, (opened, FrameCookie(self._cookie_name(state))))

    def _cookie_name(self, state: str) -> str:
        return cookie_name("launch", hashed(state)[:16], self._public_base_url)

    async def _keep(self, ehr: Ehr, state: str, browser: str, pending: _Pending) -> None:
        now = self._clock()
        state_hash = hashed(state)
        sealed = await self._cipher.seal(
            pending.model_dump_json().encode(), scope=_scope(ehr.id), aad=_place(state_hash)
        )
        async with self._database.session() as session:
            await session.execute(delete(LaunchRow).where(LaunchRow.expires_at <= now))
            session.add(
                LaunchRow(
                    state_hash=state_hash,
                    browser_hash=hashed(browser),
                    ehr_id=ehr.id,
                    sealed=sealed,
                    expires_at=now + timedelta(seconds=_LIFETIME_S),
                )
            )

    async def _redeem(self, unverified_state: str, unverified_browser: str | None) -> tuple[Ehr, _Pending]:
        """Take the launch that ``state`` names out of the store, whoever asks: it can be tried once."""
        state_hash = hashed(unverified_state)
        statement = delete(LaunchRow).where(LaunchRow.state_hash == state_hash).returning(LaunchRow)
        async with self._database.session() as session:
            row = (await session.execute(statement)).scalar_one_or_none()
        if row is None:
            raise LaunchExpired("state-unknown")
        if not hmac.compare_digest(row.browser_hash, hashed(unverified_browser or "")):
            raise LaunchExpired("state-of-another-browser")
        if row.expires_at <= self._clock():
            raise LaunchExpired("state-expired")
        raw = await self._cipher.open(row.sealed, scope=_scope(row.ehr_id), aad=_place(state_hash))
        return self._ehrs.get(row.ehr_id), _Pending.model_validate_json(raw)


def _scopes(ehr: Ehr, *, standalone: bool) -> str:
    """The registered scopes; a standalone launch asks the EHR to let the user choose the patient and the stay."""
    if not standalone:
        return ehr.launch_scopes
    kept = [scope for scope in ehr.launch_scopes.split() if scope != "launch"]
    return " ".join([*kept, *(scope for scope in ("launch/patient", "launch/encounter") if scope not in kept)])


def _scope(ehr_id: str) -> str:
    return f"launch/{ehr_id}"


def _place(state_hash: str) -> str:
    return f"launch.sealed/{state_hash}"
