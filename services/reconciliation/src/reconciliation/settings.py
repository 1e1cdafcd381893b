"""Settings of the reconciliation service, from the environment only."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["ReconciliationSettings"]


class ReconciliationSettings(BaseSettings):
    """Environment variables ``PRECEPTOR_RECONCILIATION_*``.

    ``drafting_app`` and ``retrieval_app`` are the names of the Ray Serve applications beside this one.
    """

    model_config = SettingsConfigDict(env_prefix="PRECEPTOR_RECONCILIATION_", extra="forbid", frozen=True)

    drafting_app: str = "adapter-serving"
    retrieval_app: str = "retrieval"
    answer_reserve_ms: int = Field(default=100, ge=0)
    draft_reserve_ms: int = Field(default=50, ge=0)
    evidence_timeout_ms: int = Field(default=2_000, gt=0)
    max_budget_ms: int = Field(default=60_000, gt=0)
    max_body_bytes: int = Field(default=1_048_576, gt=0)
