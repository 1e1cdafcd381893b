"""The settings of the facade: environment variables only."""

import socket
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from service_contracts.tasks import task

from facade.ehr.origins import registered_url

__all__ = ["FacadeSettings"]


class FacadeSettings(BaseSettings):
    """Environment variables ``PRECEPTOR_FACADE_*``.

    ``instance`` names this process among replicas: what it had claimed is freed when it starts again under the
    same name. ``database_url`` is an async SQLAlchemy URL (``sqlite+aiosqlite:///...`` or
    ``postgresql+asyncpg://...``) and holds no password: PostgreSQL's is in the secret store at
    ``facade/database``. ``reconciliation_url``, ``retrieval_url`` and ``triage_url`` are the applications' route
    prefixes; without ``triage_url`` there is no triage. ``drafting_budget_ms`` is the deadline of one document, and
    what it cuts off is said in the document: a machine that drafts slowly may want more than the task's own.
    """

    model_config = SettingsConfigDict(env_prefix="PRECEPTOR_FACADE_", extra="forbid", frozen=True)

    public_base_url: Annotated[str, AfterValidator(registered_url)]
    database_url: str
    ehrs_file: Path
    reconciliation_url: str
    retrieval_url: str
    triage_url: str | None = None
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    instance: str = Field(default_factory=socket.gethostname)

    session_idle_s: int = 900
    session_absolute_s: int = 28_800

    notification_max_bytes: int = 262_144
    subscription_check_s: float = 60.0
    catch_up_overlap_s: float = 120.0
    workers: int = Field(default=2, ge=1, le=16)
    lease_s: float = 60.0
    poll_s: float = 1.0
    retry_base_s: float = 1.0
    retry_max_s: float = 30.0
    quarantine_after: int = Field(default=8, ge=1)

    ehr_timeout_s: float = 5.0
    ehr_connections: int = 20
    drafting_budget_ms: int = Field(default=task("discharge-instructions").budget_ms, ge=1_000, le=30_000)
    reconciliation_grace_ms: int = 1_500
    readiness_timeout_s: float = 2.0
    body_max_bytes: int = 1_048_576
    stop_timeout_s: int = Field(default=10, ge=1)
