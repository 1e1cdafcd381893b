"""Asking retrieval and reconciliation over HTTP: one question, one answer, within its time.

An answer that is late, broken or not of the contract is a ``FhirError`` (503), never an empty answer.
"""

from typing import Protocol, TypeVar

import httpx
from fhir_support.errors import ServiceUnavailable
from pydantic import ValidationError
from service_contracts.answers import Answer, AnswerQuery
from service_contracts.checks import CheckedText, CheckRequest
from service_contracts.evidence import Evidence, EvidenceQuery
from service_contracts.model import Contract
from service_runtime.request_id import REQUEST_ID_HEADER, current_request_id
from service_runtime.secrets import SecretError
from service_runtime.service_auth import ServiceAuth

__all__ = ["Checking", "HttpServices", "Knowing"]

_GRACE_MS = 500
_MAX_ANSWER_BYTES = 8 * 1024 * 1024
_Answer = TypeVar("_Answer", bound=Contract)


class Knowing(Protocol):
    """What is asked of retrieval."""

    async def answers(self, query: AnswerQuery) -> Answer:
        """Return the sentences that answer, or why there are none; raise ``ServiceUnavailable``."""
        ...

    async def evidence(self, query: EvidenceQuery) -> Evidence:
        """Return facts; raise ``ServiceUnavailable``."""
        ...


class Checking(Protocol):
    """What is asked of reconciliation."""

    async def check(self, request: CheckRequest) -> CheckedText:
        """Return every claim of a text judged; raise ``ServiceUnavailable``."""
        ...


class HttpServices:
    """``Knowing`` and ``Checking`` at the route prefixes of the Serve applications."""

    def __init__(
        self, http: httpx.AsyncClient, service_auth: ServiceAuth, *, retrieval_url: str, reconciliation_url: str
    ) -> None:
        self._http = http
        self._service_auth = service_auth
        self._retrieval = retrieval_url.rstrip("/")
        self._reconciliation = reconciliation_url.rstrip("/")

    async def answers(self, query: AnswerQuery) -> Answer:
        """See ``Knowing.answers``."""
        return await self._ask(f"{self._retrieval}/v1/answers", query, query.budget_ms, Answer)

    async def evidence(self, query: EvidenceQuery) -> Evidence:
        """See ``Knowing.evidence``."""
        return await self._ask(f"{self._retrieval}/v1/evidence", query, query.budget_ms, Evidence)

    async def check(self, request: CheckRequest) -> CheckedText:
        """See ``Checking.check``."""
        return await self._ask(f"{self._reconciliation}/v1/checks", request, request.budget_ms, CheckedText)

    async def _ask(self, url: str, question: Contract, budget_ms: int, of: type[_Answer]) -> _Answer:
        """The service keeps the time itself; a little more is waited for its answer to arrive."""
        limit_s = (budget_ms + _GRACE_MS) / 1000
        try:
            headers = await self._service_auth.header()
        except SecretError:
            raise ServiceUnavailable("The secret store does not answer.") from None
        headers["Content-Type"] = "application/json"
        if request_id := current_request_id():
            headers[REQUEST_ID_HEADER] = request_id
        try:
            response = await self._http.post(
                url,
                content=question.model_dump_json(),
                headers=headers,
                timeout=httpx.Timeout(limit_s, connect=min(limit_s, 2.0)),
                follow_redirects=False,
            )
        except httpx.HTTPError:
            raise ServiceUnavailable("The evidence cannot be asked now.") from None
        if response.status_code != 200 or len(response.content) > _MAX_ANSWER_BYTES:
            raise ServiceUnavailable("The evidence cannot be asked now.")
        try:
            return of.model_validate_json(response.content)
        except ValidationError:
            # Its text would repeat what was asked about a patient.
            raise ServiceUnavailable("The answer of the evidence cannot be read.") from None
