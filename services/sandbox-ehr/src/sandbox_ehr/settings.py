"""Where the sandbox EHR listens, where it keeps its records and who may use it."""

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["SandboxEhrSettings"]


class SandboxEhrSettings(BaseSettings):
    """Environment variables ``PRECEPTOR_SANDBOX_EHR_*``.

    ``base_url`` is how browsers and clients reach this process; the FHIR base is ``{base_url}/fhir`` and clients
    must send exactly that as ``aud``. ``clients_file`` is described in ``sandbox_ehr.auth.clients``. Access tokens
    live for at most an hour (SMART App Launch 2.2) and those of Backend Services for five minutes. Between the
    attempts of ``subscription_attempts`` are 1, 2, 4 and then 5 s each: with 12 a receiver may be away for 45 s.
    """

    model_config = SettingsConfigDict(env_prefix="PRECEPTOR_SANDBOX_EHR_", extra="forbid", frozen=True)

    state_dir: Path
    clients_file: Path
    host: str = "127.0.0.1"
    port: int = Field(default=8100, ge=1, le=65535)
    base_url: str = "http://localhost:8100"
    access_token_ttl_s: int = Field(default=3600, gt=0, le=3600)
    backend_token_ttl_s: int = Field(default=300, gt=0, le=300)
    refresh_token_ttl_s: int = Field(default=86_400, gt=0)
    code_ttl_s: int = Field(default=60, gt=0, le=600)
    launch_ttl_s: int = Field(default=300, gt=0)
    jwks_timeout_s: float = Field(default=5.0, gt=0)
    subscription_attempts: int = Field(default=12, ge=1)
    max_body_bytes: int = Field(default=2_097_152, gt=0)
    stop_timeout_s: int = Field(default=5, ge=1)

    @model_validator(mode="after")
    def _base_url_is_an_origin(self) -> Self:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query:
            raise ValueError("PRECEPTOR_SANDBOX_EHR_BASE_URL must be scheme://host[:port] without a path")
        return self

    @property
    def fhir_base(self) -> str:
        """The FHIR base URL, which is also the issuer of tokens and their audience."""
        return f"{self.base_url}/fhir"
