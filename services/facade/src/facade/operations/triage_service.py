"""Asking the triage service over HTTP: one question, one answer, within its time.

The service answers with what it has when its time is up. What is waited beyond it is short, because a nurse waits; an
answer that does not come is said to be none, the safety floor included.
"""

from typing import Protocol

import httpx
from fhir_support.errors import ServiceUnavailable, Unprocessable
from pydantic import ValidationError
from service_contracts.triage import SourceAttributes, TriageAnswer, TriageRequest
from service_runtime.request_id import REQUEST_ID_HEADER, current_request_id
from service_runtime.secrets import SecretError
from service_runtime.service_auth import ServiceAuth

__all__ = ["HttpTriage", "TriageService"]

_GRACE_S = 0.06
_CARD_S = 3.0
_UNAVAILABLE = "Triage does not answer: there is no score, and the safety floor was not checked."


class TriageService(Protocol):
    """What is asked of the triage service."""

    async def assess(self, request: TriageRequest) -> TriageAnswer:
        """Return the answer; raise ``Unprocessable`` for values no patient has and ``ServiceUnavailable``."""
        ...

    async def source_attributes(self) -> SourceAttributes:
        """Return what is to be known of the served model; raise ``ServiceUnavailable``."""
        ...


class HttpTriage:
    """``TriageService`` at ``url``, the route prefix of the Serve application."""

    def __init__(self, http: httpx.AsyncClient, service_auth: ServiceAuth, url: str) -> None:
        self._http = http
        self._service_auth = service_auth
        self._url = url.rstrip("/")

    async def assess(self, request: TriageRequest) -> TriageAnswer:
        """See ``TriageService.assess``."""
        response = await self._send("POST", "/v1/triage", request.budget_ms / 1000 + _GRACE_S, request)
        if response.status_code == 422:
            raise Unprocessable(_refusal(response))
        if response.status_code != 200:
            raise ServiceUnavailable(_UNAVAILABLE)
        try:
            return TriageAnswer.model_validate_json(response.content)
        except ValidationError:
            # Its text would repeat what was asked about a patient.
            raise ServiceUnavailable(_UNAVAILABLE) from None

    async def source_attributes(self) -> SourceAttributes:
        """See ``TriageService.source_attributes``."""
        response = await self._send("GET", "/v1/source-attributes", _CARD_S, None)
        try:
            if response.status_code == 200:
                return SourceAttributes.model_validate_json(response.content)
        except ValidationError:
            pass
        raise ServiceUnavailable("Triage serves no model now.")

    async def _send(self, method: str, path: str, limit_s: float, body: TriageRequest | None) -> httpx.Response:
        try:
            headers = await self._service_auth.header()
        except SecretError:
            raise ServiceUnavailable("The secret store does not answer.") from None
        if request_id := current_request_id():
            headers[REQUEST_ID_HEADER] = request_id
        content = None if body is None else body.model_dump_json()
        if content is not None:
            headers["Content-Type"] = "application/json"
        try:
            return await self._http.request(
                method,
                f"{self._url}{path}",
                content=content,
                headers=headers,
                timeout=httpx.Timeout(limit_s, connect=min(limit_s, 1.0)),
                follow_redirects=False,
            )
        except httpx.HTTPError:
            raise ServiceUnavailable(_UNAVAILABLE) from None


def _refusal(response: httpx.Response) -> str:
    """What the service says is wrong: its words name the measurement, never its value."""
    try:
        message = response.json()["message"]
    except (ValueError, KeyError, TypeError):
        message = None
    return str(message) if message else "A value is not one that a patient can have."
