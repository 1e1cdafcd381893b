"""A worker's loop: take what is due, else sleep until woken or until the next look.

Stopping lets the step at hand end: a step that is cancelled while it talks to the database would leave its connection,
and with SQLite the write lock, behind.
"""

import asyncio
from collections.abc import Awaitable, Callable

from service_runtime.log import LogCode, log

__all__ = ["WorkLoop"]


class WorkLoop:
    """Calls ``step``, which returns whether there was anything to do, again and again.

    ``wake`` is cleared before each step, so that what is added while one runs is seen by the next. With nothing to
    do, and no waking, the next step is ``poll_s`` seconds later.
    """

    def __init__(self, step: Callable[[], Awaitable[bool]], wake: asyncio.Event, *, poll_s: float, stage: str) -> None:
        self._step = step
        self._wake = wake
        self._poll_s = poll_s
        self._stage = stage
        self._stopping = False

    async def run(self) -> None:
        """Work until ``stop`` is called."""
        while not self._stopping:
            self._wake.clear()
            if self._stopping or await self._stepped():
                continue
            try:
                await asyncio.wait_for(self._wake.wait(), self._poll_s)
            except TimeoutError:
                continue

    def stop(self) -> None:
        """Let ``run`` return after the step at hand."""
        self._stopping = True
        self._wake.set()

    async def _stepped(self) -> bool:
        try:
            return await self._step()
        except Exception as error:  # noqa: BLE001  outermost frame of a worker that must outlive a database fault
            log(LogCode.REQUEST_FAILED, stage=self._stage, error_type=type(error).__name__)
            return False
