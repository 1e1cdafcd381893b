"""Assembles OpenSearch with k-NN and security from published artifacts, once, each checked against its pinned hash."""

import fcntl
import hashlib
import re
import shutil
import subprocess
import tempfile
import tomllib
import zipfile
from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from preceptor.opensearch.errors import CannotAssemble, ToolMissing

__all__ = ["assembled", "is_assembled"]

_PARTS = "artifacts.toml"
_POM = "pom.xml"
_KNN, _SECURITY = "opensearch-knn", "opensearch-security"
_COLLECTIONS = "commons-collections4-4.5.0.jar"
# The module that security names is not published; it works without.
_UNPUBLISHED = "rule-framework"


def assembled(cache: Path) -> Path:
    """Return the folder of the assembled node, made now when it is not there; raise ``OpenSearchError``."""
    folder = _folder(cache)
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "opensearch.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=cache, prefix="opensearch-") as scratch:
                home = _assemble(Path(scratch))
                home.rename(folder)
    return folder


def is_assembled(cache: Path) -> bool:
    """Whether nothing has to be fetched."""
    return _folder(cache).is_dir()


def _folder(cache: Path) -> Path:
    digest = hashlib.sha256(_resource(_PARTS) + _resource(_POM) + Path(__file__).read_bytes()).hexdigest()
    return cache / f"opensearch-{digest[:16]}"


def _resource(name: str) -> bytes:
    return files("preceptor.opensearch").joinpath(name).read_bytes()


def _assemble(scratch: Path) -> Path:
    parts = tomllib.loads(_resource(_PARTS).decode())
    version = parts["versions"]["opensearch"]
    fetched = _fetch(scratch / "artifacts", parts["sha256"])
    _unzip(fetched / f"opensearch-{version}.zip", scratch)
    home = scratch / f"opensearch-{version}"
    for name, module in parts["modules"].items():
        _module(home / "modules" / name, fetched, version, name, module)
    for plugin in (_KNN, _SECURITY):
        _unzip(fetched / f"{plugin}-{version}.0.zip", home / "plugins" / plugin)
    security = home / "plugins" / _SECURITY
    shutil.copy(fetched / _COLLECTIONS, security)
    descriptor = security / "plugin-descriptor.properties"
    text, changed = re.subn(
        rf"(?<=[,=]){_UNPUBLISHED}$", f"{_UNPUBLISHED};optional=true", descriptor.read_text(), flags=re.M
    )
    if not changed:
        raise CannotAssemble(f"{descriptor.name} of {_SECURITY} does not name {_UNPUBLISHED}")
    descriptor.write_text(text)
    return home


def _fetch(folder: Path, pinned: Mapping[str, str]) -> Path:
    """Fetch the artifacts by Maven and compare each with its pinned hash."""
    maven = shutil.which("mvn")
    if maven is None:
        raise ToolMissing("OpenSearch is fetched by Maven, which is not installed")
    with as_file(files("preceptor.opensearch").joinpath(_POM)) as pom:
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder}"]
        ended = subprocess.run(  # noqa: S603  our own arguments
            [maven, "--batch-mode", "--quiet", "--file", str(pom), *goal], capture_output=True, text=True, check=False
        )
    if ended.returncode != 0:
        said = [line for line in (ended.stdout + ended.stderr).splitlines() if line.startswith("[ERROR]")]
        raise CannotAssemble(f"Maven failed: {said[0] if said else 'it gave no reason'}")
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    wrong = sorted(name for name in pinned.keys() | found.keys() if pinned.get(name) != found.get(name))
    if wrong:
        raise CannotAssemble(f"these are not the artifacts that {_PARTS} pins: {', '.join(wrong)}")
    return folder


def _unzip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)


def _module(folder: Path, fetched: Path, version: str, name: str, module: Mapping[str, Any]) -> None:
    folder.mkdir()
    for jar in module["jars"]:
        shutil.copy(fetched / jar, folder)
    lines = {
        "description": name,
        "version": version,
        "name": name,
        "classname": module["classname"],
        "java.version": "21",
        "opensearch.version": version,
        "custom.foldername": "",
        "extended.plugins": module["extends"],
        "has.native.controller": "false",
    }
    (folder / "plugin-descriptor.properties").write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
