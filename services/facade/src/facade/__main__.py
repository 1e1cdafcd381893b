"""Runs the facade: ``python -m facade``."""

import signal
import socket
import sys

import uvicorn
from pydantic import ValidationError
from pydantic_settings import BaseSettings
from service_runtime.log import configure_logging
from service_runtime.settings import VaultSettings
from service_runtime.vault_store import connect_secret_store

from facade.app import build_app
from facade.container import build_container
from facade.settings import FacadeSettings

__all__ = ["main"]

_SWITCH_S = 0.0005


def main() -> int:
    """Serve until SIGTERM or SIGINT; return the exit status."""
    configure_logging("facade")
    # Every database call comes back from a thread. While the event loop is busy, with a flood of refusals for example,
    # such a thread waits this long for its turn (the default is 5 ms), a dozen times for one page.
    sys.setswitchinterval(_SWITCH_S)
    try:
        settings, vault = FacadeSettings(), VaultSettings()
    except ValidationError as error:
        sys.stderr.write(f"{_settings_wrong(error)}\n")
        return 2
    try:
        container = build_container(settings, connect_secret_store(vault))
    except (ValueError, OSError) as error:
        sys.stderr.write(f"The facade cannot start: {error}\n")
        return 2
    try:
        listening = socket.create_server((settings.host, settings.port), backlog=512)
    except OSError as error:
        sys.stderr.write(f"The facade cannot listen on {settings.host}:{settings.port}: {error.strerror}.\n")
        return 2
    config = uvicorn.Config(
        build_app(container),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=settings.stop_timeout_s,
    )
    # The server raises the signal again once it has stopped; with the default action that would be a failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server = uvicorn.Server(config)
    server.run(sockets=[listening])
    return 0 if server.started else 1


def _settings_wrong(error: ValidationError) -> str:
    prefixes: dict[str, type[BaseSettings]] = {one.__name__: one for one in (FacadeSettings, VaultSettings)}
    prefix = prefixes[error.title].model_config.get("env_prefix", "")
    lines = (f"{prefix}{'_'.join(map(str, one['loc']))}".upper() + f": {one['msg']}" for one in error.errors())
    return "\n".join(sorted(lines))


if __name__ == "__main__":
    sys.exit(main())
