"""What an answer leaves out, as an OperationOutcome of warnings."""

from collections.abc import Sequence
from typing import Any

__all__ = ["warnings"]

_MOST = 100


def warnings(lines: Sequence[str]) -> dict[str, Any] | None:
    """Return one warning a line, or None when there is nothing to warn of. None is left out unsaid."""
    shown = list(lines[:_MOST])
    if len(lines) > _MOST:
        shown.append(f"And {len(lines) - _MOST} more.")
    if not shown:
        return None
    issues = [{"severity": "warning", "code": "incomplete", "details": {"text": line}} for line in shown]
    return {"resourceType": "OperationOutcome", "issue": issues}
