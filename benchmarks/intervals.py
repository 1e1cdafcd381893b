"""Shares with their uncertainty."""

import math

__all__ = ["share", "wilson"]

_Z = 1.959964


def wilson(count: int, of: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share."""
    if of == 0:
        return 0.0, 1.0
    rate, square = count / of, _Z**2
    middle = (rate + square / (2 * of)) / (1 + square / of)
    half = _Z / (1 + square / of) * math.sqrt(rate * (1 - rate) / of + square / (4 * of**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def share(count: int, of: int) -> str:
    """Return a share with its interval in words."""
    low, high = wilson(count, of)
    return f"{count:,} of {of:,} ({count / max(1, of):.1%}, 95 % interval {low:.1%} to {high:.1%})"
