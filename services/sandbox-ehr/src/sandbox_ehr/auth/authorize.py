"""The authorization endpoint (SMART App Launch 2.2, "Obtain authorization code")."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect

from sandbox_ehr.auth.clients import Client, Clients
from sandbox_ehr.auth.errors import OAuthError
from sandbox_ehr.auth.grants import AuthorizationRequest, Grants, LaunchContext
from sandbox_ehr.auth.scopes import grant, resource_scopes

__all__ = ["AuthorizationServer", "authorize_routes", "single_values"]

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
ChoicePage = Callable[[Client, AuthorizationRequest, str], Awaitable[Response[str]]]
ErrorPage = Callable[[str], Response[str]]
Known = Callable[[LaunchContext], Awaitable[bool]]


class AuthorizationServer:
    """Checks authorization requests and answers with codes."""

    def __init__(self, clients: Clients, grants: Grants, audience: str) -> None:
        self.clients = clients
        self.grants = grants
        self._audience = audience

    def redirect_target(self, parameters: Mapping[str, str]) -> Client:
        """Return the client; raise ``OAuthError`` when client or redirect URI are wrong.

        Until both are known to be right nothing may be redirected (RFC 6749, 4.1.2.1).
        """
        client = self.clients.get(parameters.get("client_id"))
        if client is None or "authorization_code" not in client.grant_types:
            raise OAuthError("invalid_request", "client_id is unknown")
        if parameters.get("redirect_uri") not in client.redirect_uris:
            raise OAuthError("invalid_request", "redirect_uri is not registered")
        return client

    def check(self, client: Client, parameters: Mapping[str, str]) -> AuthorizationRequest:
        """Return the checked request with the scopes the client may have."""
        if parameters.get("response_type") != "code":
            raise OAuthError("unsupported_response_type", "response_type must be code")
        if not parameters.get("state"):
            raise OAuthError("invalid_request", "state is required")
        audience = parameters.get("aud")
        if audience != self._audience and audience not in self.clients.resource_servers:
            raise OAuthError("invalid_request", f"aud must be {self._audience}")
        if parameters.get("code_challenge_method") != "S256":
            raise OAuthError("invalid_request", "code_challenge_method must be S256")
        if not _CHALLENGE.fullmatch(parameters.get("code_challenge", "")):
            raise OAuthError("invalid_request", "code_challenge must be 43 characters of base64url")
        requested = parameters.get("scope", "").split()
        scopes = tuple(s for s in grant(requested, client.scope.split()) if not s.startswith("system/"))
        if not scopes:
            raise OAuthError("invalid_scope", "none of the scopes asked for is allowed to this client")
        if ("launch" in requested) != ("launch" in parameters):
            raise OAuthError("invalid_request", "the launch scope and the launch parameter need each other")
        return AuthorizationRequest(
            client_id=client.client_id,
            redirect_uri=parameters["redirect_uri"],
            scopes=scopes,
            state=parameters["state"],
            code_challenge=parameters["code_challenge"],
            nonce=parameters.get("nonce"),
            audience=None if audience == self._audience else audience,
        )

    def approve(self, request: AuthorizationRequest, context: LaunchContext) -> str:
        """Return the redirect that carries a code."""
        needs_patient = any(scope.context == "patient" for scope in resource_scopes(request.scopes))
        if (needs_patient or "launch/patient" in request.scopes) and context.patient is None:
            raise OAuthError("invalid_request", "a patient must be chosen for the scopes asked for")
        return _with_query(request.redirect_uri, code=self.grants.code(request, context), state=request.state)


def authorize_routes(
    server: AuthorizationServer, choose: ChoicePage, refuse: ErrorPage, known: Known
) -> list[HTTPRouteHandler]:
    """Return the handlers. ``choose`` shows the standalone page, ``refuse`` an error that may not be redirected."""

    async def answer(pairs: list[tuple[str, str]]) -> Response[str] | Redirect:
        try:
            parameters = single_values(pairs)
            client = server.redirect_target(parameters)
        except OAuthError as error:
            return refuse(error.description)
        try:
            request = server.check(client, parameters)
            if "launch" not in parameters:
                return await choose(client, request, server.grants.suspend(request))
            context = server.grants.redeem_launch(parameters["launch"], client.client_id)
            return Redirect(server.approve(request, context), status_code=302)
        except OAuthError as error:
            return _refusal(parameters["redirect_uri"], parameters.get("state"), error)

    @get("/auth/authorize", name="authorize")
    async def authorize(request: Request[Any, Any, Any]) -> Response[str] | Redirect:
        """Authorize by query (SMART: servers SHALL support GET)."""
        return await answer(parse_qsl(request.scope["query_string"].decode(errors="replace"), keep_blank_values=True))

    @post("/auth/authorize", status_code=200)
    async def authorize_post(request: Request[Any, Any, Any]) -> Response[str] | Redirect:
        """Authorize by form (SMART: servers SHALL support POST)."""
        return await answer(parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True))

    @post("/auth/authorize/decision", status_code=200)
    async def decision(request: Request[Any, Any, Any]) -> Response[str] | Redirect:
        """Take what the user chose on the standalone page."""
        try:
            form = single_values(parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True))
            suspended = server.grants.resume(form.get("request", ""))
        except OAuthError as error:
            return refuse(error.description)
        try:
            if form.get("decision") != "allow":
                raise OAuthError("access_denied", "the user refused")
            patient, _, encounter = form.get("stay", "").partition("/")
            context = LaunchContext(form.get("practitioner", ""), patient or None, encounter or None)
            if not await known(context):
                raise OAuthError("access_denied", "there is no such practitioner, patient or stay")
            return Redirect(server.approve(suspended, context), status_code=302)
        except OAuthError as error:
            return _refusal(suspended.redirect_uri, suspended.state, error)

    return [authorize, authorize_post, decision]


def single_values(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Return parameters as a mapping; a repeated one is refused (RFC 6749, 3.1)."""
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in values:
            raise OAuthError("invalid_request", f"{name} is sent more than once")
        values[name] = value
    return values


def _refusal(redirect_uri: str, state: str | None, error: OAuthError) -> Redirect:
    extra = {"state": state} if state else {}
    location = _with_query(redirect_uri, error=error.error, error_description=error.description, **extra)
    return Redirect(location, status_code=302)


def _with_query(url: str, **parameters: str) -> str:
    joint = "&" if urlsplit(url).query else "?"
    return f"{url}{joint}{urlencode(parameters)}"
