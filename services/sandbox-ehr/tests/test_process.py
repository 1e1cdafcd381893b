"""The process itself: it starts, tells when it serves, stops cleanly, and remembers what it must."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sandbox_ehr.auth.clients import Clients
from sandbox_ehr.auth.errors import OAuthError
from sandbox_ehr.auth.scopes import grant
from sandbox_ehr.auth.seen_assertions import SeenAssertions

PACKAGE = Path(__file__).parents[1]
DEVELOPMENT_CLIENTS = PACKAGE / "src" / "sandbox_ehr" / "development_clients.json"


def environment(state: Path, clients: Path, port: int) -> dict[str, str]:
    ours = {
        "STATE_DIR": str(state),
        "CLIENTS_FILE": str(clients),
        "PORT": str(port),
        "BASE_URL": f"http://localhost:{port}",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PRECEPTOR_")}
    return kept | {f"PRECEPTOR_SANDBOX_EHR_{name}": value for name, value in ours.items()}


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def running(variables: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """The process, once it serves."""
    command = [sys.executable, "-m", "sandbox_ehr"]
    with subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True) as process:
        try:
            address = f"{variables['PRECEPTOR_SANDBOX_EHR_BASE_URL']}/healthz"
            until = time.monotonic() + 60
            while True:
                assert process.poll() is None and time.monotonic() < until, process.communicate()[1]
                try:
                    httpx.get(address).raise_for_status()
                    break
                except httpx.TransportError:
                    time.sleep(0.05)
            yield process
        finally:
            process.kill()


def _form(ehr: Any, assertion: str) -> dict[str, str]:
    return {
        "grant_type": "client_credentials",
        "scope": "system/Patient.rs",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion,
    }


def test_it_serves_stops_cleanly_and_remembers(ehr: Any, clients_file: Path, tmp_path: Path) -> None:
    port = unused_port()
    variables = environment(tmp_path / "state", clients_file, port)
    base_url = variables["PRECEPTOR_SANDBOX_EHR_BASE_URL"]
    assertion = ehr.assertion("backend", aud=f"{base_url}/auth/token")
    with running(variables) as process:
        given = httpx.post(f"{base_url}/auth/token", data=_form(ehr, assertion)).json()
        headers = {"Authorization": f"Bearer {given['access_token']}"}
        assert httpx.get(f"{base_url}/fhir/Patient", headers=headers).json()["total"] == 12
        with httpx.Client(base_url=base_url, follow_redirects=True) as browser:
            browser.get("/").raise_for_status()
            form = {"csrf": browser.cookies["sandbox_ehr_csrf"]}
            browser.post("/stays/enc-ac4dcc33953d/discharge", data=form).raise_for_status()
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=20)
        assert process.returncode == 0, log
    events = [json.loads(line)["event"] for line in log.splitlines()]
    assert events == ["patients.loaded", "service.started", "service.stopped"]

    with running(variables) as process:
        replayed = httpx.post(f"{base_url}/auth/token", data=_form(ehr, assertion))
        assert (replayed.status_code, replayed.json()["error_description"]) == (401, "jti was used before")
        assert httpx.get(f"{base_url}/fhir/Patient", headers=headers).status_code == 401
        with httpx.Client(base_url=base_url) as browser:
            assert "Discharged" in browser.get("/stays/enc-ac4dcc33953d").text
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=20)
        assert process.returncode == 0, log
    assert "patients.loaded" not in log


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"STATE_DIR": None}, "PRECEPTOR_SANDBOX_EHR_STATE_DIR: Field required"),
        ({"CLIENTS_FILE": None}, "PRECEPTOR_SANDBOX_EHR_CLIENTS_FILE: Field required"),
        ({"CLIENTS_FILE": "/nowhere/clients.json"}, "No such file"),
        ({"BASE_URL": "http://localhost:8100/ehr"}, "must be scheme://host[:port] without a path"),
        ({"PORT": "busy"}, "cannot listen on 127.0.0.1:"),
    ],
)
def test_a_start_that_cannot_work_says_what_to_change(
    tmp_path: Path, clients_file: Path, changes: dict[str, str | None], words: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        variables = environment(tmp_path, clients_file, unused_port())
        for name, value in changes.items():
            value = str(busy.getsockname()[1]) if value == "busy" else value
            variables.pop(f"PRECEPTOR_SANDBOX_EHR_{name}")
            if value is not None:
                variables[f"PRECEPTOR_SANDBOX_EHR_{name}"] = value
        command = [sys.executable, "-m", "sandbox_ehr"]
        ended = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_seen_assertion_is_forgotten_when_it_would_have_expired(tmp_path: Path) -> None:
    now = [1000.0]
    seen = SeenAssertions(tmp_path / "seen.sqlite3", clock=lambda: now[0])
    seen.remember("client", "jti", 1300)
    with pytest.raises(OAuthError):
        seen.remember("client", "jti", 1300)
    now[0] = 1301
    seen.remember("client", "jti", 1600)
    seen.close()


def test_the_suites_clients_may_have_what_the_readme_tells_them_to_ask_for() -> None:
    registered = Clients.read(DEVELOPMENT_CLIENTS)
    readme = (PACKAGE / "README.md").read_text()
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", readme, re.DOTALL)]
    (entry,) = next(block for block in blocks if isinstance(block, list))
    for kind in ("backend", "launch"):
        client = registered.get(entry[f"{kind}_client_id"])
        assert client is not None
        asked = entry[f"{kind}_scopes"].split()
        assert grant(asked, client.scope.split()) == asked
    subscription = next(block for block in blocks if isinstance(block, dict))
    assert subscription["criteria"] == entry["encounter_topic"]
    filters = [e["valueString"] for e in subscription["_criteria"]["extension"]]
    assert filters == entry["encounter_filters"]
