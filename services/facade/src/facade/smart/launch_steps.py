"""What each step of a launch hands to the next: sent to the EHR, signed in, a stay to choose, a session."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode, urlsplit

from pydantic import BaseModel, ConfigDict

from facade.smart.cookies import FrameCookie
from facade.smart.sessions import NewSession
from facade.smart.token_response import AppContext

__all__ = ["Asked", "AuthorizationRequest", "OpenedSession", "SignedIn", "StayChoice"]

_LONGEST_ADDRESS = 2000


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Asked(_Kept):
    """Kept between the redirect to the EHR and its answer; ``names_itself`` says that the answer has to say ``iss``."""

    code_verifier: str
    nonce: str
    issuer: str
    names_itself: bool
    token_endpoint: str
    scope: str


class SignedIn(_Kept):
    """Who came back, for which patient, with which tokens; kept while a stay is chosen."""

    practitioner: str
    patient: str
    access_token: str
    refresh_token: str | None
    token_endpoint: str
    token_expires_at: datetime
    not_granted: tuple[str, ...]
    show_banner: bool
    app_context: AppContext | None
    open_resources: tuple[str, ...]


@dataclass(frozen=True)
class AuthorizationRequest:
    """An authorization request for the browser to send, with the cookie that binds the launch to it."""

    ehr_id: str
    endpoint: str
    parameters: dict[str, str]
    cookie: FrameCookie
    may_post: bool

    @property
    def url(self) -> str:
        """The request as an address (GET)."""
        joint = "&" if urlsplit(self.endpoint).query else "?"
        return f"{self.endpoint}{joint}{urlencode(self.parameters)}"

    @property
    def by_post(self) -> bool:
        """Whether to send it as a form: where the EHR says it can take one and the address would be too long.

        SMART 2.2 prefers POST "since this avoids URL length limits"; below the limit a redirect is one page less.
        """
        return self.may_post and len(self.url) > _LONGEST_ADDRESS


@dataclass(frozen=True)
class StayChoice:
    """The EHR named a patient and no stay: these are the patient's, to choose one of under ``handle``."""

    ehr_id: str
    handle: str
    stays: tuple[tuple[str, str], ...]
    cookies: tuple[FrameCookie, ...]


@dataclass(frozen=True)
class OpenedSession:
    """A session, with the cookies to set for it."""

    ehr_id: str
    session: NewSession
    cookies: tuple[FrameCookie, ...]
