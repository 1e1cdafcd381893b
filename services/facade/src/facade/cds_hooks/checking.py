"""Asking reconciliation to check orders, within what is left of the hook's time."""

import asyncio
from typing import Protocol

import httpx
from pydantic import ValidationError
from service_contracts.order_checks import OrderCheckAnswer, OrderCheckRequest
from service_runtime.request_id import REQUEST_ID_HEADER, current_request_id
from service_runtime.secrets import SecretError
from service_runtime.service_auth import ServiceAuth

__all__ = ["ChecksUnavailable", "HttpOrderChecks", "OrderChecks"]

_GRACE_MS = 25


class ChecksUnavailable(Exception):
    """No order was checked; ``reason`` is deadline or service-down."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class OrderChecks(Protocol):
    """Checks orders."""

    async def check(self, request: OrderCheckRequest) -> OrderCheckAnswer:
        """Return the claims and flags; raise ``ChecksUnavailable``."""
        ...


class HttpOrderChecks:
    """``OrderChecks`` at ``url``, the route prefix of the Serve application reconciliation."""

    def __init__(self, http: httpx.AsyncClient, service_auth: ServiceAuth, url: str) -> None:
        self._http = http
        self._service_auth = service_auth
        self._url = f"{url.rstrip('/')}/v1/order-checks"

    async def check(self, request: OrderCheckRequest) -> OrderCheckAnswer:
        """See ``OrderChecks.check``."""
        try:
            async with asyncio.timeout((request.budget_ms + _GRACE_MS) / 1000):
                response = await self._http.post(
                    self._url, content=request.model_dump_json(), headers=await self._headers(), follow_redirects=False
                )
        except (TimeoutError, httpx.TimeoutException):
            raise ChecksUnavailable("deadline") from None
        except (httpx.HTTPError, SecretError):
            raise ChecksUnavailable("service-down") from None
        if response.status_code != 200:
            raise ChecksUnavailable("service-down")
        try:
            return OrderCheckAnswer.model_validate_json(response.content)
        except ValidationError:
            # The error's text would repeat the answer, which is about a patient.
            raise ChecksUnavailable("service-down") from None

    async def _headers(self) -> dict[str, str]:
        headers = {**await self._service_auth.header(), "Content-Type": "application/json"}
        request_id = current_request_id()
        return headers | ({REQUEST_ID_HEADER: request_id} if request_id else {})
