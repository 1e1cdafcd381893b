"""How a service finds its secret store; every service adds a settings class of its own."""

from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["VaultSettings"]


class VaultSettings(BaseSettings):
    """Environment variables ``PRECEPTOR_VAULT_*``.

    ``login`` says how the service proves who it is: ``agent`` asks a local agent socket for a single-use
    AppRole secret, ``kubernetes`` sends the pod's projected service-account token.
    """

    model_config = SettingsConfigDict(env_prefix="PRECEPTOR_VAULT_", extra="forbid", frozen=True)

    address: str
    role: str
    login: Literal["agent", "kubernetes"]
    agent_socket: Path | None = None
    kubernetes_token_file: Path = Path("/var/run/secrets/preceptor/vault/token")
    ca_file: Path | None = None
    kv_mount: str = "secret"
    kv_prefix: str = "preceptor"
    transit_mount: str = "transit"
    connect_timeout_s: float = 1.0
    read_timeout_s: float = 2.0

    @model_validator(mode="after")
    def _agent_needs_a_socket(self) -> Self:
        if self.login == "agent" and self.agent_socket is None:
            raise ValueError("PRECEPTOR_VAULT_LOGIN=agent needs PRECEPTOR_VAULT_AGENT_SOCKET")
        return self
