"""Runs operations: reads the input, asks the scopes, keeps the deadline, and records a call before it is answered."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from fhir_support.errors import FhirError, InternalError, ServiceUnavailable
from service_runtime.deadline import Deadline
from service_runtime.log import LogCode, log
from service_runtime.secrets import SecretError
from sqlalchemy.exc import SQLAlchemyError

from facade.fhir.access import Access
from facade.fhir.audit import Auditor, Call
from facade.fhir.home import Home
from facade.fhir.scopes import Scope
from facade.operations.errors import DeadlineExceeded, TooManyAtOnce, TooManyJobs
from facade.operations.parameters import read_parameters
from facade.operations.prepared import Prepared, PreparesOperation
from facade.operations.table import OPERATIONS, OperationSpec, raw_definition
from facade.store.jobs import Job, Jobs, owner_of
from facade.store.resource_writing import Beside

__all__ = ["Operations"]

_MOST_WAITING = 100
_LATER_S = 30.0
"""Well within a lease: a job that runs is never begun a second time."""
_Used = TypeVar("_Used")
_Outcome = tuple[_Used, Beside | None]
"""What to answer, and what is kept with the record of the call."""


def _turns() -> dict[str, asyncio.Semaphore]:
    return {name: asyncio.Semaphore(spec.at_once) for name, spec in OPERATIONS.items()}


@dataclass(frozen=True)
class Operations:
    """The operations by name, and the jobs that clients asked for. ``wake`` is set when there is a new one."""

    by_name: Mapping[str, PreparesOperation]
    auditor: Auditor
    jobs: Jobs
    wake: asyncio.Event
    turns: Mapping[str, asyncio.Semaphore] = field(default_factory=_turns)

    async def answer(self, call: Call, name: str, body: bytes, arrived: float) -> dict[str, Any]:
        """Run an operation within its deadline and return its resource; raise ``FhirError``.

        The deadline counts from ``arrived`` (``time.monotonic``), so that what waited has less time and not more.
        """
        spec = OPERATIONS[name]
        over_s = spec.limit_s - spec.budget_ms / 1000

        async def run(prepared: Prepared) -> _Outcome[dict[str, Any]]:
            return await self._run(name, prepared, Deadline(prepared.budget_ms, since=arrived), over_s)

        return await self._recorded(call, name, body, run, arrived, self._turn(spec, arrived))

    async def begin(self, call: Call, name: str, body: bytes) -> str:
        """Keep a call for later and return the job's id; input and scopes are judged now. Raises ``FhirError``."""

        async def keep(prepared: Prepared) -> _Outcome[str]:
            owner = _owner(call.access)
            if await self.jobs.waiting(owner) >= _MOST_WAITING:
                raise TooManyJobs(headers={"Retry-After": "30"})
            job_id = await self.jobs.add(
                call.access.ehr_id,
                owner,
                name,
                {"body": body.decode("utf-8"), "base": call.base, "address": call.address, **_kept(call.access)},
                patient=prepared.patient,
                request_id=call.request_id,
            )
            self.wake.set()
            return job_id, None

        return await self._recorded(call, name, body, keep, time.monotonic())

    async def resume(self, name: str, request: Mapping[str, Any], home: Home, request_id: str) -> dict[str, Any]:
        """Run a kept call: the token that began it decides, as it was. Nobody waits, so it is given more time."""
        call = Call(_access(request, home), str(request["base"]), request_id, request["address"])
        body = str(request["body"]).encode()

        async def run(prepared: Prepared) -> _Outcome[dict[str, Any]]:
            return await self._run(name, prepared, Deadline(prepared.budget_ms), _LATER_S)

        return await self._recorded(call, name, body, run, time.monotonic())

    async def job(self, call: Call, job_id: str) -> Job | None:
        """Return a job of this client; handing out a result is recorded. Raises ``FhirError``."""
        try:
            found = await self.jobs.get(call.access.ehr_id, _owner(call.access), job_id)
        except (SecretError, SQLAlchemyError, OSError):
            raise ServiceUnavailable("The job cannot be looked up now.") from None
        if found is not None and found.result is not None:
            _require(call.access, OPERATIONS[found.operation])
            await self.auditor.operation(call, f"${found.operation}", None)
        return found

    async def cancel(self, call: Call, job_id: str) -> bool:
        """Forget a job of this client; return whether there was one."""
        try:
            return await self.jobs.cancel(call.access.ehr_id, _owner(call.access), job_id)
        except (SQLAlchemyError, OSError):
            raise ServiceUnavailable("The job cannot be looked up now.") from None

    async def _recorded(
        self,
        call: Call,
        name: str,
        body: bytes,
        use: Callable[[Prepared], Awaitable[_Outcome[_Used]]],
        arrived: float,
        turn: AbstractAsyncContextManager[None] | None = None,
    ) -> _Used:
        """Understand the call and use it when it is its ``turn``, and keep an AuditEvent of how it ended."""
        spec, patient = OPERATIONS[name], None
        try:
            _require(call.access, spec)
            async with turn or nullcontext():
                prepared = await self._prepared(call, spec, body, arrived)
                patient = prepared.patient
                answer, keep = await use(prepared)
                await self.auditor.operation(call, f"${name}", patient, beside=keep)
        except FhirError as error:
            await self.auditor.operation(call, f"${name}", patient, outcome="4" if error.status < 500 else "8")
            raise
        except (SecretError, SQLAlchemyError, OSError) as error:
            log(LogCode.REQUEST_FAILED, stage=name, error_type=type(error).__name__)
            await self.auditor.operation(call, f"${name}", patient, outcome="8")
            raise ServiceUnavailable("The request cannot be served now.") from None
        return answer

    @asynccontextmanager
    async def _turn(self, spec: OperationSpec, arrived: float) -> AsyncIterator[None]:
        """Wait until this is one of the few that are worked on; raise ``TooManyAtOnce`` when that would be too late."""
        turn = self.turns[spec.name]
        try:
            async with asyncio.timeout(arrived + spec.patience_s - time.monotonic()):
                await turn.acquire()
        except TimeoutError:
            raise TooManyAtOnce from None
        try:
            yield
        finally:
            turn.release()

    async def _prepared(self, call: Call, spec: OperationSpec, body: bytes, arrived: float) -> Prepared:
        try:
            async with asyncio.timeout(arrived + spec.limit_s - time.monotonic()):
                inputs = await asyncio.to_thread(read_parameters, raw_definition(spec.name), body)
                return await self.by_name[spec.name].prepare(call, inputs)
        except TimeoutError:
            raise DeadlineExceeded from None

    async def _run(self, name: str, prepared: Prepared, deadline: Deadline, over_s: float) -> _Outcome[dict[str, Any]]:
        """Run within the deadline, and give up ``over_s`` seconds after it."""
        try:
            async with asyncio.timeout(deadline.remaining_s + over_s):
                answered = await prepared.run(deadline)
        except TimeoutError:
            raise DeadlineExceeded from None
        except ValueError as error:
            log(LogCode.REQUEST_FAILED, stage=name, error_type=type(error).__name__)
            # What we answer is validated before it is sent; not to send it is all that can be done about it here.
            raise InternalError from None
        return answered.resource, answered.keep


def _require(access: Access, spec: OperationSpec) -> None:
    for letter, resource_type in spec.scopes:
        access.require(letter, resource_type)


def _owner(access: Access) -> str:
    """Whose a job is: the client, the person it acts for and the patient it is held to. Scopes may change."""
    return owner_of(access.ehr_id, access.client_id, access.subject, access.user, access.patient)


def _kept(access: Access) -> dict[str, Any]:
    """What of an access is kept with a job. The token itself is not."""
    return {
        "client_id": access.client_id,
        "user": access.user,
        "subject": access.subject,
        "patient": access.patient,
        "scopes": [asdict(scope) for scope in access.scopes],
    }


def _access(kept: Mapping[str, Any], home: Home) -> Access:
    scopes = tuple(
        Scope(
            one["context"],
            one["resource_type"],
            one["letters"],
            tuple((name, value) for name, value in one["parameters"]),
        )
        for one in kept["scopes"]
    )
    return Access(
        ehr_id=home.ehr_id,
        client_id=kept["client_id"],
        user=kept["user"],
        patient=kept["patient"],
        scopes=scopes,
        home=home,
        subject=kept["subject"],
    )
