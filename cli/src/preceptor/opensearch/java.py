"""Finds a Java that OpenSearch 3 runs on."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from preceptor.opensearch.errors import ToolMissing

__all__ = ["java_program"]

_LEAST = 21
_PLACES = (Path("/usr/lib/jvm"), Path("/Library/Java/JavaVirtualMachines"))


def java_program() -> Path:
    """Return the ``java`` of the newest Java that is installed, if it is new enough; raise ``ToolMissing``."""
    found = [(_version(home), home) for home in _homes()]
    usable = [(version, home) for version, home in found if version >= _LEAST]
    if not usable:
        raise ToolMissing(f"OpenSearch needs Java {_LEAST} or later: install it, or name it by JAVA_HOME")
    return max(usable)[1] / "bin" / "java"


def _homes() -> Iterator[Path]:
    if named := os.environ.get("JAVA_HOME"):
        yield Path(named)
    if program := shutil.which("java"):
        yield Path(program).resolve().parent.parent
    for place in _PLACES:
        if place.is_dir():
            for folder in sorted(place.iterdir()):
                yield from (folder, folder / "Contents" / "Home")


def _version(home: Path) -> int:
    """Read the version from the file that every Java has, instead of starting it."""
    try:
        found = re.search(r'^JAVA_VERSION="(\d+)', (home / "release").read_text("utf-8"), re.M)
    except OSError:
        return 0
    return int(found[1]) if found and (home / "bin" / "java").exists() else 0
