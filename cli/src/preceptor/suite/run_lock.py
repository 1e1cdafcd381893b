"""One supervisor per folder: a lock that goes with the process, and a file that tells others about the run."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from preceptor.private_files import private_dir, write_private
from preceptor.suite.errors import AlreadyRunning
from preceptor.suite.settings import SuiteSettings

__all__ = ["Run", "announce", "current_run", "only_one"]


@dataclass(frozen=True)
class Run:
    """A supervisor at work; ``ready`` once everything it started is."""

    pid: int
    ready: bool
    ehr_url: str
    facade_url: str


@contextmanager
def only_one(settings: SuiteSettings) -> Iterator[None]:
    """Hold the folder; raise ``AlreadyRunning`` when another supervisor does."""
    private_dir(settings.folder.resolve())
    private_dir(settings.state)
    descriptor = os.open(settings.state / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _lock(descriptor):
            run = current_run(settings)
            who = f" (process {run.pid})" if run else ""
            raise AlreadyRunning(
                f"Preceptor already runs from {settings.folder}{who}: stop it with Ctrl-C there, or by `make down`."
            )
        announce(settings, ready=False)
        yield
        _file(settings).unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock; somebody who only asks whether there is a run holds the lock for a moment, so try for a second."""
    for _ in range(20):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return True
    return False


def announce(settings: SuiteSettings, *, ready: bool) -> None:
    """Tell others that this process supervises the suite of this folder."""
    run = Run(os.getpid(), ready, settings.ehr_url, settings.facade_url)
    write_private(_file(settings), json.dumps(asdict(run)).encode())


def current_run(settings: SuiteSettings) -> Run | None:
    """Return the run that is going on, if any; what a killed supervisor left behind is none."""
    try:
        descriptor = os.open(settings.state / "lock", os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        try:
            return Run(**json.loads(_file(settings).read_bytes()))
        except FileNotFoundError:
            return None
    else:
        return None
    finally:
        os.close(descriptor)


def _file(settings: SuiteSettings) -> Path:
    return settings.state / "run.json"
