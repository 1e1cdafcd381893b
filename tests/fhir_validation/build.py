"""Builds the official validator once: jars by Maven, definitions by npm, one compiled class.

Everything lies in one folder named by a digest of what it was built from, so a change of a version or of the Java
class builds anew and an unchanged checkout never does.
"""

import base64
import fcntl
import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

__all__ = ["CannotBuild", "Validator", "built_validator", "missing_tools"]

_HERE = Path(__file__).parent
_CACHE = _HERE.parents[1] / ".preceptor" / "cache" / "validator"
_POM = _HERE / "engine" / "pom.xml"
_SOURCE = _HERE / "engine" / "src" / "main" / "java" / "preceptor" / "OfficialValidator.java"
_DEFINITIONS = _HERE / "definitions.toml"
_OWN_DEFINITIONS = _HERE / "definitions"
_TOOLS = ("java", "javac", "mvn", "npm")
# Examples in the core package are instances, not definitions: loading them would only take time.
_DEFINITION_TYPES = (
    "StructureDefinition",
    "ValueSet",
    "CodeSystem",
    "ConceptMap",
    "NamingSystem",
    "SearchParameter",
    "OperationDefinition",
    "CompartmentDefinition",
    "ImplementationGuide",
)
# The validator asks for this package by name; empty is enough, R4 resources use no cross-version extension.
_CROSS_VERSION = ("hl7.fhir.xver-extensions", "0.1.0")


class CannotBuild(RuntimeError):
    """A tool failed or an archive was not the one that is pinned."""


@dataclass(frozen=True)
class Validator:
    """A built validator: ``command`` starts it, ``log`` is where it may write its diagnostics."""

    command: tuple[str, ...]
    log: Path


def missing_tools() -> tuple[str, ...]:
    """Return the tools that building and running the validator needs and this machine lacks."""
    return tuple(tool for tool in _TOOLS if shutil.which(tool) is None)


def built_validator() -> Validator:
    """Return the validator, built now when it is not there; raise ``CannotBuild``."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in (_POM, _SOURCE, _DEFINITIONS, Path(__file__))))
    folder = _CACHE / digest.hexdigest()[:16]
    _CACHE.mkdir(parents=True, exist_ok=True)
    definitions = tomllib.loads(_DEFINITIONS.read_text())
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=_CACHE, prefix="building-") as temporary:
                built = Path(temporary) / "built"
                built.mkdir()
                _build(built, Path(temporary), definitions)
                built.rename(folder)
    return Validator(_command(folder, definitions), folder / "engine.log")


def _build(folder: Path, scratch: Path, definitions: Mapping[str, Mapping[str, str]]) -> None:
    jars = folder / "jars"
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
    _run("mvn", "--batch-mode", "--quiet", "--file", str(_POM), *goal)
    _run("javac", "-Xlint:-deprecation", "-cp", f"{jars}/*", "-d", str(folder / "classes"), str(_SOURCE))
    packages = folder / "home" / ".fhir" / "packages"
    packages.mkdir(parents=True)
    # Without this version the validator takes the cache for an old one and empties it.
    (packages / "packages.ini").write_text("[cache]\nversion = 4\n\n[urls]\n\n[local]\n\n[packages]\n")
    for definition in definitions.values():
        archive = _archive(scratch, definition)
        content = _package(packages, definition["as"], definition["version"], definition["canonical"])
        with tarfile.open(archive) as opened:
            for member in opened:
                path = PurePosixPath(member.name)
                extracted = opened.extractfile(member)
                if extracted is not None and len(path.parts) == 2 and path.name.split("-")[0] in _DEFINITION_TYPES:
                    (content / path.name).write_bytes(extracted.read())
    _package(packages, *_CROSS_VERSION, "http://hl7.org/fhir/extensions")


def _archive(folder: Path, definition: Mapping[str, str]) -> Path:
    wanted = f"{definition['package']}@{definition['version']}"
    _run("npm", "pack", "--silent", "--pack-destination", str(folder), wanted, cwd=folder)
    archive = folder / f"{definition['package']}-{definition['version']}.tgz"
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != definition["integrity"]:
        raise CannotBuild(f"{wanted} is not the archive that definitions.toml pins")
    return archive


def _package(packages: Path, name: str, version: str, canonical: str) -> Path:
    """Lay out one package; its manifest asks for no other package than the core, for nothing else is there."""
    content = packages / f"{name}#{version}" / "package"
    content.mkdir(parents=True)
    core = name == "hl7.fhir.r4.core"
    manifest = {
        "name": name,
        "version": version,
        "type": "Core" if core else "IG",
        "fhirVersions": ["4.0.1"],
        "canonical": canonical,
        "url": canonical,
        "dependencies": {} if core else {"hl7.fhir.r4.core": "4.0.1"},
    }
    (content / "package.json").write_text(json.dumps(manifest))
    return content


def _command(folder: Path, definitions: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    core = definitions["core"]
    return (
        "java",
        "-Xmx1500m",
        "-XX:+UseSerialGC",
        f"-Duser.home={folder / 'home'}",
        "-cp",
        f"{folder / 'classes'}:{folder / 'jars'}/*",
        "preceptor.OfficialValidator",
        f"{core['as']}#{core['version']}",
        definitions["terminology"]["version"],
        definitions["extensions"]["version"],
        *sorted(str(file) for file in _OWN_DEFINITIONS.glob("*.json")),
    )


def _run(*command: str, cwd: Path = _HERE) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-2_000:]
        raise CannotBuild(f"{command[0]} ended with {done.returncode}: {said}")
