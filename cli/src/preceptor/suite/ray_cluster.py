"""The Ray head of this machine, on loopback, and the REST interface by which Serve applications are declared."""

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from preceptor.private_files import write_private
from preceptor.suite.settings import SuiteSettings

__all__ = [
    "ApplicationFailed",
    "ServeApi",
    "forget_ray_token",
    "head_command",
    "new_ray_environment",
    "ray_folder",
]

_RAY_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
    "RAY_SERVE_ENABLE_TASK_EVENTS": "0",
    # Workers started ahead of need have not the environment of our applications and would sit idle.
    "RAY_prestart_worker_first_driver": "0",
    "RAY_enable_worker_prestart": "0",
}
# Ray replaces 127.0.0.1 by an address of the network, which a laptop may lose; Linux has all of 127/8 on loopback.
_NODE_ADDRESS = "127.0.0.2" if sys.platform == "linux" else "127.0.0.1"
_OBJECT_STORE_BYTES = 128 * 2**20
_TIMEOUT_S = 120.0
"""Ray answers a first config only after it has started Serve's controller, which a busy machine does slowly."""


class ApplicationFailed(Exception):
    """A Serve application did not come up; the text is Serve's own."""


def ray_folder(settings: SuiteSettings) -> Path:
    """Where Ray keeps its sockets, logs and spilled objects while it runs."""
    return settings.sockets / "ray"


def head_command(settings: SuiteSettings) -> list[str]:
    """Return the command that runs a head node in the foreground."""
    options: dict[str, object] = {
        "--node-ip-address": _NODE_ADDRESS,
        "--port": settings.ray_port,
        "--include-dashboard": "true",
        "--dashboard-host": "127.0.0.1",
        "--dashboard-port": settings.ray_dashboard_port,
        "--ray-client-server-port": settings.ray_client_port,
        # 0 lets Ray choose: this is only used inside.
        "--dashboard-agent-listen-port": 0,
        "--num-cpus": 4,
        "--object-store-memory": _OBJECT_STORE_BYTES,
        "--temp-dir": ray_folder(settings),
        "--include-log-monitor": "false",
    }
    flags = [str(part) for pair in options.items() for part in pair]
    return [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--disable-usage-stats", *flags]


def new_ray_environment(settings: SuiteSettings) -> dict[str, str]:
    """Make a new token and return the environment of the head node.

    Whoever reaches Ray's ports can run code in the cluster, so Ray is told to ask for a token. It reads it from a
    file of the private folder that is new at each start; without this it would leave one in the home folder.
    """
    write_private(_token_file(settings), secrets.token_hex(32).encode())
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(_token_file(settings))}
    return _RAY_ENVIRONMENT | token | _haproxy_environment(settings)


def forget_ray_token(settings: SuiteSettings) -> None:
    """Remove the token of a head node that has stopped."""
    _token_file(settings).unlink(missing_ok=True)


def _haproxy_environment(settings: SuiteSettings) -> dict[str, str]:
    """HAProxy in the place of Serve's own proxy: it hands each request straight to the replica.

    Its sockets lie below a folder with the node's long name, so their own names are short.
    """
    return {
        "RAY_SERVE_ENABLE_HA_PROXY": "1" if sys.platform == "linux" else "0",
        "RAY_SERVE_HAPROXY_NBTHREAD": "1",
        # Each takes two file descriptors, of which some machines give no more than 4,096.
        "RAY_SERVE_HAPROXY_MAXCONN": "512",
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(settings.haproxy_metrics_port),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(settings.haproxy_stats_port),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(settings.sockets / "admin"),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(settings.sockets / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(settings.sockets),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(settings.sockets / "servers"),
        # One line per request is what our own log already has: these go to the port that throws away.
        "RAY_SERVE_HAPROXY_LOG_TARGET": "127.0.0.1:9",
        # There is one proxy and it is told at once, so a replica that is taken away need not wait for others.
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
    }


def _token_file(settings: SuiteSettings) -> Path:
    return settings.sockets / "ray-token"


class ServeApi:
    """Ray Serve's REST interface, as KubeRay uses it."""

    def __init__(self, settings: SuiteSettings) -> None:
        self._headers = {"Authorization": f"Bearer {_token_file(settings).read_text()}"}
        self._url = f"http://127.0.0.1:{settings.ray_dashboard_port}/api/serve/applications/"

    def answers(self) -> bool:
        """Whether the interface is up."""
        with self._client() as http:
            try:
                return http.get(self._url).status_code == 200
            except httpx.TransportError:
                return False

    def declare(self, config: dict[str, Any]) -> None:
        """Ask for exactly this config; raise ``ApplicationFailed`` when it is refused as such."""
        with self._client() as http:
            try:
                response = http.put(self._url, json=config)
            except httpx.TransportError as error:
                raise ApplicationFailed(f"Ray Serve did not take the config ({type(error).__name__}).") from None
        if response.status_code != 200:
            raise ApplicationFailed(f"Ray Serve refused the config ({response.status_code}): {response.text[:500]}")

    def statuses(self) -> dict[str, str]:
        """Return the status of each application; raise ``ApplicationFailed`` when one has failed to deploy."""
        with self._client() as http:
            try:
                applications = http.get(self._url).raise_for_status().json()["applications"]
            except httpx.TransportError:
                return {}  # a busy machine: whoever asks asks again until their own time is up
        for name, application in applications.items():
            if application["status"] == "DEPLOY_FAILED":
                raise ApplicationFailed(f"{name} failed to deploy: {_last_line(application.get('message', ''))}")
        return {name: str(application["status"]) for name, application in applications.items()}

    @contextmanager
    def _client(self) -> Iterator[httpx.Client]:
        with httpx.Client(timeout=_TIMEOUT_S, trust_env=False, headers=self._headers) as http:
            yield http


def _last_line(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"
