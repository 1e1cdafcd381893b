"""The official validator as an object: one Java process that judges resource after resource."""

import json
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .build import Validator

__all__ = ["Issue", "NoVerdict", "OfficialValidator", "errors_of", "running"]

_START_S = 600.0
_JUDGE_S = 180.0


class NoVerdict(RuntimeError):
    """The validator did not judge a resource: that is never a pass."""


@dataclass(frozen=True)
class Issue:
    """One finding; ``id`` names the message or the invariant, ``path`` is where in the resource."""

    severity: str
    id: str | None
    path: str | None
    text: str

    def __str__(self) -> str:
        return f"{self.severity} at {self.path}: {self.text} [{self.id}]"


def errors_of(issues: Sequence[Issue]) -> list[Issue]:
    """Return the findings that make a resource invalid."""
    return [issue for issue in issues if issue.severity in {"error", "fatal"}]


class OfficialValidator:
    """Judges FHIR R4 resources; get one from ``running``."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def judge(self, resource: dict[str, Any], profiles: Sequence[str] = ()) -> list[Issue]:
        """Return every finding on ``resource`` by base R4 and ``profiles``; raise ``NoVerdict``."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"resource": resource, "profiles": list(profiles)}) + "\n")
        self._process.stdin.flush()
        answer = self.read(_JUDGE_S)
        if "issues" not in answer:
            raise NoVerdict(str(answer.get("failed", answer)))
        return [Issue(item["severity"], item.get("id"), item.get("path"), item["text"]) for item in answer["issues"]]

    def read(self, limit_s: float) -> dict[str, Any]:
        """Return the next answer; the process is ended when it takes longer than ``limit_s``."""
        assert self._process.stdout is not None
        too_late = threading.Timer(limit_s, self._process.kill)
        too_late.start()
        try:
            line = self._process.stdout.readline()
        finally:
            too_late.cancel()
        if not line:
            raise NoVerdict("the validator ended or was ended because it took too long")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def running(validator: Validator) -> Iterator[OfficialValidator]:
    """Start the validator, wait until its definitions are loaded, and end it afterwards."""
    with (
        validator.log.open("w") as log,
        subprocess.Popen(
            validator.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, encoding="utf-8"
        ) as process,
    ):
        official = OfficialValidator(process)
        try:
            if "ready" not in official.read(_START_S):
                raise NoVerdict("the validator did not start")
            yield official
        finally:
            process.kill()
