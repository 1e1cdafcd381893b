"""The token endpoint, with introspection and revocation."""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from sandbox_ehr.auth.authorize import single_values
from sandbox_ehr.auth.client_authentication import ClientAuthentication
from sandbox_ehr.auth.clients import Client
from sandbox_ehr.auth.errors import OAuthError
from sandbox_ehr.auth.grants import Grant, Grants
from sandbox_ehr.auth.scopes import grant as grant_scopes
from sandbox_ehr.auth.scopes import resource_scopes
from sandbox_ehr.auth.tokens import InvalidToken, Tokens

__all__ = ["TokenEndpoint", "token_routes"]

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class TokenEndpoint:
    """Turns codes, refresh tokens and client credentials into access tokens."""

    def __init__(
        self,
        authentication: ClientAuthentication,
        grants: Grants,
        tokens: Tokens,
        *,
        access_ttl_s: int,
        backend_ttl_s: int,
        style_url: str,
        introspection_url: str,
    ) -> None:
        self.authentication = authentication
        self.grants = grants
        self.tokens = tokens
        self._access_ttl_s = access_ttl_s
        self._backend_ttl_s = backend_ttl_s
        self._style_url = style_url
        self.introspection_url = introspection_url

    async def token(self, form: Mapping[str, str], authorization: str | None) -> dict[str, Any]:
        """Return the token response; raise ``OAuthError``."""
        client = await self.authentication.authenticate(form, authorization)
        grant_type = form.get("grant_type", "")
        if grant_type not in ("authorization_code", "refresh_token", "client_credentials"):
            raise OAuthError("unsupported_grant_type", "grant_type is missing or unknown")
        if grant_type not in client.grant_types:
            raise OAuthError("unauthorized_client", f"this client is not registered for {grant_type}")
        if grant_type == "client_credentials":
            return self._client_credentials(client, form)
        if grant_type == "refresh_token":
            return self._refresh(client, form)
        return self._authorization_code(client, form)

    def _authorization_code(self, client: Client, form: Mapping[str, str]) -> dict[str, Any]:
        # Redeeming first makes every attempt, also a failed one, the code's only use.
        request, granted = self.grants.redeem_code(form.get("code", ""), client.client_id)
        if form.get("redirect_uri") != request.redirect_uri:
            raise OAuthError("invalid_grant", "redirect_uri is not the one of the authorization request")
        self._require_audience(form, granted)
        verifier = form.get("code_verifier", "")
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        if not _VERIFIER.fullmatch(verifier) or not hmac.compare_digest(digest, request.code_challenge):
            raise OAuthError("invalid_grant", "code_verifier does not match the challenge")
        return self._user_response(client, granted, granted.scopes)

    def _refresh(self, client: Client, form: Mapping[str, str]) -> dict[str, Any]:
        granted = self.grants.redeem_refresh_token(form.get("refresh_token", ""), client.client_id)
        self._require_audience(form, granted)
        scopes = granted.scopes
        if form.get("scope"):
            scopes = tuple(grant_scopes(form["scope"].split(), granted.scopes))
            if set(scopes) != set(form["scope"].split()):
                raise OAuthError("invalid_scope", "a refresh cannot widen the scopes")
        return self._user_response(client, granted, scopes)

    def _client_credentials(self, client: Client, form: Mapping[str, str]) -> dict[str, Any]:
        requested = form.get("scope", "").split()
        if not requested or any(not scope.startswith("system/") for scope in requested):
            raise OAuthError("invalid_scope", "Backend Services are given system/ scopes only")
        scopes = tuple(grant_scopes(requested, client.scope.split()))
        if not resource_scopes(scopes):
            raise OAuthError("invalid_scope", "none of the scopes asked for is allowed to this client")
        resource = form.get("resource")
        if resource is not None and resource not in (self.tokens.issuer, *self.tokens.resource_servers):
            raise OAuthError("invalid_target", "no tokens are issued for this resource")
        audience = None if resource == self.tokens.issuer else resource
        granted = self.grants.open(client.client_id, scopes, None, audience=audience)
        return self._response(granted, scopes, self._backend_ttl_s)

    def _require_audience(self, form: Mapping[str, str], granted: Grant) -> None:
        """Raise ``OAuthError`` invalid_target (RFC 8707) for another resource than the one that was granted."""
        if "resource" in form and form["resource"] != (granted.audience or self.tokens.issuer):
            raise OAuthError("invalid_target", "this grant is for another resource")

    def _user_response(self, client: Client, granted: Grant, scopes: tuple[str, ...]) -> dict[str, Any]:
        answer = self._response(granted, scopes, self._access_ttl_s)
        context = granted.context
        assert context is not None
        answer["need_patient_banner"] = not context.embedded
        answer["smart_style_url"] = self._style_url
        if context.patient:
            answer["patient"] = context.patient
        if context.encounter and {"launch", "launch/encounter"} & set(granted.scopes):
            answer["encounter"] = context.encounter
        if context.app_context is not None:
            # CDS Hooks 2.0, "Link": handed to the app as it stood in the card.
            answer["appContext"] = context.app_context
        if "openid" in scopes:
            answer["id_token"] = self.tokens.id_token(granted, scopes, self._access_ttl_s)
        if {"offline_access", "online_access"} & set(granted.scopes) and "refresh_token" in client.grant_types:
            answer["refresh_token"] = self.grants.refresh_token(granted)
        return answer

    def _response(self, granted: Grant, scopes: tuple[str, ...], ttl_s: int) -> dict[str, Any]:
        return {
            "access_token": self.tokens.access_token(granted, scopes, ttl_s),
            "token_type": "Bearer",
            "expires_in": ttl_s,
            "scope": " ".join(scopes),
        }

    def introspect(self, unverified_token: str) -> dict[str, Any]:
        """Say what a token means (RFC 7662, with the members SMART adds)."""
        try:
            token = self.tokens.inspect(unverified_token)
        except InvalidToken:
            return {"active": False}
        answer: dict[str, Any] = {
            "active": True,
            "scope": " ".join(token.scopes),
            "client_id": token.client_id,
            "exp": token.expires_at,
            "token_type": "Bearer",
            "iss": self.tokens.issuer,
            "aud": token.audience,
            "sub": token.subject,
        }
        if token.context:
            members = {"patient": token.context.patient, "encounter": token.context.encounter}
            answer |= {name: value for name, value in members.items() if value}
            if "fhirUser" in token.scopes:
                answer["fhirUser"] = f"{self.tokens.issuer}/Practitioner/{token.context.practitioner}"
        return answer

    def revoke(self, client: Client, unverified_token: str) -> None:
        """End the grant of an access or refresh token of this client; an unknown token is no error (RFC 7009)."""
        granted = self.grants.peek_refresh_token(unverified_token)
        if granted is None:
            try:
                granted = self.grants.get(self.tokens.inspect(unverified_token).grant_id)
            except InvalidToken:
                return
        if granted is not None and granted.client_id == client.client_id:
            granted.revoked = True


