"""A suite run by another process, for programs that use one: started, asked, changed and stopped from outside."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from service_runtime.secrets import SecretStore
from service_runtime.vault_store import connect_secret_store

from preceptor.openbao.running import vault_settings
from preceptor.suite.environments import APPLICATIONS
from preceptor.suite.errors import ProcessEnded, StartTimedOut
from preceptor.suite.ray_cluster import ServeApi, ray_folder
from preceptor.suite.run_lock import current_run
from preceptor.suite.serve_config import serve_config
from preceptor.suite.settings import CHECKOUT, SuiteSettings

__all__ = ["BackgroundSuite", "background_suite", "settings_on_free_ports"]

_POLL_S = 0.2
_STOP_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class BackgroundSuite:
    """A running suite; ``output`` is the file of what its command prints."""

    settings: SuiteSettings
    process: subprocess.Popen[bytes]
    output: Path
    started_in_s: float

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which ``preceptor`` commands are about this suite."""
        return _environment(self.settings)

    def secrets(self, role: str) -> SecretStore:
        """Return the secret store as a service of this role sees it."""
        return connect_secret_store(vault_settings(self.settings.openbao, self.settings.agent_socket, role))

    async def apply(self, applications: Sequence[str] = APPLICATIONS, timeout_s: float = 120.0) -> None:
        """Make exactly these Serve applications run, and wait until each answers; raise ``TimeoutError``."""
        api = ServeApi(self.settings)
        await asyncio.to_thread(api.declare, serve_config(self.settings, applications))
        wanted = dict.fromkeys(applications, "RUNNING")
        async with asyncio.timeout(timeout_s), httpx.AsyncClient(trust_env=False, timeout=5) as http:
            while await asyncio.to_thread(api.statuses) != wanted:  # noqa: ASYNC110  other processes set no Event
                await asyncio.sleep(_POLL_S)
            for name in applications:
                url = f"{self.settings.serve_url}/{name}/healthz"
                while (await http.get(url)).status_code != 200:  # noqa: ASYNC110  the same
                    await asyncio.sleep(_POLL_S)

    def log_files(self) -> list[Path]:
        """Return every log there is, Ray's included."""
        folders = (self.settings.logs, ray_folder(self.settings))
        return [path for folder in folders for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


def settings_on_free_ports(folder: Path) -> SuiteSettings:
    """Return settings of a suite beside others: a folder of its own, free ports, and the checkout's cache."""
    names = [name for name in SuiteSettings.model_fields if name.endswith("_port")]
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in names]
    values: dict[str, object] = {name: one.getsockname()[1] for name, one in zip(names, sockets, strict=True)}
    for one in sockets:
        one.close()
    return SuiteSettings.model_validate(values | {"folder": folder, "cache_dir": CHECKOUT / ".preceptor" / "cache"})


@contextmanager
def background_suite(settings: SuiteSettings, output: Path, timeout_s: float = 300.0) -> Iterator[BackgroundSuite]:
    """Run ``preceptor up``; give it once everything is ready; stop it. Raises ``SuiteError``."""
    started = time.monotonic()
    with output.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "preceptor", "up"], env=_environment(settings), stdout=file, stderr=file
        )
    try:
        while not _is_ready(settings, process.pid):
            if process.poll() is not None:
                raise ProcessEnded(f"`preceptor up` ended with {process.returncode}:\n{output.read_text()}")
            if time.monotonic() - started > timeout_s:
                raise StartTimedOut(f"the suite was not ready within {timeout_s:g} s:\n{output.read_text()}")
            time.sleep(_POLL_S)
        yield BackgroundSuite(settings, process, output, time.monotonic() - started)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _environment(settings: SuiteSettings) -> dict[str, str]:
    values = {f"PRECEPTOR_SUITE_{name.upper()}": str(value) for name, value in settings if value is not None}
    return dict(os.environ) | values


def _is_ready(settings: SuiteSettings, pid: int) -> bool:
    run = current_run(settings)
    return run is not None and run.pid == pid and run.ready
