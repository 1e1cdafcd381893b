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
_JSON_TYPES = (_FHIR_JSON, "application/json", "application/json-patch+json")
_PASSED_ON = ("if-match", "if-none-match", "if-none-exist", "prefer")
_OURS = frozenset({"_format", "_pretty"})
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
    async def fhir(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Serve one FHIR request."""
        try:
            access = Access(_token(request, tokens, fhir_base), server, fhir_base)
            return await _serve(
                request, [part for part in request.path_params.get("path", "").split("/") if part], access, server
            )
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
    _check_formats(request)
    method, content = str(request.method), await request.body()
    query = _parameters(request.scope["query_string"])
    if method == "POST" and segments[1:] == ["_search"]:
        query += _parameters(content)
        method, segments, content = "GET", segments[:1], b""
    body = _value(content)
    headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
    wanted = interactions(method, segments, query, body, if_none_exist="if-none-exist" in headers)
    if method == "DELETE" and "if-match" in headers:
        # The embedded server would ignore it, and delete what the client did not mean.
        raise FhirRefusal(400, "not-supported", "DELETE with If-Match is not served")
    for interaction in wanted:
        await access.check(interaction)
    path, query, exact = _narrowed(wanted, segments, query, access)
    if content:
        is_patch = isinstance(body, list)
        headers["content-type"] = "application/json-patch+json" if is_patch else _FHIR_JSON
    upstream = await server.request(
        method,
        "/" + "/".join(path),
        query=urlencode([(name, value) for name, value in query if name not in _OURS]),
        headers={**headers, "accept": _FHIR_JSON},
        body=content,
    )
    return _answer(upstream, wanted, access, exact=exact)


def _parameters(raw: bytes) -> list[tuple[str, str]]:
    return parse_qsl(raw.decode(errors="replace"), keep_blank_values=True)


def _check_formats(request: Request[Any, Any, Any]) -> None:
    """Only JSON is spoken; a body called anything else is not looked at."""
    wanted = request.query_params.get("_format") or request.headers.get("Accept") or "*/*"
    if "json" not in wanted and "*" not in wanted:
        raise FhirRefusal(406, "not-supported", "only JSON is served")
    sent = request.headers.get("Content-Type", _FHIR_JSON).partition(";")[0].strip().lower()
    is_search = request.method == "POST" and request.scope["path"].endswith("/_search")
    if sent not in (("application/x-www-form-urlencoded",) if is_search else _JSON_TYPES):
        raise FhirRefusal(415, "not-supported", "this Content-Type is not served")


def _value(content: bytes) -> Any:
    if not content.strip():
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise FhirRefusal(400, "structure", "the body is not JSON") from None


def _narrowed(
    wanted: list[Interaction], segments: list[str], query: list[tuple[str, str]], access: Access
) -> tuple[list[str], list[tuple[str, str]], bool]:
    """Turn a search into one of only what may be seen, so that totals and pages are right.

    The last value says whether they are; where it is False the answer's total must not be told.
    """
    if len(wanted) != 1 or wanted[0].in_bundle:
        return segments, query, True
    resource_type = wanted[0].resource_type
    if wanted[0].letter != "s":
        return segments, query, access.everything(resource_type, wanted[0].letter)
    limits = access.limits(resource_type)
    if limits is None or len(segments) != 1 or resource_type == "*":
        return segments, query, access.everything(resource_type, "s")
    patient, parameters = limits
    query = [*query, *parameters]
    if patient is None:
        return segments, query, True
    if resource_type == "Patient":
        return segments, [*query, ("_id", patient)], True
    return ["Patient", patient, resource_type], query, True


def _answer(upstream: httpx.Response, wanted: list[Interaction], access: Access, *, exact: bool) -> Response[bytes]:
    headers = {name: upstream.headers[name] for name in _PASSED_BACK if name in upstream.headers}
    if not upstream.content:
        return Response(b"", status_code=upstream.status_code, headers=headers)
    body = upstream.json()
    letters = "".join(sorted({letter for one in wanted for letter in _SEEN_BY[one.letter]}))
    if upstream.status_code >= 400:
        return _json(body, upstream.status_code, headers)
    body = access.visible(body, letters, exact=exact)
    is_the_resource = len(wanted) == 1 and body.get("resourceType") == wanted[0].resource_type
    if is_the_resource and not access.permits(body, letters):
        raise FhirRefusal(403, "forbidden", "the token has no scope for this resource")
    return _json(body, upstream.status_code, headers)


def _json(body: Any, status: int, headers: dict[str, str]) -> Response[bytes]:
    content = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    return Response(content, status_code=status, headers=headers, media_type=f"{_FHIR_JSON}; charset=utf-8")
