"""Settings of the retrieval service, from the environment only."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["RetrievalSettings"]


class RetrievalSettings(BaseSettings):
    """Environment variables ``PRECEPTOR_RETRIEVAL_*``.

    ``index_dir`` holds the encrypted index and its wrapped key. ``encoder_dir`` holds the sentence encoder and
    ``fetched_dir`` the interaction thesaurus that ``preceptor ingest prepare`` fetches (beside the encoder when not
    set); without an encoder passages are found by their words alone.
    """

    model_config = SettingsConfigDict(env_prefix="PRECEPTOR_RETRIEVAL_", extra="forbid", frozen=True)

    index_dir: Path
    encoder_dir: Path | None = None
    fetched_dir: Path | None = None
    refresh_every_s: float = Field(default=5.0, gt=0)
    max_budget_ms: int = Field(default=60_000, gt=0)
    max_body_bytes: int = Field(default=1_048_576, gt=0)
