"""Runs the jobs that clients asked for; one that a killed process had claimed is claimed again when its lease ends."""

import logging
import time
from collections.abc import Callable
from typing import Any

from fhir_support.errors import FhirError, ServiceUnavailable
from service_runtime.log import LogCode, log
from service_runtime.request_id import accept_request_id

from facade.fhir.home import Home
from facade.operations.errors import DeadlineExceeded
from facade.operations.runner import Operations
from facade.store.jobs import JobRow

__all__ = ["JobWorker"]

_SWEEP_EVERY_S = 60.0


class JobWorker:
    """Claims jobs one by one. What is only unavailable or late is tried again, and at last given up as a failed job."""

    def __init__(self, operations: Operations, home: Callable[[str], Home]) -> None:
        self._operations = operations
        self._jobs = operations.jobs
        self._home = home
        self._sweep_at = 0.0

    async def step(self) -> bool:
        """Run one job that is due; return whether there was one."""
        row = await self._jobs.queue.claim()
        if row is None:
            await self._sweep()
            return False
        accept_request_id(row.request_id)
        try:
            result = await self._result(row)
            await self._jobs.finish(row, result)
        except Exception as error:  # noqa: BLE001  outermost frame: a job that breaks us must not stop the others
            await self._put_back(row, type(error).__name__)
        else:
            log(
                LogCode.JOB_FINISHED, ehr=row.ehr_id, kind=row.operation, attempts=row.attempts, status=result["status"]
            )
        return True

    async def _result(self, row: JobRow) -> dict[str, Any]:
        """Return status and resource; a refusal is a result as well."""
        try:
            request = await self._jobs.request(row)
            resource = await self._operations.resume(row.operation, request, self._home(row.ehr_id), row.request_id)
        except (ServiceUnavailable, DeadlineExceeded):
            raise
        except FhirError as error:
            return {"status": error.status, "resource": error.outcome()}
        return {"status": 200, "resource": resource}

    async def _sweep(self) -> None:
        if time.monotonic() >= self._sweep_at:
            self._sweep_at = time.monotonic() + _SWEEP_EVERY_S
            await self._jobs.delete_expired()

    async def _put_back(self, row: JobRow, reason: str) -> None:
        quarantined = await self._jobs.queue.fail(row, counts=True, reason=reason)
        code = LogCode.JOB_GIVEN_UP if quarantined else LogCode.JOB_RETRIED
        level = logging.ERROR if quarantined else logging.WARNING
        log(code, level=level, ehr=row.ehr_id, kind=row.operation, attempts=row.attempts, reason=reason)
