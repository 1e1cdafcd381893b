"""The services of ``/cds-services`` together: who calls, which service answers, and what became of its cards."""

import logging
import time
from typing import Any

import httpx
from fhir_support.errors import BadRequest, NotFound, ServiceUnavailable
from service_runtime.deadline import Deadline
from service_runtime.log import LogCode, log
from sqlalchemy.exc import SQLAlchemyError

from facade.cds_hooks.alerts import Alert
from facade.cds_hooks.answers import Answers
from facade.cds_hooks.checking import OrderChecks
from facade.cds_hooks.client_jwt import Caller, ClientJwts, ClientRefused
from facade.cds_hooks.document_hooks import DocumentHooks
from facade.cds_hooks.feedback import Feedback
from facade.cds_hooks.order_hooks import BUDGET_MS, OrderHooks
from facade.cds_hooks.request import HookRequest, read_hook_request
from facade.cds_hooks.services import SERVICES, CdsService
from facade.ehr.registry import EhrRegistry
from facade.jwt_keys import RemoteKeySets
from facade.store.cds_cards import CdsCards
from facade.store.database import Database
from facade.store.documents import Documents
from facade.store.used_assertions import UsedAssertions

__all__ = ["CdsHooks"]


class CdsHooks:
    """What the routes hand on to. ``cards`` are those that were shown."""

    def __init__(
        self,
        *,
        ehrs: EhrRegistry,
        key_sets: RemoteKeySets,
        database: Database,
        cards: CdsCards,
        documents: Documents,
        http: httpx.AsyncClient,
        checks: OrderChecks,
        public_base_url: str,
    ) -> None:
        self.cards = cards
        self._base = f"{public_base_url}/cds-services"
        self._jwts = ClientJwts(ehrs, key_sets, UsedAssertions(database))
        self._answers = Answers(cards)
        self._feedback = Feedback(cards)
        self._orders = OrderHooks(http, checks)
        self._documents = DocumentHooks(documents, public_base_url)

    def service(self, service_id: str) -> CdsService:
        """Return the service of that id; raise ``NotFound``."""
        try:
            return SERVICES[service_id]
        except KeyError:
            raise NotFound("There is no such CDS service.") from None

    async def caller(self, unverified_authorization: str | None, *path: str) -> Caller:
        """Return who calls ``path`` below ``/cds-services``; raise ``ClientRefused``, or ``ServiceUnavailable``.

        Nothing of the request's body has been read before this returns.
        """
        endpoint = "/".join((self._base, *path))
        try:
            return await self._jwts.verify(unverified_authorization, endpoint)
        except ClientRefused as refused:
            log(LogCode.CDS_CLIENT_REFUSED, level=logging.WARNING, reason=refused.reason)
            raise
        except (SQLAlchemyError, OSError) as error:
            # Without the memory of used tokens no token is taken.
            log(LogCode.REQUEST_FAILED, level=logging.ERROR, stage="used-assertions", error_type=type(error).__name__)
            raise ServiceUnavailable from None

    async def answer(
        self, caller: Caller, service: CdsService, body: bytes, request_id: str, began: float
    ) -> dict[str, Any]:
        """Return the answer to a call that began at ``began`` on the monotonic clock.

        Raises ``BadRequest``, ``PreconditionFailed`` (412) and ``ServiceUnavailable``.
        """
        request = read_hook_request(body, service.hook)
        deadline = Deadline(max(1.0, BUDGET_MS - (time.monotonic() - began) * 1000))
        try:
            alerts = await self._alerts(caller, service, request, deadline)
            return await self._answers.answer(caller.ehr.id, service.id, request.patient_id, alerts, request_id)
        except RecursionError:
            raise BadRequest("The request is nested too deeply.") from None

    async def feedback(self, caller: Caller, service: CdsService, body: bytes) -> None:
        """Keep feedback; raise ``BadRequest``, ``NotFound`` and ``ServiceUnavailable``."""
        await self._feedback.take(caller, service.id, body)

    async def _alerts(
        self, caller: Caller, service: CdsService, request: HookRequest, deadline: Deadline
    ) -> list[Alert]:
        if service.hook == "patient-view":
            return await self._documents.patient_view(caller, service, request)
        if service.hook == "encounter-discharge":
            if request.encounter_id is None:
                raise BadRequest("context.encounterId is missing.")
            return await self._documents.encounter_discharge(caller, service, request)
        return await self._orders.alerts(caller, service, request, deadline)
