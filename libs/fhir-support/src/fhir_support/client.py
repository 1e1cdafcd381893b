"""An asynchronous FHIR R4 client that keeps its token to one server.

FhirClientError
├── FhirServerUnavailable   no answer, 429 or 5xx: try again later
├── FhirRequestRefused      any other 4xx, with its status and issue codes
│   ├── FhirNotFound        404 and 410
│   └── FhirVersionConflict 409 and 412
└── FhirAnswerInvalid       the answer is not what FHIR says, or leads to another server

None of them repeats what the server said: its text may hold patient data.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import urljoin

import httpx

from fhir_support.references import is_below

__all__ = [
    "FhirAnswerInvalid",
    "FhirClient",
    "FhirClientError",
    "FhirNotFound",
    "FhirRequestRefused",
    "FhirServerUnavailable",
    "FhirVersionConflict",
    "TokenSource",
]

_FHIR_JSON = "application/fhir+json"
_RETRIED = frozenset({429, 500, 502, 503, 504})
_MAX_PAGES = 50


class FhirClientError(Exception):
    """Base of what can go wrong between us and a FHIR server."""


class FhirServerUnavailable(FhirClientError):
    """The server gave no answer, or one that says to try again later."""


class FhirRequestRefused(FhirClientError):
    """The server refused; ``issue_codes`` are the codes of its OperationOutcome."""

    def __init__(self, status: int, issue_codes: tuple[str, ...] = ()) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.issue_codes = issue_codes


class FhirNotFound(FhirRequestRefused):
    """There is no such resource."""


class FhirVersionConflict(FhirRequestRefused):
    """The resource has another version than the one named, or a conditional request matched several."""


class FhirAnswerInvalid(FhirClientError):
    """The answer cannot be used."""


class TokenSource(Protocol):
    """Where access tokens come from."""

    async def token(self) -> str | None:
        """Return a token that should work, or None for an open server."""
        ...

    async def renew(self, refused: str) -> str | None:
        """Return a token other than ``refused``, which the server has just answered 401 to."""
        ...


class FhirClient:
    """Reads from and writes to the server at ``base``.

    Reads are tried ``1 + retries`` times with full jitter; writes are sent once, because only their caller knows
    whether they may be sent again. Redirects are not followed.
    """

    def __init__(
        self,
        base: str,
        http: httpx.AsyncClient,
        tokens: TokenSource,
        *,
        retries: int = 2,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.base = base.rstrip("/")
        self._http = http
        self._tokens = tokens
        self._retries = retries
        self._headers = dict(headers or {})

    def with_headers(self, headers: Mapping[str, str]) -> "FhirClient":
        """Return a client that sends ``headers`` (X-Request-Id) with every request."""
        return FhirClient(
            self.base, self._http, self._tokens, retries=self._retries, headers={**self._headers, **headers}
        )

    async def read(self, reference: str) -> dict[str, Any]:
        """Return the resource ``Type/id``."""
        return await self._read(f"{self.base}/{reference}")

    async def capabilities(self) -> dict[str, Any]:
        """Return the server's CapabilityStatement."""
        return await self._read(f"{self.base}/metadata")

    async def search(self, resource_type: str, params: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
        """Return all resources found, includes too, from every page.

        Raises ``FhirAnswerInvalid`` on an endless result or a page on another server: half an answer is never
        returned as the whole.
        """
        url: str | None = str(httpx.URL(f"{self.base}/{resource_type}", params=list(params)))
        found: list[dict[str, Any]] = []
        for _ in range(_MAX_PAGES):
            if url is None:
                return found
            bundle = await self._read(url)
            if bundle.get("resourceType") != "Bundle":
                raise FhirAnswerInvalid("a search was not answered with a Bundle")
            for entry in bundle.get("entry", []):
                resource = entry.get("resource") or {}
                if entry.get("search", {}).get("mode") != "outcome" and resource:
                    found.append(resource)
            url = self._next_page(bundle)
        raise FhirAnswerInvalid("a search has too many pages")

    async def create(self, resource: dict[str, Any], *, if_none_exist: str | None = None) -> dict[str, Any]:
        """Create ``resource``, unless ``if_none_exist`` finds one, and return what the server holds."""
        headers = {"If-None-Exist": if_none_exist} if if_none_exist else {}
        return await self._write("POST", f"{self.base}/{resource['resourceType']}", resource, headers)

    async def update(self, resource: dict[str, Any], *, if_match: str | None = None) -> dict[str, Any]:
        """Replace ``resource``; with ``if_match`` (a version id) only when the server still holds that version."""
        headers = {"If-Match": f'W/"{if_match}"'} if if_match else {}
        url = f"{self.base}/{resource['resourceType']}/{resource['id']}"
        return await self._write("PUT", url, resource, headers)

    async def transaction(self, bundle: dict[str, Any]) -> dict[str, Any]:
        """Send a transaction Bundle and return the transaction-response, whose entries are in the same order."""
        answer = await self._write("POST", self.base, bundle, {})
        if answer.get("type") != "transaction-response" or len(answer.get("entry", [])) != len(bundle["entry"]):
            raise FhirAnswerInvalid("a transaction was not answered entry by entry")
        return answer

    def _next_page(self, bundle: dict[str, Any]) -> str | None:
        for link in bundle.get("link", []):
            if link.get("relation") == "next":
                url = urljoin(self.base + "/", str(link.get("url")))
                if not is_below(url, self.base):
                    raise FhirAnswerInvalid("the next page is on another server")
                return url
        return None

    async def _read(self, url: str) -> dict[str, Any]:
        attempt = 0
        while True:
            try:
                return await self._send("GET", url, None, {})
            except FhirServerUnavailable:
                if attempt >= self._retries:
                    raise
                attempt += 1
                await asyncio.sleep(random.uniform(0, 0.2 * 2**attempt))  # noqa: S311  jitter, not a secret

    async def _write(self, method: str, url: str, body: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
        return await self._send(method, url, body, {"Prefer": "return=representation", **headers})

    async def _send(
        self, method: str, url: str, body: dict[str, Any] | None, headers: dict[str, str]
    ) -> dict[str, Any]:
        token = await self._tokens.token()
        response = await self._exchange(method, url, body, headers, token)
        if response.status_code == 401 and token is not None:
            renewed = await self._tokens.renew(token)
            response = await self._exchange(method, url, body, headers, renewed)
        return self._answer(response)

    async def _exchange(
        self, method: str, url: str, body: dict[str, Any] | None, headers: dict[str, str], token: str | None
    ) -> httpx.Response:
        address = _address(url, self.base)
        sent = {"Accept": _FHIR_JSON, **self._headers, **headers}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        if body is not None:
            sent["Content-Type"] = _FHIR_JSON
        try:
            return await self._http.request(method, address, json=body, headers=sent, follow_redirects=False)
        except httpx.TransportError as error:
            raise FhirServerUnavailable(type(error).__name__) from None

    def _answer(self, response: httpx.Response) -> dict[str, Any]:
        status = response.status_code
        if status in _RETRIED:
            raise FhirServerUnavailable(f"HTTP {status}")
        if 300 <= status < 400:
            raise FhirAnswerInvalid("the server redirects")
        try:
            content = response.json() if response.content else {}
        except ValueError:
            content = None
        if status >= 400:
            raise _refusal(status, content)
        if not isinstance(content, dict):
            raise FhirAnswerInvalid("the answer is not a JSON object")
        return content


def _address(url: str, base: str) -> httpx.URL:
    """Return ``url`` as it will be connected to; raise ``FhirAnswerInvalid`` unless that is below ``base``.

    It is looked at twice: as the standard library reads it, and as the client that connects does.
    """
    try:
        address, home = httpx.URL(url), httpx.URL(base)
    except (httpx.InvalidURL, UnicodeError):
        raise FhirAnswerInvalid("not an address") from None
    same = (address.scheme, address.raw_host, address.port) == (home.scheme, home.raw_host, home.port)
    if not same or address.userinfo or not is_below(url, base):
        raise FhirAnswerInvalid("refusing to send a request to another server")
    return address


def _refusal(status: int, content: object) -> FhirRequestRefused:
    issues = content.get("issue", []) if isinstance(content, dict) else []
    codes = tuple(str(issue.get("code")) for issue in issues if isinstance(issue, dict)) if issues else ()
    if status in (404, 410):
        return FhirNotFound(status, codes)
    if status in (409, 412):
        return FhirVersionConflict(status, codes)
    return FhirRequestRefused(status, codes)
