"""The manifest that lies beside an adapter's weights: what it was made of, and how it measured."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ADAPTER_FILES", "MANIFEST", "Manifest", "Rate", "TrainingData"]

MANIFEST = "manifest.json"
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
_DIGEST = r"^sha256:[0-9a-f]{64}$"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rate(_Part):
    """A share of ``of`` cases, with its 95 % Wilson interval."""

    value: float
    low: float
    high: float
    of: int


class TrainingData(_Part):
    """The synthetic stays an adapter was trained on; ``digest`` is over all prompts and sentences."""

    generator: str
    seed: int
    stays: int
    examples: int
    digest: str = Field(pattern=_DIGEST)


class Manifest(_Part):
    """Identity of an adapter. It is served only while both digests are those of the files that are loaded."""

    adapter: str
    version: str
    task: str
    base: str
    base_digest: str = Field(pattern=_DIGEST)
    adapter_digest: str = Field(pattern=_DIGEST)
    template: str
    template_version: str
    trained_on: TrainingData
    recipe: dict[str, int | float]
    held_out_seed: int | None = None
    held_out_stays: int | None = None
    metrics: dict[str, Rate | float] = Field(default_factory=dict)
    licence: Literal["Apache-2.0"] = "Apache-2.0"

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the manifest of an adapter's folder; raise ``OSError`` or ``pydantic.ValidationError``."""
        return cls.model_validate_json((folder / MANIFEST).read_bytes())

    def write(self, folder: Path) -> None:
        """Write the manifest into an adapter's folder."""
        (folder / MANIFEST).write_text(self.model_dump_json(indent=2) + "\n")
