"""One child process: started in a session of its own, its output in a private log file, stopped as a group."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["ChildProcess"]

_POLL_S = 0.05


class ChildProcess:
    """A running child. Ctrl-C at the terminal does not reach it: the supervisor stops its children in order."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        if log.exists():
            log.replace(log.with_suffix(".previous.log"))
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as output:
            self.popen = subprocess.Popen(  # noqa: S603  our own commands
                command,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def exit_status(self) -> int | None:
        """Return the exit status, or None while it runs."""
        return self.popen.poll()

    def stop(self, grace_s: float) -> None:
        """Send SIGTERM, wait, then SIGKILL to whatever is left of the group."""
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + grace_s
        while self.popen.poll() is None and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        self._signal(signal.SIGKILL)
        self.popen.wait()

    def last_words(self) -> str:
        """Return the last line of its log, for a message about its end."""
        with contextlib.suppress(OSError):
            lines = self.log.read_bytes()[-4096:].decode(errors="replace").strip().splitlines()
            if lines:
                return lines[-1][:300]
        return "its log is empty"

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, number)
