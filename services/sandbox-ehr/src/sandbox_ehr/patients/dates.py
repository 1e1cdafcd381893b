"""Moves a simulated stay to the present, so that an open stay looks like one of today."""

import re
from datetime import date, datetime, timedelta
from typing import Any

__all__ = ["days_until", "known_by", "shift"]

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


def known_by(resources: list[dict[str, Any]], now: datetime, admitted: str) -> list[dict[str, Any]]:
    """Return what a chart can hold at ``now``.

    Results of the future are left out. The simulator records the problem list when it ends; such a Condition was
    known all along and is taken as recorded on admission.
    """
    moment = now.isoformat()
    kept = [r for r in resources if _comparable(r.get("effectiveDateTime", "")) <= moment]
    return [r | {"recordedDate": admitted} if _comparable(r.get("recordedDate", "")) > moment else r for r in kept]


def _comparable(text: str) -> str:
    return text.replace("Z", "+00:00")
