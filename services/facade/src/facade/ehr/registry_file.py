"""The file of EHRs, changed by one hand at a time and as a whole: a reader sees the old or the new one."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import TypeAdapter

from facade.ehr.registration import Ehr
from facade.ehr.registry import EhrRegistry

__all__ = ["changed_file", "read_file"]

_EHRS = TypeAdapter(tuple[Ehr, ...])


def read_file(path: Path) -> tuple[Ehr, ...]:
    """Return the EHRs in the file, none when there is no file yet; raise ``ValueError`` when it is not one."""
    if not path.exists():
        return ()
    return _EHRS.validate_python(json.loads(path.read_text()))


def changed_file(path: Path, change: Callable[[tuple[Ehr, ...]], tuple[Ehr, ...]]) -> tuple[Ehr, ...]:
    """Replace what the file holds by what ``change`` makes of it; raise ``ValueError`` when that is no registry."""
    with _alone(path):
        ehrs = change(read_file(path))
        EhrRegistry(ehrs)
        text = json.dumps([ehr.model_dump(mode="json", exclude_defaults=True) for ehr in ehrs], indent=2) + "\n"
        _EHRS.validate_python(json.loads(text))
        _replace(path, text)
    return ehrs


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _replace(path: Path, text: str) -> None:
    """Write beside and rename; on the disk before this returns."""
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
