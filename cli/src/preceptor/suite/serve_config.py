"""The declarative Ray Serve config of the suite: the same document KubeRay is given in a cluster."""

from collections.abc import Sequence
from typing import Any

from preceptor.suite.environments import APPLICATIONS, application_environment
from preceptor.suite.settings import SuiteSettings

__all__ = ["serve_config"]


def serve_config(settings: SuiteSettings, applications: Sequence[str] = APPLICATIONS) -> dict[str, Any]:
    """Return the config that makes exactly ``applications`` run; sending it removes every other one."""
    return {
        "proxy_location": "HeadOnly",
        "http_options": {"host": "127.0.0.1", "port": settings.serve_port},
        # Access lines hold paths only, but one line per request is what our own log already has.
        "logging_config": {"enable_access_log": False},
        "applications": [
            {
                "name": name,
                "route_prefix": f"/{name}",
                "import_path": f"{name.replace('-', '_')}.deployment:app",
                "runtime_env": {"env_vars": application_environment(settings, name)},
                "args": {},
            }
            for name in applications
        ],
    }
