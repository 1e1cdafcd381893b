"""Where the suite on this machine keeps its files and on which ports it listens."""

import hashlib
import os
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from preceptor.openbao.server import OpenBaoServer

__all__ = ["CHECKOUT", "SuiteSettings"]

CHECKOUT = Path(__file__).resolve().parents[4]
_SOCKET_PATH_BYTES = 32
"""What the sockets' folder may have: Ray adds up to 75, and Linux allows a socket's path 107."""


class SuiteSettings(BaseSettings):
    """Environment variables ``PRECEPTOR_SUITE_*``.

    ``folder`` holds everything the suite writes: ``state`` (kept between runs), ``cache`` (models, can be made
    again) and ``logs``. ``cache_dir`` lets several suites share one cache.
    """

    model_config = SettingsConfigDict(env_prefix="PRECEPTOR_SUITE_", extra="forbid", frozen=True)

    folder: Path = CHECKOUT / ".preceptor"
    cache_dir: Path | None = None
    facade_port: int = Field(default=8000, ge=1, le=65535)
    sandbox_ehr_port: int = Field(default=8100, ge=1, le=65535)
    openbao_port: int = Field(default=8200, ge=1, le=65535)
    openbao_cluster_port: int = Field(default=8201, ge=1, le=65535)
    serve_port: int = Field(default=8300, ge=1, le=65535)
    ray_port: int = Field(default=8301, ge=1, le=65535)
    ray_dashboard_port: int = Field(default=8302, ge=1, le=65535)
    ray_client_port: int = Field(default=8303, ge=1, le=65535)
    haproxy_stats_port: int = Field(default=8304, ge=1, le=65535)
    haproxy_metrics_port: int = Field(default=8305, ge=1, le=65535)
    ready_timeout_s: float = Field(default=300.0, gt=0)
    memory_needed_bytes: int = Field(default=4 * 2**30, ge=0)

    @property
    def state(self) -> Path:
        """What is kept between runs; removing it begins anew."""
        return self.folder.resolve() / "state"

    @property
    def cache(self) -> Path:
        """What can be made again from installed packages."""
        return (self.cache_dir or self.folder / "cache").resolve()

    @property
    def logs(self) -> Path:
        """One file per process, and Ray's own folder."""
        return self.folder.resolve() / "logs"

    @property
    def sockets(self) -> Path:
        """A short, private folder for unix sockets and for Ray's temporary files."""
        inside = self.state / "run"
        if len(os.fsencode(inside)) <= _SOCKET_PATH_BYTES:
            return inside
        digest = hashlib.sha256(os.fsencode(self.state)).hexdigest()[:8]
        return Path("/tmp") / f"preceptor-{os.getuid()}-{digest}"  # noqa: S108  made private, and short where TMPDIR is not

    @property
    def agent_socket(self) -> Path:
        """Where services ask for their secret ids."""
        return self.sockets / "agent.sock"

    @property
    def openbao(self) -> OpenBaoServer:
        """The suite's OpenBao."""
        return OpenBaoServer(self.state / "openbao", self.sockets, self.openbao_port, self.openbao_cluster_port)

    @property
    def facade_url(self) -> str:
        """The facade as an EHR and a browser reach it."""
        return f"http://localhost:{self.facade_port}"

    @property
    def ehr_url(self) -> str:
        """The sandbox EHR's pages; FHIR is at ``/fhir`` below it."""
        return f"http://localhost:{self.sandbox_ehr_port}"

    @property
    def serve_url(self) -> str:
        """The proxy of Ray Serve; each application has a route prefix below it."""
        return f"http://127.0.0.1:{self.serve_port}"

    @property
    def ports(self) -> dict[str, int]:
        """Every port that must be free, by the name of its setting."""
        return {name: value for name, value in self if name.endswith("_port")}
