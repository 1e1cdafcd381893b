"""Processes of the tests: started with a clean environment, waited for, and always ended."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

__all__ = ["free_port", "running"]

_START_S = 90.0
_STOP_S = 30.0


def free_port() -> int:
    """Return a port of the loopback interface that was free a moment ago."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str], *, ready: str, log: Path, environment: Mapping[str, str] | None = None, folder: Path
) -> Iterator[Path]:
    """Run ``command`` in ``folder`` until the block ends; begin when ``ready`` answers below 500. Yields ``log``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PRECEPTOR_", "SEKMET_"))}
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=folder, env={**kept, **(environment or {})}, stdout=output, stderr=output
        )
    try:
        _until(ready, process, log)
        yield log
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _until(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()[-4_000:]
        try:
            if httpx.get(url, timeout=2).status_code < 500:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"{url} did not answer\n{log.read_text()[-4_000:]}")
