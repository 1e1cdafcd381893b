"""Settings of the triage service, from the environment only."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from service_contracts.triage import Posture

__all__ = ["TriageSettings"]


class TriageSettings(BaseSettings):
    """Environment variables ``PRECEPTOR_TRIAGE_*``.

    ``encoder_dir`` is the shared sentence encoder (made by ``preceptor prepare``); ``model_dir`` defaults to the model
    the package ships. ``posture`` decides whether there is a score at all: without a decision of the site there is
    none. ``region`` is the site's census region, for warnings about how the model measured there.
    """

    model_config = SettingsConfigDict(
        env_prefix="PRECEPTOR_TRIAGE_", extra="forbid", frozen=True, protected_namespaces=()
    )

    encoder_dir: Path
    model_dir: Path = Path(__file__).parent / "models" / "esi"
    posture: Posture = Posture.NON_DEVICE
    region: Literal["northeast", "midwest", "south", "west"] | None = None
    answer_reserve_ms: int = Field(default=20, ge=0)
    max_budget_ms: int = Field(default=5_000, gt=0)
    max_body_bytes: int = Field(default=65_536, gt=0)
    max_ongoing_requests: int = Field(default=32, gt=0)
    max_queued_requests: int = Field(default=64, gt=0)
    num_cpus: float = Field(default=0.5, gt=0)
    replicas: int = Field(default=1, gt=0)
