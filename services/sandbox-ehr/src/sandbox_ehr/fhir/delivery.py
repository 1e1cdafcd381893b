"""Daemon threads that deliver Subscription notifications, so that stopping never waits for a slow receiver."""

import queue
import threading
from collections.abc import Callable
from typing import Any

from service_runtime.log import LogCode, log

__all__ = ["DeliveryThreads"]


class DeliveryThreads:
    """The ``submit`` of an executor on daemon threads.

    The FHIR server's own pool is joined when the interpreter exits, and a delivery that is being retried would
    hold a stop for up to a minute. Several workers keep what real senders do: notifications may arrive out of
    order.
    """

    def __init__(self, workers: int = 4) -> None:
        self._work: queue.SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...]]] = queue.SimpleQueue()
        for number in range(workers):
            threading.Thread(target=self._run, name=f"notify-{number}", daemon=True).start()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Run ``function`` later on one of the threads."""
        self._work.put((function, arguments))

    def _run(self) -> None:
        while True:
            function, arguments = self._work.get()
            try:
                function(*arguments)
            except Exception as error:  # noqa: BLE001  outermost frame of a thread that must serve the next delivery
                log(LogCode.SUBSCRIPTION_FAILED, error_type=type(error).__name__)
