"""Refusals of the front, each of which knows its status and OperationOutcome."""

from typing import Any

__all__ = ["FhirRefusal"]


class FhirRefusal(Exception):
    """A request that is not let through; ``headers`` go with the answer."""

    def __init__(self, status: int, code: str, diagnostics: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(diagnostics)
        self.status = status
        self.headers = headers or {}
        self._issue = {"severity": "error", "code": code, "diagnostics": diagnostics}

    @property
    def outcome(self) -> dict[str, Any]:
        """The OperationOutcome to answer with."""
        return {"resourceType": "OperationOutcome", "issue": [self._issue]}
