"""The environment of every process and Serve application of the local suite, in one place."""

import os
from collections.abc import Mapping

from preceptor.openbao.running import vault_environment
from preceptor.suite.settings import SuiteSettings

__all__ = ["APPLICATIONS", "MARK", "application_environment", "inherited", "process_environment", "service_environment"]

APPLICATIONS = ("adapter-serving", "retrieval", "reconciliation", "triage")
MARK = "PRECEPTOR_SUITE_MARK"
"""Carried by everything the suite starts, so that what a killed run left behind can be told from the rest."""

_INHERITED = frozenset({"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "TERM"})


def inherited() -> dict[str, str]:
    """Return what a process of ours takes over: enough to run, and no proxy, token or key of the person's own."""
    return {name: value for name, value in os.environ.items() if name in _INHERITED or name.startswith("LC_")}


def service_environment(settings: SuiteSettings, service: str) -> dict[str, str]:
    """Return the settings of one service; what is set outside for this service has the last word.

    Where a service keeps or finds files follows from the suite's folder, addresses from its ports.
    """
    prefix = f"PRECEPTOR_{service.upper().replace('-', '_')}_"
    set_outside = {name: value for name, value in os.environ.items() if name.startswith(prefix)}
    vault = {} if service == "sandbox-ehr" else vault_environment(settings.openbao, settings.agent_socket, service)
    return vault | {prefix + name: value for name, value in _settings(settings, service).items()} | set_outside


def process_environment(settings: SuiteSettings, own: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of a process with these settings."""
    # Colours and progress bars of libraries make log files unreadable.
    return inherited() | {MARK: str(settings.state), "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"} | dict(own)


def application_environment(settings: SuiteSettings, application: str) -> dict[str, str]:
    """Return the environment variables a Serve application gets by its runtime environment."""
    return service_environment(settings, application) | {
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_VERBOSITY": "error",
    }


def _settings(settings: SuiteSettings, service: str) -> dict[str, str]:
    match service:
        case "facade":
            return {
                "PUBLIC_BASE_URL": settings.facade_url,
                "DATABASE_URL": f"sqlite+aiosqlite:///{settings.state / 'facade' / 'facade.sqlite3'}",
                "EHRS_FILE": str(settings.state / "facade-ehrs.json"),
                "RECONCILIATION_URL": f"{settings.serve_url}/reconciliation",
                "RETRIEVAL_URL": f"{settings.serve_url}/retrieval",
                "TRIAGE_URL": f"{settings.serve_url}/triage",
                "PORT": str(settings.facade_port),
                "INSTANCE": "local",
            }
        case "sandbox-ehr":
            return {
                "STATE_DIR": str(settings.state / "sandbox-ehr"),
                "CLIENTS_FILE": str(settings.state / "sandbox-ehr-clients.json"),
                "PORT": str(settings.sandbox_ehr_port),
                "BASE_URL": settings.ehr_url,
            }
        case "retrieval":
            return {
                "INDEX_DIR": str(settings.state / "retrieval"),
                "ENCODER_DIR": str(settings.cache / "encoder"),
                "FETCHED_DIR": str(settings.cache / "interactions"),
            }
        case "triage":
            # The suite on this machine shows everything, to nobody's patients; a site decides for itself.
            return {"ENCODER_DIR": str(settings.cache / "encoder"), "POSTURE": "time-critical"}
        case "adapter-serving":
            return {"MODEL_DIR": str(settings.cache / "smollm2-135m-instruct")}
        case _:
            return {}
