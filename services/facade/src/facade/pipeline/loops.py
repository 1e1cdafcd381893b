"""A worker's loop: take what is due, else sleep until woken or until the next look."""

import asyncio
from collections.abc import Awaitable, Callable

from service_runtime.log import LogCode, log

__all__ = ["run_loop"]


async def run_loop(step: Callable[[], Awaitable[bool]], wake: asyncio.Event, *, poll_s: float, stage: str) -> None:
    """Call ``step`` until cancelled; it returns whether there was anything to do.

    ``wake`` is cleared before each step, so that what is added while one runs is seen by the next.
    """
    while True:
        wake.clear()
        try:
            if await step():
                continue
        except Exception as error:  # noqa: BLE001  outermost frame of a worker that must outlive a database fault
            log(LogCode.REQUEST_FAILED, stage=stage, error_type=type(error).__name__)
        try:
            await asyncio.wait_for(wake.wait(), poll_s)
        except TimeoutError:
            continue
