"""A deadline that travels with a request as the milliseconds that are left."""

import time

__all__ = ["Deadline"]


class Deadline:
    """The moment, on this process's monotonic clock, after which an answer is late."""

    __slots__ = ("_at",)

    def __init__(self, budget_ms: float, *, since: float | None = None) -> None:
        """``since`` is when the time began to run, by ``time.monotonic``; None is now."""
        self._at = (time.monotonic() if since is None else since) + budget_ms / 1000

    @property
    def remaining_s(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._at - time.monotonic())

    @property
    def remaining_ms(self) -> int:
        """Whole milliseconds left, at least 1 so that it can be sent on as a budget."""
        return max(1, int(self.remaining_s * 1000))

    @property
    def expired(self) -> bool:
        """Whether nothing is left."""
        return self.remaining_s <= 0.0
