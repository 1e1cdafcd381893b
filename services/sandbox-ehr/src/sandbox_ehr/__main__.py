"""Runs the sandbox EHR: ``python -m sandbox_ehr``."""

import signal
import socket
import sys
import time

import uvicorn
from pydantic import ValidationError
from service_runtime.log import LogCode, configure_logging, log

from sandbox_ehr.app import build_app
from sandbox_ehr.container import Container
from sandbox_ehr.settings import SandboxEhrSettings

__all__ = ["main"]


def main() -> int:
    """Serve until SIGTERM or SIGINT; return the exit status."""
    started = time.monotonic()
    configure_logging("sandbox-ehr")
    try:
        settings = SandboxEhrSettings()
    except ValidationError as error:
        sys.stderr.write(f"{_settings_wrong(error)}\n")
        return 2
    try:
        listening = socket.create_server((settings.host, settings.port), backlog=256)
    except OSError as error:
        sys.stderr.write(f"The sandbox EHR cannot listen on {settings.host}:{settings.port}: {error.strerror}.\n")
        return 2
    try:
        container = Container.build(settings)
    except (ValidationError, OSError) as error:
        sys.stderr.write(f"The sandbox EHR cannot start: {error}\n")
        return 2
    config = uvicorn.Config(
        build_app(container),
        log_config=None,
        access_log=False,
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=settings.stop_timeout_s,
    )
    # The server raises the signal again once it has stopped; with the default action that would be a failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    log(LogCode.SERVICE_STARTED, elapsed_ms=round((time.monotonic() - started) * 1000))
    uvicorn.Server(config).run(sockets=[listening])
    log(LogCode.SERVICE_STOPPED)
    return 0


def _settings_wrong(error: ValidationError) -> str:
    prefix = SandboxEhrSettings.model_config.get("env_prefix", "")
    names = {f"{prefix}{'_'.join(map(str, one['loc']))}".upper(): one["msg"] for one in error.errors()}
    return "\n".join(f"{name}: {message}" for name, message in sorted(names.items()))


if __name__ == "__main__":
    sys.exit(main())
