"""The Ray Serve application ``reconciliation``: handles to the services beside it, and the HTTP ingress."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from litestar import Litestar
from pydantic import ValidationError
from ray import serve
from ray.serve.exceptions import BackPressureError
from service_contracts.drafts import DraftEvent, DraftRequest, draft_event
from service_contracts.evidence import Evidence, EvidenceQuery
from service_runtime.log import LogCode, configure_logging, log
from service_runtime.service_auth import ServiceAuth
from service_runtime.settings import VaultSettings
from service_runtime.vault_store import connect_secret_store

from reconciliation.clients import DraftingFailed, EvidenceUnavailable
from reconciliation.ingress import build_ingress
from reconciliation.reconcile import Reconciler, Timeouts
from reconciliation.settings import ReconciliationSettings

__all__ = ["HandleDrafting", "HandleEvidence", "app", "ingress"]

_FAILURE_CODES = frozenset(
    {"drafting-unavailable", "adapter-unknown", "adapter-refused", "draft-incomplete", "overloaded"}
)


class HandleDrafting:
    """``Drafting`` by the deployment handle of another Serve application, looked up for each draft.

    The handle is not kept: one that outlives its application queues calls for ever instead of failing, while
    looking it up fails at once.
    """

    def __init__(self, application: str) -> None:
        self._application = application

    async def draft(self, request: DraftRequest) -> AsyncIterator[DraftEvent]:
        """See ``Drafting.draft``."""
        events = None
        try:
            handle = await _handle(self._application)
            events = handle.options(stream=True).draft.remote(request.model_dump(mode="json"))
            async for raw in events:
                yield _event(raw)
        except DraftingFailed:
            raise
        except BackPressureError:
            raise DraftingFailed("overloaded", "drafting has more to do than it can queue") from None
        # Ray wraps whatever went wrong in the other replica, or in finding it, in exceptions of many kinds.
        except Exception as error:  # noqa: BLE001
            log(LogCode.DRAFTING_UNAVAILABLE, level=logging.WARNING, error_type=type(error).__name__)
            raise DraftingFailed("drafting-unavailable", "drafting is not available") from None
        finally:
            if events is not None:
                events.cancel()


async def _handle(application: str) -> Any:
    # The look-up is a blocking call to the Serve controller: off the event loop, so that deadlines still run.
    return await asyncio.to_thread(serve.get_app_handle, application)


def _event(raw: object) -> DraftEvent:
    if isinstance(raw, Mapping) and raw.get("event") == "failed":
        code = str(raw.get("code"))
        known = code if code in _FAILURE_CODES else "drafting-unavailable"
        raise DraftingFailed(known, str(raw.get("message") or "drafting failed"))
    return draft_event(raw)


class HandleEvidence:
    """``EvidenceSource`` by the deployment handle of another Serve application.

    A handle is kept for a few seconds, because a new one asks the Serve controller for its replicas, which takes
    longer than the evidence. It is forgotten when a call with it does not end well: one that outlives its application
    queues calls for ever.
    """

    def __init__(self, application: str, keep_s: float = 5.0) -> None:
        self._application = application
        self._keep_s = keep_s
        self._held: tuple[float, Any] | None = None
        self._looking_up = asyncio.Lock()

    async def evidence(self, query: EvidenceQuery) -> Evidence:
        """See ``EvidenceSource.evidence``."""
        response, answered = None, False
        try:
            handle = await self._handle()
            response = handle.evidence.remote(query.model_dump(mode="json"))
            found = Evidence.model_validate(await response)
            answered = True
            return found
        except ValidationError as error:
            log(LogCode.EVIDENCE_UNAVAILABLE, level=logging.ERROR, error_type=type(error).__name__)
            raise EvidenceUnavailable from None
        # As in HandleDrafting: whatever went wrong, the claims are marked as not checked.
        except Exception as error:  # noqa: BLE001
            log(LogCode.EVIDENCE_UNAVAILABLE, level=logging.WARNING, error_type=type(error).__name__)
            raise EvidenceUnavailable from None
        finally:
            if not answered:
                self._held = None
                if response is not None:
                    response.cancel()

    async def _handle(self) -> Any:
        async with self._looking_up:
            if self._held is None or time.monotonic() > self._held[0]:
                self._held = (time.monotonic() + self._keep_s, await _handle(self._application))
            return self._held[1]


def ingress() -> Litestar:
    """Build the HTTP application in the replica (an application object does not pickle)."""
    configure_logging("reconciliation")
    settings = ReconciliationSettings()
    auth = ServiceAuth(connect_secret_store(VaultSettings()))
    timeouts = Timeouts(settings.answer_reserve_ms, settings.draft_reserve_ms, settings.evidence_timeout_ms)
    reconciler = Reconciler(HandleDrafting(settings.drafting_app), HandleEvidence(settings.retrieval_app), timeouts)
    return build_ingress(
        reconciler, auth.accepts, max_body_bytes=settings.max_body_bytes, max_budget_ms=settings.max_budget_ms
    )


def app(_: Mapping[str, str]) -> serve.Application:
    """Return the application for a Serve config whose ``import_path`` is ``reconciliation.deployment:app``."""
    deployment = serve.deployment(
        name="Reconciliation",
        ray_actor_options={"num_cpus": 0.25},
        max_ongoing_requests=16,
        max_queued_requests=64,
    )
    return deployment(serve.ingress(ingress)()).bind()
