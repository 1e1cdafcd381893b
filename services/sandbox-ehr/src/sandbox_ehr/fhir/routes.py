"""The FHIR endpoint: every request needs a token, and every answer is held to its scopes."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx
from litestar import HttpMethod, Request, Response, get, route
from litestar.handlers import HTTPRouteHandler

from sandbox_ehr.auth.tokens import AccessToken, InvalidToken, Tokens
from sandbox_ehr.fhir.access import Access
from sandbox_ehr.fhir.capability import capability_statement
from sandbox_ehr.fhir.interactions import Interaction, interactions
from sandbox_ehr.fhir.outcome import FhirRefusal
from sandbox_ehr.fhir.server import FhirServer

__all__ = ["fhir_routes"]

_FHIR_JSON = "application/fhir+json"
_METHODS = [HttpMethod.GET, HttpMethod.POST, HttpMethod.PUT, HttpMethod.PATCH, HttpMethod.DELETE, HttpMethod.HEAD]
_PASSED_BACK = ("etag", "location", "last-modified", "content-location")
# Interactions after which the answer's resources are judged by the right to read or search.
_SEEN_BY = {"r": "r", "s": "s", "c": "cr", "u": "ur", "d": "dr"}


def fhir_routes(server: FhirServer, tokens: Tokens, base_url: str) -> list[HTTPRouteHandler]:
    """Return the handlers of ``{base_url}/fhir``."""
    fhir_base = f"{base_url}/fhir"

    @get("/fhir/metadata")
    async def metadata() -> Response[bytes]:
        """Answer the CapabilityStatement to anybody."""
        upstream = await server.request("GET", "/metadata")
        statement = capability_statement(upstream.json(), base_url)
        return _json(statement, 200, {"Access-Control-Allow-Origin": "*"})

    @route(["/fhir", "/fhir/{path:path}"], http_method=_METHODS, name="fhir")
    async def fhir(request: Request[Any, Any, Any], path: str = "") -> Response[bytes]:
        """Serve one FHIR request."""
        try:
            access = Access(_token(request, tokens, fhir_base), server, fhir_base)
            return await _serve(request, [part for part in path.split("/") if part], access, server)
        except FhirRefusal as refusal:
            return _json(refusal.outcome, refusal.status, refusal.headers)

    return [metadata, fhir]


def _token(request: Request[Any, Any, Any], tokens: Tokens, fhir_base: str) -> AccessToken:
    scheme, _, unverified_token = request.headers.get("Authorization", "").partition(" ")
    realm = f'Bearer realm="{fhir_base}"'
    if scheme.lower() != "bearer" or not unverified_token:
        raise FhirRefusal(401, "login", "an access token is needed", {"WWW-Authenticate": realm})
    try:
        return tokens.verify(unverified_token.strip())
    except InvalidToken:
        challenge = {"WWW-Authenticate": f'{realm}, error="invalid_token"'}
        raise FhirRefusal(401, "login", "the access token is expired, revoked or not ours", challenge) from None


async def _serve(
    request: Request[Any, Any, Any], segments: list[str], access: Access, server: FhirServer
) -> Response[bytes]:
    content = await request.body()
    is_form = request.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded")
    query = parse_qsl(request.scope["query_string"].decode(), keep_blank_values=True)
    if is_form and segments[1:] == ["_search"]:
        query += parse_qsl(content.decode(), keep_blank_values=True)
        segments, content = segments[:1], b""
    wanted = interactions(_method(request, is_form), segments, _value(content))
    for interaction in wanted:
        await access.check(interaction)
    path, query = _held_to_patient(wanted[0], segments, query, access) if len(wanted) == 1 else (segments, query)
    upstream = await server.request(
        _method(request, is_form),
        "/" + "/".join(path),
        query=urlencode(query),
        headers={**request.headers, "Accept": "application/fhir+json"},
        body=content,
    )
    return _answer(upstream, wanted, access)


def _method(request: Request[Any, Any, Any], is_form: bool) -> str:
    return "GET" if is_form else str(request.method)


def _value(content: bytes) -> Any:
    if not content.strip():
        return None
    try:
        return json.loads(content)
    except ValueError:
        raise FhirRefusal(400, "structure", "the body is not JSON") from None


def _held_to_patient(
    interaction: Interaction, segments: list[str], query: list[tuple[str, str]], access: Access
) -> tuple[list[str], list[tuple[str, str]]]:
    """Turn a search under ``patient/`` scopes into one of the compartment, so that totals and pages are right."""
    patient = access.searches_one_patient(interaction.resource_type) if interaction.letter == "s" else None
    if patient is None or len(segments) != 1:
        return segments, query
    if interaction.resource_type == "Patient":
        return segments, [*query, ("_id", patient)]
    return ["Patient", patient, interaction.resource_type], query


def _answer(upstream: httpx.Response, wanted: list[Interaction], access: Access) -> Response[bytes]:
    headers = {name: upstream.headers[name] for name in _PASSED_BACK if name in upstream.headers}
    if not upstream.content:
        return Response(b"", status_code=upstream.status_code, headers=headers)
    body = upstream.json()
    letters = "".join(sorted({letter for one in wanted for letter in _SEEN_BY[one.letter]}))
    if upstream.status_code < 400:
        body = access.visible(body, letters)
        if len(wanted) == 1 and wanted[0].letter != "s" and body.get("resourceType") == wanted[0].resource_type:
            if not access.permits(body, letters):
                raise FhirRefusal(403, "forbidden", "the token has no scope for this resource")
    return _json(body, upstream.status_code, headers)


def _json(body: Any, status: int, headers: dict[str, str]) -> Response[bytes]:
    content = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    return Response(content, status_code=status, headers=headers, media_type=f"{_FHIR_JSON}; charset=utf-8")
