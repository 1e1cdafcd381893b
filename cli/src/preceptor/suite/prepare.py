"""Makes what a first start needs and later ones find in the cache: the models, converted from installed packages."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from preceptor.suite.environments import process_environment, service_environment
from preceptor.suite.errors import SuiteError
from preceptor.suite.settings import SuiteSettings

__all__ = ["prepare"]


@dataclass(frozen=True)
class _Preparation:
    """A command of a service that fills a folder of the cache."""

    service: str
    arguments: tuple[str, ...]
    folder: str


_PREPARATIONS = (_Preparation("retrieval", ("ingest", "prepare"), "encoder"),)


def prepare(settings: SuiteSettings) -> None:
    """Run the command of every folder that is missing; raise ``SuiteError`` when one fails."""
    for one in _PREPARATIONS:
        if not (settings.cache / one.folder).exists():
            _run(settings, one)


def _run(settings: SuiteSettings, one: _Preparation) -> None:
    log = settings.logs / f"prepare-{one.folder}.log"
    environment = process_environment(settings, service_environment(settings, one.service))
    with log.open("ab") as output:
        ended = subprocess.run(  # noqa: S603  our own command
            [sys.executable, "-m", "preceptor", *one.arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=False,
        )
    if ended.returncode != 0:
        raise SuiteError(f"`preceptor {' '.join(one.arguments)}` failed: {_last_line(log)} Its log is {log}.")


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing."
