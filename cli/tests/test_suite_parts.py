"""What keeps a start from going wrong: preflight, lock, leftovers, child processes, and what is handed to them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from preceptor.suite.environments import APPLICATIONS, MARK, process_environment, service_environment
from preceptor.suite.errors import AlreadyRunning, PreflightFailed
from preceptor.suite.leftovers import find_leftovers, stop_processes
from preceptor.suite.preflight import check_machine
from preceptor.suite.processes import ChildProcess
from preceptor.suite.registrations import write_clients, write_ehrs
from preceptor.suite.run_lock import announce, current_run, only_one
from preceptor.suite.serve_config import serve_config
from preceptor.suite.settings import SuiteSettings


@pytest.fixture
def settings(tmp_path: Path) -> SuiteSettings:
    names = [name for name in SuiteSettings.model_fields if name.endswith("_port")]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    return SuiteSettings(
        folder=tmp_path,
        memory_needed_bytes=0,
        **ports,
    )


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def sleeper(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env=environment)


@pytest.fixture
def listening(settings: SuiteSettings) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", settings.facade_port)):
        yield settings.facade_port


def test_a_machine_that_has_everything_passes(settings: SuiteSettings) -> None:
    check_machine(settings)


def test_a_port_in_use_is_named_with_its_holder_and_a_remedy(settings: SuiteSettings, listening: int) -> None:
    with pytest.raises(PreflightFailed) as refused:
        check_machine(settings)
    assert f"Port {listening} is in use by" in str(refused.value)
    assert f"(process {os.getpid()})" in str(refused.value)
    assert "PRECEPTOR_SUITE_FACADE_PORT" in str(refused.value)


def test_too_little_memory_is_said_with_every_other_lack(settings: SuiteSettings, listening: int) -> None:
    with pytest.raises(PreflightFailed) as refused:
        check_machine(settings.model_copy(update={"memory_needed_bytes": 2**60}))
    sentences = str(refused.value).splitlines()
    assert len(sentences) == 2
    assert "of memory is free" in sentences[1]


def test_a_second_supervisor_is_refused_and_told_of_the_first(settings: SuiteSettings) -> None:
    with only_one(settings):
        announce(settings, ready=True)
        run = current_run(settings)
        assert run is not None
        assert (run.pid, run.ready) == (os.getpid(), True)
        with pytest.raises(AlreadyRunning, match=str(os.getpid())), only_one(settings):
            pass
    assert current_run(settings) is None


def test_what_a_killed_supervisor_left_is_no_run(settings: SuiteSettings) -> None:
    program = (
        "import os, signal\nfrom preceptor.suite.run_lock import only_one\n"
        "from preceptor.suite.settings import SuiteSettings\n"
        "with only_one(SuiteSettings()): os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = os.environ | {"PRECEPTOR_SUITE_FOLDER": str(settings.folder)}
    assert subprocess.run([sys.executable, "-c", program], env=environment).returncode == -signal.SIGKILL
    assert (settings.state / "run.json").exists()
    assert current_run(settings) is None
    with only_one(settings):
        pass


def test_leftovers_are_told_from_other_processes_and_stopped(settings: SuiteSettings) -> None:
    ours = sleeper(process_environment(settings, {}))
    other_suite = sleeper(os.environ | {MARK: "/another/state"})
    try:
        assert [one.pid for one in find_leftovers(settings.state)] == [ours.pid]
        stop_processes(find_leftovers(settings.state))
        assert find_leftovers(settings.state) == []
        assert other_suite.poll() is None
    finally:
        for one in (ours, other_suite):
            one.kill()
            one.wait()


def test_a_child_that_ignores_the_request_is_ended_with_its_own_children(tmp_path: Path) -> None:
    program = (
        "import signal, subprocess, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    child = ChildProcess("stubborn", [sys.executable, "-c", program], os.environ, tmp_path / "stubborn.log")
    deadline = time.monotonic() + 10
    while not child.log.read_text().strip():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    grandchild = int(child.log.read_text())
    child.stop(0.2)
    assert child.exit_status() == -signal.SIGKILL
    time.sleep(0.2)
    stat = Path(f"/proc/{grandchild}/stat")
    assert not stat.exists() or stat.read_text().split()[2] == "Z"


def test_a_log_is_private_and_the_one_before_is_kept(tmp_path: Path) -> None:
    for word in ("first", "second"):
        child = ChildProcess("one", [sys.executable, "-c", f"print('{word}')"], os.environ, tmp_path / "one.log")
        child.popen.wait()
    assert child.last_words() == "second"
    assert (tmp_path / "one.previous.log").read_text() == "first\n"
    assert child.log.stat().st_mode & 0o777 == 0o600


def test_a_process_takes_over_no_variable_it_does_not_need(
    settings: SuiteSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the person")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    environment = process_environment(settings, service_environment(settings, "facade"))
    assert "of the person" not in environment.values()
    assert "HTTPS_PROXY" not in environment


def test_a_setting_made_outside_has_the_last_word(settings: SuiteSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRECEPTOR_FACADE_DATABASE_URL", "postgresql+asyncpg://db/preceptor")
    monkeypatch.setenv("PRECEPTOR_RETRIEVAL_REFRESH_EVERY_S", "9")
    environment = service_environment(settings, "facade")
    assert environment["PRECEPTOR_FACADE_DATABASE_URL"] == "postgresql+asyncpg://db/preceptor"
    assert "PRECEPTOR_RETRIEVAL_REFRESH_EVERY_S" not in environment


def test_the_serve_config_gives_each_application_its_own_role(settings: SuiteSettings) -> None:
    config = serve_config(settings)
    assert [one["name"] for one in config["applications"]] == list(APPLICATIONS)
    assert config["http_options"] == {"host": "127.0.0.1", "port": settings.serve_port}
    for one in config["applications"]:
        variables = one["runtime_env"]["env_vars"]
        assert variables["PRECEPTOR_VAULT_ROLE"] == one["name"]
        assert one["route_prefix"] == f"/{one['name']}"
        assert one["import_path"] == f"{one['name'].replace('-', '_')}.deployment:app"
        assert all(isinstance(value, str) for value in variables.values())
    json.dumps(config)


def test_clients_and_ehrs_follow_the_ports_and_are_what_both_sides_read(settings: SuiteSettings) -> None:
    from facade.ehr.registry import EhrRegistry
    from sandbox_ehr.auth.clients import Clients

    settings.state.mkdir()
    write_clients(settings, {"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA", "kid": "preceptor-cli"})
    write_ehrs(settings)
    clients = Clients.read(settings.state / "sandbox-ehr-clients.json")
    ehr = EhrRegistry.from_file(settings.state / "facade-ehrs.json").get("sandbox")
    backend, launched = clients.get(ehr.backend_client_id), clients.get(ehr.launch_client_id)
    assert backend is not None
    assert launched is not None
    assert set(ehr.backend_scopes.split()) <= set(backend.scope.split())
    assert set(ehr.launch_scopes.split()) <= set(launched.scope.split()) | {
        "patient/Patient.rs",
        "patient/Encounter.rs",
    }
    assert launched.launch_url == f"{settings.facade_url}/smart/launch"
    assert ehr.issuer == f"{settings.ehr_url}/fhir"


def test_an_ehr_that_was_registered_stays_when_the_suite_starts_again(settings: SuiteSettings) -> None:
    settings.state.mkdir()
    write_ehrs(settings)
    file = settings.state / "facade-ehrs.json"
    (sandbox,) = json.loads(file.read_text())
    other = {**sandbox, "id": "main", "issuer": "https://ehr.example.org/fhir"}
    file.write_text(json.dumps([{**sandbox, "name": "an old entry"}, other]))
    write_ehrs(settings)
    assert json.loads(file.read_text()) == [sandbox, other]


def test_sockets_go_elsewhere_when_the_folder_has_a_long_path(settings: SuiteSettings, tmp_path: Path) -> None:
    far = settings.model_copy(update={"folder": tmp_path / ("deep" * 20)})
    assert len(str(far.agent_socket)) < 100
    assert far.agent_socket != settings.agent_socket
    with TemporaryDirectory(prefix="p") as short:
        assert settings.model_copy(update={"folder": Path(short)}).agent_socket.is_relative_to(Path(short).resolve())
