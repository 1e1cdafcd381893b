"""After all that has been done above: no secret and no patient's name in any log, environment or command line."""

import contextlib
import json
from pathlib import Path

import psutil
import pytest
from preceptor.ehr_access import EhrAccess
from preceptor.suite.background import BackgroundSuite
from preceptor.suite.leftovers import find_leftovers
from service_runtime.log import LogCode
from service_runtime.service_auth import SERVICE_TOKEN_PATH

pytestmark = pytest.mark.suite


@pytest.fixture
async def secret_values(suite: BackgroundSuite) -> dict[str, bytes]:
    facade = suite.secrets("facade")
    values = {
        "services' token": (await facade.read(SERVICE_TOKEN_PATH))["token"],
        "subscription's token": (await facade.read("facade/subscriptions/sandbox"))["token"],
        "unseal key": suite.settings.openbao.unseal_key_file.read_text().strip(),
        "Ray's token": (suite.settings.sockets / "ray-token").read_text().strip(),
    }
    assert all(len(value) > 20 for value in values.values())
    return {name: value.encode() for name, value in values.items()}


@pytest.fixture
async def names(ehr: EhrAccess) -> dict[str, bytes]:
    found = {}
    for patient in await ehr.search("Patient", _count="1000"):
        for name in patient["name"]:
            found[patient["id"]] = f"{name['given'][0]} {name['family']}".encode()
    assert len(found) >= 12
    return found


def kept_in(content: bytes, values: dict[str, bytes]) -> list[str]:
    return [name for name, value in values.items() if value in content]


def kept_files(suite: BackgroundSuite) -> list[Path]:
    """Every file but the EHR's own: it holds its patients and the header of the Subscription it was given."""
    found = [path for folder in (suite.settings.state, suite.settings.sockets) for path in folder.rglob("*")]
    return sorted({path for path in found if path.is_file() and "sandbox-ehr" not in path.parts})


async def test_no_log_holds_a_secret_or_a_name(
    suite: BackgroundSuite, secret_values: dict[str, bytes], names: dict[str, bytes]
) -> None:
    files = suite.log_files()
    assert {"facade.log", "openbao.log", "sandbox-ehr.log", "ray.log"} <= {path.name for path in files}
    assert any("replica" in path.name or "worker" in path.name for path in files), "the replicas' logs are among them"
    found = {str(path): kept_in(path.read_bytes(), secret_values | names) for path in files}
    assert {path: what for path, what in found.items() if what} == {}


def test_every_line_of_the_facade_is_one_of_ours(suite: BackgroundSuite) -> None:
    (path,) = [path for path in suite.log_files() if path.name == "facade.log"]
    lines = path.read_text().splitlines()
    assert len(lines) > 10
    codes = {json.loads(line)["event"] if line.startswith("{") else line for line in lines}
    assert codes <= set(LogCode), "libraries write addresses, and addresses name patients"


def test_no_environment_and_no_command_line_holds_a_secret(
    suite: BackgroundSuite, secret_values: dict[str, bytes]
) -> None:
    processes = [psutil.Process(suite.process.pid), *find_leftovers(suite.settings.state)]
    assert len(processes) > 10
    for process in processes:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for listing in ("environ", "cmdline"):
                content = Path(f"/proc/{process.pid}/{listing}").read_bytes()
                assert kept_in(content, secret_values) == [], f"{process.name()} {listing}"


async def test_a_secret_in_a_file_is_only_where_it_is_said_to_be(
    suite: BackgroundSuite, secret_values: dict[str, bytes], names: dict[str, bytes]
) -> None:
    allowed = {"unseal-key": ["unseal key"], "ray-token": ["Ray's token"]}
    found = {}
    for path in kept_files(suite):
        what = kept_in(path.read_bytes(), secret_values | names)
        if what and what != allowed.get(path.name):
            found[str(path)] = what
    assert found == {}
    for name in allowed:
        (path,) = [one for one in kept_files(suite) if one.name == name]
        assert path.stat().st_mode & 0o077 == 0
