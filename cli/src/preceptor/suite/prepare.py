"""Makes what a first start needs and later ones find in the cache: the models, converted from installed packages."""

import os
import subprocess
import sys
from dataclasses import dataclass

from preceptor.suite.environments import MARK, service_environment
from preceptor.suite.errors import SuiteError
from preceptor.suite.settings import CHECKOUT, SuiteSettings

__all__ = ["prepare"]


@dataclass(frozen=True)
class _Preparation:
    """A module of a service that fills a folder of the cache; ``{cache}`` in its arguments is that cache."""

    service: str
    arguments: tuple[str, ...]
    folder: str
    without_it: str | None = None
    """What is lost without it; None where nothing works without it."""


_PREPARATIONS = (
    _Preparation("adapter-serving", ("adapter_serving.prepare", "--cache", "{cache}"), "smollm2-135m-instruct"),
    _Preparation("retrieval", ("preceptor", "ingest", "prepare"), "encoder", "passages are found by their words alone"),
)


def prepare(settings: SuiteSettings) -> list[str]:
    """Run the command of every folder that is missing; raise ``SuiteError`` when one fails that is needed.

    Returns a sentence for each that failed and can be done without.
    """
    notes = []
    for one in _PREPARATIONS:
        if (settings.cache / one.folder).exists():
            continue
        failure = _run(settings, one)
        if failure is None:
            continue
        if one.without_it is None:
            raise SuiteError(failure)
        notes.append(f"{failure} Until it is made, {one.without_it}.")
    return notes


def _run(settings: SuiteSettings, one: _Preparation) -> str | None:
    log = settings.logs / f"prepare-{one.folder}.log"
    # What a package installer needs (its index, certificates, proxy) is in the environment of the person.
    environment = dict(os.environ) | service_environment(settings, one.service) | {MARK: str(settings.state)}
    arguments = [part.format(cache=settings.cache) for part in one.arguments]
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
        ended = subprocess.run(  # noqa: S603  our own command
            [sys.executable, "-m", *arguments],
            cwd=CHECKOUT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=False,
        )
    return None if ended.returncode == 0 else f"Making {one.folder} failed; the log is {log}."
