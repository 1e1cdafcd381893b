"""The folder of a trained cross-encoder: sealed by digests when it is written, checked before it is read."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from retrieval.reranking import RerankerRefused

__all__ = ["MANIFEST", "check_folder", "seal_folder"]

MANIFEST = "training.json"
_NEEDED = ("config.json", "model.safetensors", "tokenizer.json")


def seal_folder(folder: Path, weight: float, made: Mapping[str, object]) -> None:
    """Write how the cross-encoder was made, what its order counts, and the digest of each of its files."""
    files = {path.name: _digest(path) for path in sorted(folder.iterdir()) if path.name != MANIFEST}
    (folder / MANIFEST).write_text(json.dumps({**made, "weight": weight, "files": files}, indent=2) + "\n")


def check_folder(folder: Path) -> float:
    """Return the weight of the cross-encoder; raise ``RerankerRefused`` unless the folder is what was written.

    Weights without the head of a cross-encoder would be read too, and score by chance.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        named = {str(name): str(digest) for name, digest in manifest["files"].items()}
        weight = float(manifest["weight"])
    except OSError:
        raise RerankerRefused(f"{MANIFEST} cannot be read: `preceptor ingest train-reranker` writes it") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise RerankerRefused(f"{MANIFEST} is damaged") from None
    for name in (*_NEEDED, *named):
        if named.get(name) is None or Path(name).name != name:
            raise RerankerRefused(f"{MANIFEST} does not name {name}, or names what is not in its folder")
        try:
            digest = _digest(folder / name)
        except OSError:
            raise RerankerRefused(f"{name} cannot be read") from None
        if digest != named[name]:
            raise RerankerRefused(f"{name} is not what was written")
    return weight


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
