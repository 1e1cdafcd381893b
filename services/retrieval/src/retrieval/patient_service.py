"""What a replica does for texts about patients: opened when first asked for, each call inside its time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from service_contracts.evidence import Passage
from service_contracts.patient_texts import (
    ForgetPatient,
    KeepPatientTexts,
    PatientForgotten,
    PatientPassageQuery,
    PatientTextsKept,
)
from service_runtime.secrets import SecretError

from retrieval.index import IndexFailure, IndexUnreadable
from retrieval.ingress import NotReady
from retrieval.patient_texts import PatientTexts

__all__ = ["PatientService"]


class PatientService:
    """Each method raises ``NotReady`` with a reason when what was asked for was not done, also when time ran out.

    What was cut short by time may be done in part: the same call again completes it.
    """

    def __init__(self, open_texts: Callable[[], Awaitable[PatientTexts]]) -> None:
        self._open_texts = open_texts
        self._opening = asyncio.Lock()
        self._texts: PatientTexts | None = None

    async def keep(self, wanted: KeepPatientTexts) -> PatientTextsKept:
        """Keep texts of a patient."""
        async with self._within(wanted.budget_ms) as texts:
            await texts.add(wanted.patient, wanted.texts)
        return PatientTextsKept(count=len(wanted.texts))

    async def passages(self, query: PatientPassageQuery) -> list[Passage]:
        """Return the best passages of one patient."""
        as_of = query.as_of or datetime.now(tz=UTC).date()
        async with self._within(query.budget_ms) as texts:
            return await texts.search(query.patient, query.text, query.limit, as_of)

    async def forget(self, wanted: ForgetPatient) -> PatientForgotten:
        """Destroy a patient's key, and what it opened."""
        async with self._within(wanted.budget_ms) as texts:
            return PatientForgotten(count=await texts.forget(wanted.patient))

    async def close(self) -> None:
        """Let go of the engine."""
        if self._texts is not None:
            await self._texts.close()
            self._texts = None

    @asynccontextmanager
    async def _within(self, budget_ms: int) -> AsyncIterator[PatientTexts]:
        try:
            async with asyncio.timeout(budget_ms / 1000):
                yield await self._opened()
        except TimeoutError:
            raise NotReady("deadline") from None
        except SecretError:
            raise NotReady("secret-store-unavailable") from None
        except IndexUnreadable:
            raise NotReady("patient-texts-unreadable") from None
        except IndexFailure:
            raise NotReady("index-unavailable") from None

    async def _opened(self) -> PatientTexts:
        async with self._opening:
            if self._texts is None:
                self._texts = await self._open_texts()
            return self._texts
