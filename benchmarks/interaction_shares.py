"""How the report on interactions writes shares: with Wilson's interval."""

from benchmarks.intervals import wilson

__all__ = ["interval", "percent"]


def percent(count: int, of: int) -> str:
    """Return a share."""
    return f"{100 * count / of:.1f} %" if of else "–"


def interval(count: int, of: int) -> str:
    """Return a share with its interval."""
    if not of:
        return "–"
    low, high = wilson(count, of)
    return f"{percent(count, of)} ({100 * low:.1f} to {100 * high:.1f}; {count} of {of})"
