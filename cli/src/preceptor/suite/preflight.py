"""What the machine must have before anything is started; each lack is a sentence that says what to do."""

import contextlib
import shutil
import socket
import sys

import psutil  # type: ignore[import-untyped]

from preceptor.suite.errors import PreflightFailed
from preceptor.suite.settings import SuiteSettings

__all__ = ["check_machine"]

_DISK_NEEDED_BYTES = 2 * 2**30


def check_machine(settings: SuiteSettings) -> None:
    """Raise ``PreflightFailed`` with every lack at once."""
    lacks = [*_python(), *_ports(settings), *_memory(settings), *_disk(settings)]
    if lacks:
        raise PreflightFailed("\n".join(lacks))


def _python() -> list[str]:
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return []
    return [
        f"Python {sys.version_info.major}.{sys.version_info.minor} runs this environment, and 3.11, 3.12 or 3.13 is "
        "needed: remove .venv and run `make PYTHON=python3.12 install`."
    ]


def _ports(settings: SuiteSettings) -> list[str]:
    lacks = []
    for name, port in settings.ports.items():
        if not _is_free(port):
            lacks.append(
                f"Port {port} is in use by {_holder(port)}: stop it, or choose another port with "
                f"PRECEPTOR_SUITE_{name.upper()}."
            )
    return lacks


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As a server would bind: a connection of an earlier run that lingers is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _holder(port: int) -> str:
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    return "a process of another user"


def _memory(settings: SuiteSettings) -> list[str]:
    free = psutil.virtual_memory().available
    if free >= settings.memory_needed_bytes:
        return []
    return [
        f"{free / 2**30:.1f} GiB of memory is free, and the suite needs about "
        f"{settings.memory_needed_bytes / 2**30:.1f} GiB: close other programs, or try with less by "
        "PRECEPTOR_SUITE_MEMORY_NEEDED_BYTES=0."
    ]


def _disk(settings: SuiteSettings) -> list[str]:
    folder = next(path for path in (settings.folder.resolve(), *settings.folder.resolve().parents) if path.exists())
    free = shutil.disk_usage(folder).free
    if free >= _DISK_NEEDED_BYTES:
        return []
    return [
        f"{free / 2**30:.1f} GiB of disk is free at {folder}, and about {_DISK_NEEDED_BYTES / 2**30:.0f} GiB is "
        "needed: free some, or choose another place with PRECEPTOR_SUITE_FOLDER."
    ]
