"""Moves a simulated stay to the present, so that an open stay looks like one of today."""

import re
from datetime import date, datetime, timedelta
from typing import Any

__all__ = ["days_until", "shift"]

_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(T.*)?")
_NEVER_MOVED = frozenset({"birthDate"})


def days_until(planned_end: str, now: datetime) -> int:
    """Return the most days by which the moment ``planned_end`` can move and still lie before ``now``."""
    return (now - datetime.fromisoformat(planned_end)).days


def shift(node: Any, days: int) -> Any:
    """Return a copy of a resource with every date and time moved by ``days``; birth dates stay."""
    if isinstance(node, dict):
        return {name: child if name in _NEVER_MOVED else shift(child, days) for name, child in node.items()}
    if isinstance(node, list):
        return [shift(child, days) for child in node]
    if isinstance(node, str) and (match := _DATE.fullmatch(node)):
        moved = date.fromisoformat(match[1]) + timedelta(days=days)
        return f"{moved.isoformat()}{match[2] or ''}"
    return node
