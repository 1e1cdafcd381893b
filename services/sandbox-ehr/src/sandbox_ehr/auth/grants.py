"""Launches, authorization codes, refresh tokens and what has been used or revoked; all of it in memory.

A restart ends every session: nothing that could impersonate a user is written to disk.
"""

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox_ehr.auth.errors import OAuthError

__all__ = ["AuthorizationRequest", "Grant", "Grants", "LaunchContext"]


@dataclass(frozen=True)
class LaunchContext:
    """Who acts and for whom: ids without the resource type. ``app_context`` is what the link of a CDS card gave."""

    practitioner: str
    patient: str | None = None
    encounter: str | None = None
    embedded: bool = False
    app_context: str | None = None


@dataclass(frozen=True)
class AuthorizationRequest:
    """An authorization request that has been checked."""

    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    state: str
    code_challenge: str
    nonce: str | None = None
    audience: str | None = None


@dataclass
class Grant:
    """What a client may do, until it is revoked; the tokens issued for it carry its id.

    ``audience`` is the resource server the tokens are for; None means this EHR.
    """

    id: str
    client_id: str
    scopes: tuple[str, ...]
    context: LaunchContext | None
    nonce: str | None = None
    audience: str | None = None
    revoked: bool = False


@dataclass
class _Held:
    value: Any
    expires_at: float
    used: bool = False


@dataclass
class Grants:
    """Everything that is single use or can be revoked. Secrets are kept as hashes; times are ``clock`` seconds."""

    code_ttl_s: float
    launch_ttl_s: float
    refresh_ttl_s: float
    clock: Callable[[], float] = time.time
    _held: dict[str, _Held] = field(default_factory=dict)
    _grants: dict[str, Grant] = field(default_factory=dict)

    def launch(self, client_id: str, context: LaunchContext) -> str:
        """Make the ``launch`` parameter for one launch of one client."""
        return self._keep("launch", (client_id, context), self.launch_ttl_s)

    def redeem_launch(self, unverified_launch: str, client_id: str) -> LaunchContext:
        """Return what the launch stands for, once."""
        held = self._take("launch", unverified_launch)
        if held is None or held.used or held.value[0] != client_id:
            raise OAuthError("invalid_request", "launch is unknown, expired, already used or another client's")
        held.used = True
        context: LaunchContext = held.value[1]
        return context

    def suspend(self, request: AuthorizationRequest) -> str:
        """Keep a standalone request while the user chooses; return the handle of the page."""
        return self._keep("pending", request, self.launch_ttl_s)

    def resume(self, unverified_handle: str) -> AuthorizationRequest:
        """Return the suspended request, once."""
        held = self._take("pending", unverified_handle)
        if held is None or held.used:
            raise OAuthError("invalid_request", "this page has expired; start again from the app")
        held.used = True
        request: AuthorizationRequest = held.value
        return request

    def code(self, request: AuthorizationRequest, context: LaunchContext) -> str:
        """Make an authorization code."""
        grant = self.open(request.client_id, request.scopes, context, request.nonce, request.audience)
        return self._keep("code", (request, grant), self.code_ttl_s)

    def redeem_code(self, unverified_code: str, client_id: str) -> tuple[AuthorizationRequest, Grant]:
        """Return what the code stands for, once; a second use revokes every token of the first (RFC 6749, 4.1.2)."""
        held = self._take("code", unverified_code)
        if held is None:
            raise OAuthError("invalid_grant", "the code is unknown or has expired")
        request, grant = held.value
        if held.used or request.client_id != client_id:
            grant.revoked = True
            held.used = True
            raise OAuthError("invalid_grant", "the code was used before or is another client's")
        held.used = True
        return request, grant

    def open(
        self,
        client_id: str,
        scopes: tuple[str, ...],
        context: LaunchContext | None,
        nonce: str | None = None,
        audience: str | None = None,
    ) -> Grant:
        """Start a grant."""
        grant = Grant(secrets.token_urlsafe(16), client_id, scopes, context, nonce, audience)
        self._grants[grant.id] = grant
        return grant

    def get(self, grant_id: str) -> Grant | None:
        """Return the grant unless it was revoked."""
        grant = self._grants.get(grant_id)
        return None if grant is None or grant.revoked else grant

    def refresh_token(self, grant: Grant) -> str:
        """Make a refresh token of the grant."""
        return self._keep("refresh", grant, self.refresh_ttl_s)

    def redeem_refresh_token(self, unverified_token: str, client_id: str) -> Grant:
        """Return the grant and use the token up; a second use means theft and ends the grant."""
        held = self._take("refresh", unverified_token)
        if held is None:
            raise OAuthError("invalid_grant", "the refresh token is unknown or has expired")
        grant: Grant = held.value
        if held.used or grant.client_id != client_id:
            grant.revoked = True
        held.used = True
        if grant.revoked:
            raise OAuthError("invalid_grant", "the refresh token was used before, revoked or is another client's")
        return grant

    def peek_refresh_token(self, unverified_token: str) -> Grant | None:
        """Return the grant of a refresh token that is still good, without using it."""
        held = self._take("refresh", unverified_token)
        return None if held is None or held.used or held.value.revoked else held.value

    def _keep(self, kind: str, value: Any, ttl_s: float) -> str:
        now = self.clock()
        self._held = {key: held for key, held in self._held.items() if held.expires_at > now}
        handle = secrets.token_urlsafe(32)
        self._held[_key(kind, handle)] = _Held(value, now + ttl_s)
        return handle

    def _take(self, kind: str, unverified_handle: str) -> _Held | None:
        held = self._held.get(_key(kind, unverified_handle))
        return None if held is None or held.expires_at <= self.clock() else held


def _key(kind: str, handle: str) -> str:
    return f"{kind}:{hashlib.sha256(handle.encode()).hexdigest()}"
