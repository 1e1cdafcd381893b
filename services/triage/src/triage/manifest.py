"""The manifest beside the weights: what they were made of, how their numbers are read, and how they measured."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "FILES",
    "MANIFEST",
    "REPORT",
    "Calibration",
    "GroupWarning",
    "Manifest",
    "TrainingData",
    "digest_of",
    "files_digest",
]

MANIFEST = "manifest.json"
REPORT = "report.json"
FILES = ("network.safetensors", "vocabulary.safetensors")
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TrainingData(_Part):
    """The visits the weights were made from; ``digest`` is over the files that were read."""

    name: str
    publisher: str
    years: tuple[int, ...]
    visits: int
    levels_recorded: int
    digest: Digest
    notice: str


class Calibration(_Part):
    """How logits become probabilities, a level and a set; all of it learnt from visits of a year left out.

    Levels: softmax of ``level_scale * logits``, then ``level_cuts`` on the expected level. Outcomes: the sigmoid of
    ``slope * logit + intercept``. A level is in the set when its probability is ``set_threshold`` or more.
    """

    level_scale: float = Field(gt=0)
    level_cuts: tuple[float, float, float, float]
    critical: tuple[float, float]
    hospitalisation: tuple[float, float]
    set_threshold: float = Field(gt=0, lt=1)
    coverage: float = 0.9
    phrase_similarity: float = Field(ge=0, le=1)


class GroupWarning(_Part):
    """A group of patients for whom an outcome is told apart less well than for all, by more than 0.05 of the AUC."""

    dimension: Literal["age", "sex", "arrival", "region", "complaint"]
    group: str
    outcome: Literal["critical", "hospitalisation"]
    auc: float
    whole: float
    visits: int


class Manifest(_Part):
    """Identity of the model. It is served only while its digests are those of the files that are loaded."""

    name: str
    version: str
    encoder: str
    encoder_digest: Digest
    adapter_digest: Digest
    digest: Digest
    features: tuple[str, ...]
    edges: tuple[tuple[float, ...], ...]
    calibration: Calibration
    warnings: tuple[GroupWarning, ...] = ()
    groups: tuple[str, ...] = ()
    trained_on: TrainingData
    recipe: dict[str, int | float]
    metrics: dict[str, Any] = Field(default_factory=dict)
    licence: Literal["Apache-2.0"] = "Apache-2.0"

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the manifest of a folder; raise ``OSError`` or ``pydantic.ValidationError``."""
        return cls.model_validate_json((folder / MANIFEST).read_bytes())

    def write(self, folder: Path) -> None:
        """Write the manifest into a folder."""
        (folder / MANIFEST).write_text(self.model_dump_json(indent=1) + "\n")

    def own_digest(self) -> str:
        """Return the digest of everything that decides an answer: the files and what this manifest says of them."""
        decisive = self.model_dump_json(include={"features", "edges", "calibration", "warnings", "groups"})
        return digest_of(f"{self.adapter_digest} {self.encoder_digest} {decisive}".encode())


def digest_of(data: bytes) -> str:
    """Return the digest of ``data``."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def files_digest(folder: Path, names: Sequence[str] = FILES) -> str:
    """Return one digest over the names and contents of several files of a folder."""
    lines = []
    for name in sorted(names):
        with (folder / name).open("rb") as file:
            lines.append(f"{name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n")
    return digest_of("".join(lines).encode())
