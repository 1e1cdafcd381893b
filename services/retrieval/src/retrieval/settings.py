"""Settings of the retrieval service, from the environment only."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["RetrievalSettings"]


class RetrievalSettings(BaseSettings):
    """Environment variables ``PRECEPTOR_RETRIEVAL_*``.

    ``index_dir`` holds the encrypted index and its wrapped key. ``encoder_dir`` holds the sentence encoder and
    ``fetched_dir`` the interaction thesaurus that ``preceptor ingest prepare`` fetches (beside the encoder when not
    set); without an encoder passages are found by their words alone. ``reranker_dir`` holds a cross-encoder that
    ``preceptor ingest train-reranker`` made; with one the best passages are read again where the time allows.

    ``engine`` is ``embedded`` or ``opensearch``. OpenSearch is reached at ``opensearch_url`` with a client certificate;
    ``opensearch_tenant`` tells the indices of several owners in one cluster apart.

    ``patient_texts`` lets texts about patients be kept, sealed, and searched; without it there are none.
    """

    model_config = SettingsConfigDict(env_prefix="PRECEPTOR_RETRIEVAL_", extra="forbid", frozen=True)

    index_dir: Path
    encoder_dir: Path | None = None
    fetched_dir: Path | None = None
    reranker_dir: Path | None = None
    engine: Literal["embedded", "opensearch"] = "embedded"
    opensearch_url: str | None = None
    opensearch_ca_file: Path | None = None
    opensearch_certificate_file: Path | None = None
    opensearch_key_file: Path | None = None
    opensearch_tenant: str = Field(default="main", pattern=r"^[a-z0-9][a-z0-9_]{0,62}$")
    patient_texts: bool = False
    refresh_every_s: float = Field(default=5.0, gt=0)
    max_budget_ms: int = Field(default=60_000, gt=0)
    max_body_bytes: int = Field(default=1_048_576, gt=0)

    @model_validator(mode="after")
    def _opensearch_is_complete(self) -> Self:
        if self.engine == "opensearch":
            names = ("opensearch_url", "opensearch_ca_file", "opensearch_certificate_file", "opensearch_key_file")
            missing = [name for name in names if getattr(self, name) is None]
            if missing:
                raise ValueError(f"the engine opensearch needs {', '.join(missing)}")
            if not str(self.opensearch_url).startswith("https://"):
                raise ValueError("opensearch_url must begin with https://")
        return self
