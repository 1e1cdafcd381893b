"""Installs software by others, pinned by hash, into the cache of the checkout: Python clients and node servers.

Each set lies in a folder named by a digest of its pins, so a changed pin installs anew and an unchanged one never does.
Nothing of it is imported by a test: it runs in processes of its own, as it would at somebody else's.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

__all__ = ["CannotInstall", "missing_tools", "node_packages", "python_environment", "why_no_node"]

_ROOT = Path(__file__).parents[2]
_CACHE = _ROOT / ".preceptor" / "cache" / "software"


class CannotInstall(RuntimeError):
    """An installer failed, or something was not the archive that is pinned."""


def missing_tools(*tools: str) -> tuple[str, ...]:
    """Return which of ``tools`` this machine lacks; ``uv`` may also be the one that the Makefile installs."""
    return tuple(tool for tool in tools if shutil.which(tool) is None and not (tool == "uv" and _own_uv().is_file()))


def why_no_node(at_least: int) -> str | None:
    """Return why node packages cannot be run here, or None: npm is missing, or node is older than ``at_least``."""
    if missing := missing_tools("node", "npm"):
        return f"{' and '.join(missing)} must be installed"
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    major = int(said.removeprefix("v").partition(".")[0])
    return None if major >= at_least else f"node must be {at_least} or newer, and is {said}"


def python_environment(requirements: Path) -> Path:
    """Return the ``python`` of an environment that holds exactly ``requirements``, a file pinned by hash."""

    def install(folder: Path) -> None:
        uv = str(_own_uv()) if _own_uv().is_file() else "uv"
        _run(uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(folder / "environment"))
        python = str(folder / "environment" / "bin" / "python")
        _run(uv, "pip", "sync", "--quiet", "--python", python, "--require-hashes", str(requirements))

    return _kept(requirements.stem, requirements.read_bytes(), install) / "environment" / "bin" / "python"


def node_packages(manifest_folder: Path) -> Path:
    """Return a folder whose ``node_modules`` holds exactly what the lock file in ``manifest_folder`` names.

    The lock file holds hashes and no addresses: packages come from the registry this machine is set up for.
    """
    files = [manifest_folder / name for name in ("package.json", "package-lock.json")]

    def install(folder: Path) -> None:
        for file in files:
            shutil.copy(file, folder)
        # Scripts of packages are not run: none of these needs one.
        _run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", cwd=folder)

    return _kept(manifest_folder.name, b"".join(file.read_bytes() for file in files), install)


def _kept(name: str, pins: bytes, install: Callable[[Path], None]) -> Path:
    digest = hashlib.sha256(pins + Path(__file__).read_bytes() + sys.version.encode()).hexdigest()
    folder = _CACHE / f"{name}-{digest[:16]}"
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=_CACHE, prefix="installing-") as temporary:
                installed = Path(temporary) / "installed"
                installed.mkdir()
                install(installed)
                installed.rename(folder)
    return folder


def _own_uv() -> Path:
    return _ROOT / ".preceptor" / "tools" / "bin" / "uv"


def _run(*command: str, cwd: Path = _ROOT) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-2_000:]
        raise CannotInstall(f"{Path(command[0]).name} ended with {done.returncode}: {said}")