def token_routes(endpoint: TokenEndpoint) -> list[HTTPRouteHandler]:
    """Return the handlers of token, introspect and revoke."""

    async def form_of(request: Request[Any, Any, Any]) -> dict[str, str]:
        if not request.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
            raise OAuthError("invalid_request", "Content-Type must be application/x-www-form-urlencoded")
        return single_values(parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True))

    def refused(error: OAuthError, authorization: str | None) -> Response[dict[str, str]]:
        headers = dict(_NO_STORE)
        if error.status == 401 and authorization is not None:
            headers["WWW-Authenticate"] = 'Basic realm="token endpoint"'
        body = {"error": error.error, "error_description": error.description}
        return Response(body, status_code=error.status, headers=headers)

    @post("/auth/token", status_code=200)
    async def token(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
        """Issue an access token."""
        authorization = request.headers.get("Authorization")
        try:
            return Response(await endpoint.token(await form_of(request), authorization), headers=_NO_STORE)
        except OAuthError as error:
            return refused(error, authorization)

    @post("/auth/introspect", status_code=200)
    async def introspect(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
        """Say what a token means, to a client that authenticates."""
        authorization = request.headers.get("Authorization")
        try:
            form = await form_of(request)
            await endpoint.authentication.authenticate(form, authorization, endpoint.introspection_url)
            return Response(endpoint.introspect(form.get("token", "")), headers=_NO_STORE)
        except OAuthError as error:
            return refused(error, authorization)

    @post("/auth/revoke", status_code=200)
    async def revoke(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
        """Revoke a token of the client that authenticates."""
        authorization = request.headers.get("Authorization")
        try:
            form = await form_of(request)
            endpoint.revoke(await endpoint.authentication.authenticate(form, authorization), form.get("token", ""))
            return Response({}, headers=_NO_STORE)
        except OAuthError as error:
            return refused(error, authorization)

    return [token, introspect, revoke]
