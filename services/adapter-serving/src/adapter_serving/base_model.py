"""The base model's folder in the cache: which files it has and which digest they make."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from adapter_serving.digests import digest_of_files

__all__ = ["BASE_FILES", "BASE_NAME", "BaseModelFiles", "BaseModelMissing"]

BASE_NAME = "SmolLM2-135M-Instruct"
BASE_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
_RECORD = "base.json"


class BaseModelMissing(Exception):
    """The cache holds no converted base model."""


@dataclass(frozen=True)
class BaseModelFiles:
    """A converted base model; ``digest`` is of the files as they are now."""

    folder: Path
    name: str
    digest: str

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read and digest the files; raise ``BaseModelMissing`` when the conversion did not finish there."""
        try:
            record = json.loads((folder / _RECORD).read_text())
            return cls(folder, str(record["name"]), digest_of_files(folder, BASE_FILES))
        except (OSError, ValueError, KeyError):
            raise BaseModelMissing(
                f"no converted base model in {folder}: run `python -m adapter_serving.prepare`"
            ) from None

    @classmethod
    def record(cls, folder: Path, name: str) -> Self:
        """Mark the conversion into ``folder`` as finished."""
        (folder / _RECORD).write_text(json.dumps({"name": name}) + "\n")
        return cls.open(folder)
