"""What an earlier run that was killed has left behind: found by the mark in its environment, and stopped."""

import contextlib
import os
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from preceptor.suite.environments import MARK

__all__ = ["find_leftovers", "stop_processes"]


def find_leftovers(state: Path) -> list[psutil.Process]:
    """Return the processes of this user that carry the mark of the suite in ``state``, but not our own line."""
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid not in own and process.uids().real == os.getuid() and _mark(process) == str(state):
                found.append(process)
    return found


def stop_processes(processes: list[psutil.Process], grace_s: float = 5.0) -> None:
    """Ask the processes to end, and end them when they do not."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=grace_s)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=grace_s)


def _mark(process: psutil.Process) -> str | None:
    value: str | None = process.environ().get(MARK)
    return value
