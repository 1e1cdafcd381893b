"""Settings of the adapter-serving service, from the environment only."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["AdapterServingSettings"]


class AdapterServingSettings(BaseSettings):
    """Environment variables ``PRECEPTOR_ADAPTER_SERVING_*``.

    ``model_dir`` is the converted base model (made by ``python -m adapter_serving.prepare``); ``adapters_dir`` and
    ``templates_dir`` default to what the package ships. ``weights`` is the number format in memory: float32 is the
    faster one for wide passes on CPUs without AMX, bfloat16 needs half the memory.
    """

    model_config = SettingsConfigDict(
        env_prefix="PRECEPTOR_ADAPTER_SERVING_", extra="forbid", frozen=True, protected_namespaces=()
    )

    model_dir: Path
    adapters_dir: Path = Path(__file__).parent / "adapters"
    templates_dir: Path = Path(__file__).parent / "templates"
    torch_threads: int = Field(default=1, gt=0)
    weights: Literal["float32", "bfloat16"] = "float32"
    max_prompt_tokens: int = Field(default=192, gt=0)
    max_sentence_tokens: int = Field(default=64, gt=0)
    first_pass_tokens: int = Field(default=160, gt=0)
    pass_tokens: int = Field(default=400, gt=0)
    max_items: int = Field(default=200, gt=0)
    answer_reserve_ms: int = Field(default=30, ge=0)
    max_budget_ms: int = Field(default=60_000, gt=0)
    max_body_bytes: int = Field(default=1_048_576, gt=0)
    max_ongoing_requests: int = Field(default=8, gt=0)
    max_queued_requests: int = Field(default=32, gt=0)
    num_cpus: float = Field(default=0.5, gt=0)
    replicas: int = Field(default=1, gt=0)
