"""Asking reconciliation for a document over HTTP: checked sentences while they come, then the document.

A stream that breaks, ends early or says what the contract does not know is a failure, never a document.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol

import httpx
from pydantic import ValidationError
from service_contracts.reconciliation import (
    CheckedSentence,
    ReconciledDocument,
    ReconcileRequest,
    ReconciliationFailed,
    ReconciliationFinished,
    reconcile_event,
)
from service_runtime.request_id import REQUEST_ID_HEADER, current_request_id
from service_runtime.secrets import SecretError
from service_runtime.service_auth import ServiceAuth

__all__ = ["DraftingFailed", "HttpReconciliation", "Reconciliation"]

_MAX_LINE_BYTES = 8 * 1024 * 1024


class DraftingFailed(Exception):
    """There is no document. ``message`` is shown to people and holds no patient data.

    ``code`` is one of those of ``ReconciliationFailed``, or of ours: ``reconciliation-unavailable``,
    ``reconciliation-answer-invalid``, ``reconciliation-refused``, ``ehr-unavailable``, ``ehr-refused``,
    ``encounter-not-found``, ``chart-invalid``, ``document-invalid``, ``secret-store-unavailable``.
    ``temporary`` says that trying again later may help without anybody changing the input.
    """

    def __init__(self, code: str, message: str, *, temporary: bool) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.temporary = temporary


class Reconciliation(Protocol):
    """Drafts a document and has it checked."""

    def reconcile(self, request: ReconcileRequest) -> AsyncIterator[CheckedSentence | ReconciledDocument]:
        """Yield checked sentences and, last, the document; raise ``DraftingFailed``."""
        ...

    async def check(self) -> None:
        """Raise ``DraftingFailed`` when the service cannot be reached."""
        ...


class HttpReconciliation:
    """``Reconciliation`` at ``url``, the route prefix of the Serve application.

    The service keeps the deadline of the request itself; ``grace_ms`` more is waited for its last line, so that
    a service that hangs does not hold its caller.
    """

    def __init__(self, http: httpx.AsyncClient, service_auth: ServiceAuth, url: str, *, grace_ms: int) -> None:
        self._http = http
        self._service_auth = service_auth
        self._url = url.rstrip("/")
        self._grace_ms = grace_ms

    async def reconcile(self, request: ReconcileRequest) -> AsyncIterator[CheckedSentence | ReconciledDocument]:
        """See ``Reconciliation.reconcile``."""
        try:
            headers = await self._service_auth.header()
        except SecretError:
            raise _unavailable("the secret store did not answer") from None
        request_id = current_request_id()
        if request_id:
            headers[REQUEST_ID_HEADER] = request_id
        headers["Content-Type"] = "application/json"
        limit_s = (request.budget_ms + self._grace_ms) / 1000
        late = asyncio.get_running_loop().time() + limit_s
        stream = self._events(request, headers, limit_s)
        try:
            while True:
                # The limit is set anew around each step, because a generator must not hold one while it yields.
                try:
                    async with asyncio.timeout_at(late):
                        event = await anext(stream)
                except StopAsyncIteration:
                    break
                except TimeoutError:
                    raise _unavailable("the answer did not come in time") from None
                if isinstance(event, ReconciliationFailed):
                    raise DraftingFailed(event.code, event.message, temporary=True)
                if isinstance(event, ReconciliationFinished):
                    yield event.document
                    return
                yield event
        finally:
            await stream.aclose()
        raise DraftingFailed(
            "reconciliation-answer-invalid", "the answer ended before the document was finished", temporary=True
        )

    async def check(self) -> None:
        """See ``Reconciliation.check``."""
        try:
            response = await self._http.get(f"{self._url}/healthz")
        except httpx.HTTPError:
            raise _unavailable("it cannot be reached") from None
        if response.status_code != 200:
            raise _unavailable("it is not ready")

    async def _events(
        self, request: ReconcileRequest, headers: dict[str, str], limit_s: float
    ) -> AsyncGenerator[CheckedSentence | ReconciliationFinished | ReconciliationFailed, None]:
        try:
            async with self._http.stream(
                "POST",
                f"{self._url}/v1/reconciliations",
                content=request.model_dump_json(),
                headers=headers,
                timeout=httpx.Timeout(limit_s, connect=min(limit_s, 2.0)),
                follow_redirects=False,
            ) as response:
                _accept(response.status_code)
                async for line in response.aiter_lines():
                    if len(line) > _MAX_LINE_BYTES:
                        raise DraftingFailed("reconciliation-answer-invalid", "an event is too large", temporary=False)
                    if line.strip():
                        yield reconcile_event(json.loads(line))
        except httpx.HTTPError:
            raise _unavailable("the connection failed") from None
        except (ValidationError, ValueError):
            # The text of the error would repeat the event, which is about a patient.
            raise DraftingFailed(
                "reconciliation-answer-invalid", "the answer does not follow the contract", temporary=False
            ) from None


def _accept(status: int) -> None:
    if status == 200:
        return
    if status in (400, 404, 413, 422):
        raise DraftingFailed("reconciliation-refused", f"checking refused the request (HTTP {status})", temporary=False)
    raise _unavailable(f"HTTP {status}")


def _unavailable(why: str) -> DraftingFailed:
    return DraftingFailed(
        "reconciliation-unavailable", f"drafting and checking are not available now: {why}", temporary=True
    )
