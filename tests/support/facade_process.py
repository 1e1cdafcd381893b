"""The facade as a process of its own that can be killed: nothing of it can clean up.

It is forked from a process that has imported it already, so that many starts cost little.
"""

import asyncio
import contextlib
import multiprocessing
import os
import signal
import sqlite3
import time
from pathlib import Path

import httpx

__all__ = ["FacadeProcess"]

_FORK = multiprocessing.get_context("forkserver")
_START = """
import os, sys
os.environ.update(environment)
log = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
os.dup2(log, 1)
os.dup2(log, 2)
exec(before)
from facade.__main__ import main
sys.exit(main())
"""


class FacadeProcess:
    """``environment`` are its settings; the database is ``facade.sqlite3`` in ``folder``.

    ``before`` is what its process does first.
    """

    def __init__(self, environment: dict[str, str], folder: Path, port: int, before: str = "") -> None:
        _FORK.set_forkserver_preload(["facade.__main__"])
        self.environment = environment
        self.before = before
        self.log = folder / "facade.log"
        self.database = folder / "facade.sqlite3"
        self.base_url = f"http://localhost:{port}"
        self.process: multiprocessing.context.ForkServerProcess | None = None

    async def start(self) -> None:
        """Start it and wait until it answers."""
        names = {"environment": self.environment, "log_file": str(self.log), "before": self.before}
        arguments = (_START, names)
        self.process = _FORK.Process(target=exec, args=arguments)
        self.process.start()
        end = time.monotonic() + 60
        async with httpx.AsyncClient() as http:
            while time.monotonic() < end:
                with contextlib.suppress(httpx.TransportError):
                    if (await http.get(f"{self.base_url}/healthz", timeout=5)).status_code == 200:
                        return
                assert self.process.is_alive(), self.log.read_text()[-2000:]
                await asyncio.sleep(0.02)
        raise AssertionError(self.log.read_text()[-2000:])

    def kill(self) -> None:
        """End it by SIGKILL."""
        assert self.process is not None and self.process.pid is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.join(10)
        assert self.process.exitcode == -signal.SIGKILL

    def stop(self) -> None:
        """End it as an orchestrator does; it must end well."""
        if self.process is not None and self.process.is_alive():
            self.process.terminate()
            self.process.join(20)
            assert self.process.exitcode == 0, self.log.read_text()[-2000:]

    def events(self) -> int:
        """How many events about encounters have been stored."""
        return self.count("SELECT count(*) FROM inbox_event WHERE kind = 'encounter'")

    def open_work(self) -> int:
        """How many events and effects are not done."""
        return self.count(
            "SELECT (SELECT count(*) FROM inbox_event WHERE state != 'done')"
            " + (SELECT count(*) FROM outbox_effect WHERE state != 'done')"
        )

    def count(self, query: str) -> int:
        """Return the one number that ``query`` gives."""
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            return int(connection.execute(query).fetchone()[0])
