"""What an earlier run that was killed has left behind: found by the mark in its environment, and stopped."""

import contextlib
import os
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from preceptor.suite.environments import MARK

__all__ = ["find_leftovers", "stop_processes"]


def find_leftovers(state: Path) -> list[psutil.Process]:
    """Return the processes of this user that carry the mark of the suite in ``state``, and all they have started.

    A process that gives itself another title, as Ray's do, may lose its mark; not ours are this one and its parents.
    """
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid not in own and process.uids().real == os.getuid() and _mark(process) == str(state):
                found |= {one.pid: one for one in (process, *process.children(recursive=True))}
    return list(found.values())


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
