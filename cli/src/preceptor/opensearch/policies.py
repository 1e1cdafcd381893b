"""Brings templates and settings of the policies into a cluster, and looks whether it holds them."""

import json
import time
from pathlib import Path
from typing import Any

import httpx

from preceptor.opensearch.errors import PoliciesRefused

__all__ = ["apply_policies", "query_text_leaks"]

_INSIGHTS = "search.insights."
_PATIENCE_S = 60.0


def apply_policies(client: httpx.Client, policies: Path) -> None:
    """Put index templates and cluster settings in place, as an administrator; raise ``PoliciesRefused``.

    A setting of a plugin that the cluster does not have is left out: there is nothing to switch off.
    """
    for template in sorted((policies / "templates").glob("*.json")):
        _put(client, f"/_index_template/preceptor-{template.stem}", json.loads(template.read_text()), template.name)
    known = _known_settings(client)
    wanted = json.loads((policies / "cluster_settings.json").read_text())
    settings = {name: value for name, value in wanted.items() if name in known}
    missing = [name for name in wanted if name not in known and not name.startswith(_INSIGHTS)]
    if missing:
        raise PoliciesRefused(f"the cluster does not know {', '.join(missing)}")
    _put(client, "/_cluster/settings", {"persistent": settings}, "cluster_settings.json")
    if leaks := query_text_leaks(client):
        raise PoliciesRefused(f"the cluster would keep the text of queries: {', '.join(leaks)}")


def query_text_leaks(client: httpx.Client) -> list[str]:
    """Return the settings by which the cluster would write what is searched for; a query is about a patient."""
    leaks = []
    for name, value in _known_settings(client).items():
        if name.startswith(f"{_INSIGHTS}top_queries.") and name.endswith(".enabled") and value != "false":
            leaks.append(name)
    for index, found in client.get("/preceptor-*/_settings", params={"flat_settings": "true"}).json().items():
        settings: dict[str, Any] = found["settings"]
        leaks += [
            f"{index}: {name}"
            for name, value in settings.items()
            if ".slowlog.threshold." in name and not str(value).startswith("-1")
        ]
    return leaks


def _known_settings(client: httpx.Client) -> dict[str, Any]:
    answer = client.get("/_cluster/settings", params={"include_defaults": "true", "flat_settings": "true"})
    groups = _accepted(answer, "settings").json()
    return {**groups["defaults"], **groups["persistent"], **groups["transient"]}


def _put(client: httpx.Client, path: str, body: dict[str, Any], what: str) -> None:
    """Put something in place; a busy node that says it is ready may still refuse with errors of its own for a while."""
    deadline = time.monotonic() + _PATIENCE_S
    while (answer := client.put(path, json=body)).is_server_error and time.monotonic() < deadline:
        time.sleep(0.5)
    _accepted(answer, what)


def _accepted(answer: httpx.Response, what: str) -> httpx.Response:
    if answer.is_error:
        raise PoliciesRefused(f"the cluster refuses {what} with status {answer.status_code}: {answer.text[:500]}")
    return answer
