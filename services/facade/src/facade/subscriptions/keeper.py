"""Keeping our Subscription alive at each EHR.

A server never brings back a Subscription it has given up: the client sets it to ``requested`` again, and then looks for
what it missed.
"""

import asyncio
import logging
import secrets as random_secrets
import uuid
from typing import Any

from fhir_support.client import FhirAnswerInvalid, FhirClient, FhirClientError, FhirRequestRefused
from fhir_support.identifiers import EFFECT_TAG, tag_query
from fhir_support.r4 import ResourceInvalid
from service_runtime.log import LogCode, log
from service_runtime.request_id import accept_request_id
from service_runtime.secrets import SecretError, SecretNotFound, SecretStore
from sqlalchemy.exc import SQLAlchemyError

from facade.ehr.connections import EhrConnections
from facade.ehr.registry import Ehr, EhrRegistry
from facade.store.inbox import EventKind, Inbox, NewEvent
from facade.subscriptions.receiver import secret_path
from facade.subscriptions.subscription import is_as_wanted, subscription_resource, subscription_uid

__all__ = ["SubscriptionKeeper"]

_RETRY_S = 2.0


class SubscriptionKeeper:
    """Creates, renews and watches one Subscription per EHR. ``wake`` is set when it has stored an event."""

    def __init__(
        self,
        *,
        ehrs: EhrRegistry,
        connections: EhrConnections,
        secrets: SecretStore,
        inbox: Inbox,
        public_base_url: str,
        wake: asyncio.Event,
    ) -> None:
        self._ehrs = ehrs
        self._connections = connections
        self._secrets = secrets
        self._inbox = inbox
        self._public_base_url = public_base_url
        self._wake = wake
        self._seen: set[str] = set()

    async def step(self) -> bool:
        """Check every EHR once; return whether that should be done again at once, because it failed for one.

        An EHR that is starting beside us is not left waiting until the next regular check.
        """
        results = await asyncio.gather(*(self.check(ehr) for ehr in self._ehrs))
        if None in results:
            await asyncio.sleep(_RETRY_S)
        return None in results

    async def check(self, ehr: Ehr) -> str | None:
        """Bring the Subscription at ``ehr`` into order; return its id, or None when that failed now."""
        accept_request_id(None)
        try:
            subscription_id = await self._keep(ehr)
        except (FhirClientError, SecretError, SQLAlchemyError, ResourceInvalid, OSError) as error:
            reason = f"HTTP {error.status}" if isinstance(error, FhirRequestRefused) else None
            error_type = type(error).__name__
            log(LogCode.SUBSCRIPTION_FAILED, level=logging.WARNING, ehr=ehr.id, error_type=error_type, reason=reason)
            return None
        except Exception as error:  # noqa: BLE001  outermost frame: one EHR that breaks us must not stop the others
            log(LogCode.SUBSCRIPTION_FAILED, level=logging.ERROR, ehr=ehr.id, error_type=type(error).__name__)
            return None
        self._seen.add(ehr.id)
        return subscription_id

    async def _keep(self, ehr: Ehr) -> str:
        client = self._connections.client(ehr.id)
        secret, is_new_secret = await self._secret(ehr)
        wanted = subscription_resource(ehr, self._public_base_url, secret)
        uid = subscription_uid(ehr, self._public_base_url)
        found = await client.search("Subscription", [("_tag", f"{EFFECT_TAG}|{uid}")])
        if not found:
            created = await client.create(wanted, if_none_exist=tag_query(uid))
            await self._inbox.subscription(ehr.id, str(created["id"]))  # what ends from now on is ours
            log(LogCode.SUBSCRIPTION_CREATED, ehr=ehr.id)
            return str(created["id"])
        current = found[0]
        subscription_id = str(current["id"])
        if is_new_secret or current.get("status") in ("error", "off") or not is_as_wanted(current, wanted):
            await client.update({**wanted, "id": subscription_id})
            await self._look_back(ehr, subscription_id, "renewed")
            log(LogCode.SUBSCRIPTION_RENEWED, ehr=ehr.id, status=str(current.get("status")))
        elif ehr.id not in self._seen:
            # While we were away the EHR may have tried to tell us something, given up and forgotten it.
            await self._look_back(ehr, subscription_id, "started")
            log(LogCode.SUBSCRIPTION_PRESENT, ehr=ehr.id, status=str(current.get("status")))
        else:
            await self._compare_count(ehr, client, subscription_id)
        return subscription_id

    async def _secret(self, ehr: Ehr) -> tuple[str, bool]:
        path = secret_path(ehr.id)
        try:
            return (await self._secrets.read(path))["token"], False
        except SecretNotFound:
            secret = random_secrets.token_urlsafe(32)
            await self._secrets.write(path, {"token": secret})
            return secret, True

    async def _compare_count(self, ehr: Ehr, client: FhirClient, subscription_id: str) -> None:
        """Look back when the EHR has sent more events than have arrived; not every server can say."""
        try:
            count = _events_sent(await client.read(f"Subscription/{subscription_id}/$status"))
        except (FhirRequestRefused, FhirAnswerInvalid):
            return
        state = await self._inbox.subscription(ehr.id, subscription_id)
        if count is not None and count > state.highest:
            await self._look_back(ehr, subscription_id, f"count-{state.epoch}-{count}", unique=False)

    async def _look_back(self, ehr: Ehr, subscription_id: str, why: str, *, unique: bool = True) -> None:
        """Store an event that makes the worker search; ``why`` alone is its key when it is not ``unique``."""
        state = await self._inbox.subscription(ehr.id, subscription_id)
        event = NewEvent(
            ehr_id=ehr.id,
            subscription=subscription_id,
            epoch=state.epoch,
            dedupe_key=f"{why}-{uuid.uuid4()}" if unique else why,
            kind=EventKind.CATCH_UP,
            focus=subscription_id,
            request_id=str(uuid.uuid4()),
        )
        if await self._inbox.store([event]):
            self._wake.set()


def _events_sent(status: dict[str, Any]) -> int | None:
    """Return events-since-subscription-start of an answer to ``$status``: a Parameters, or a Bundle of one."""
    resources = [status, *(entry.get("resource") or {} for entry in status.get("entry", []))]
    for resource in resources:
        for parameter in resource.get("parameter", []):
            if parameter.get("name") in ("events-since-subscription-start", "eventsSinceSubscriptionStart"):
                value = next((value for name, value in parameter.items() if name.startswith("value")), None)
                return int(str(value)) if str(value).isdecimal() else None
    return None
