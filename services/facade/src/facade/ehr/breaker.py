"""When to leave a server alone: after repeated failures to reach it, and for as long as it asks for."""

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["Breaker", "retry_after_s"]

_OPENS_AFTER = 5
_FIRST_PAUSE_S = 2.0
_LONGEST_PAUSE_S = 30.0


class Breaker:
    """Closed while a server can be reached; open after five failures in a row; half open for one probe at a time.

    Only failures of transport count: a server that answers, whatever it answers, is there.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._pause_s = _FIRST_PAUSE_S
        self._closed_until = -math.inf
        self._probe_ends = -math.inf

    @property
    def is_open(self) -> bool:
        """Whether so many attempts failed that only probes are let through."""
        return self._failures >= _OPENS_AFTER

    def admits(self, probe_s: float) -> bool:
        """Whether a request may be sent now. When open, one that may is the probe, for ``probe_s`` the only one."""
        now = self._clock()
        if now < self._closed_until:
            return False
        if self.is_open:
            if now < self._probe_ends:
                return False
            self._probe_ends = now + probe_s
        return True

    def failed(self) -> bool:
        """Note that the server could not be reached; return whether this opened the breaker."""
        self._failures += 1
        if not self.is_open:
            return False
        self._closed_until = self._clock() + self._pause_s
        self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
        self._probe_ends = -math.inf
        return self._failures == _OPENS_AFTER

    def answered(self, wait_s: float | None = None) -> bool:
        """Note an answer, which may ask to ``wait_s``; return whether this closed the breaker."""
        was_open = self.is_open
        self._failures, self._pause_s, self._probe_ends = 0, _FIRST_PAUSE_S, -math.inf
        self._closed_until = self._clock() + min(wait_s, _LONGEST_PAUSE_S) if wait_s else -math.inf
        return was_open

    def gave_up(self) -> None:
        """Note that a request ended without telling anything about the server, so that another may be the probe."""
        self._probe_ends = -math.inf


def retry_after_s(status: int, header: str | None) -> float | None:
    """Return how long a 429 or 503 asks to wait (RFC 9110, 10.2.3: seconds, or a date), or None."""
    if status not in (429, 503) or header is None:
        return None
    if header.strip().isdecimal() and header.isascii():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
        return max(0.0, (moment - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
