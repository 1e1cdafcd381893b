"""Digests of model files: ``sha256:`` and 64 hex digits."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

__all__ = ["digest_of_bytes", "digest_of_files"]


def digest_of_files(folder: Path, names: Sequence[str]) -> str:
    """Return one digest over the names and contents of several files of a folder."""
    lines = []
    for name in sorted(names):
        with (folder / name).open("rb") as file:
            lines.append(f"{name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n")
    return digest_of_bytes("".join(lines).encode())


def digest_of_bytes(data: bytes) -> str:
    """Return the digest of ``data``."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
