"""``preceptor tasks`` shows every task with its approach and the rule that decided."""

import subprocess
import sys
import time

from preceptor.main import app
from service_contracts.tasks import TASKS, choose
from typer.testing import CliRunner


def test_every_task_is_shown_with_its_approach_and_the_reason() -> None:
    output = CliRunner(env={"COLUMNS": "120"}).invoke(app, ["tasks"]).stdout
    rows = {line.split()[0]: line for line in output.splitlines() if line.strip()}
    for spec in TASKS:
        approach, rule = choose(spec)
        assert approach in rows[spec.name]
        assert rule in rows[spec.name]


def test_help_names_the_commands_without_importing_what_they_need() -> None:
    program = "import sys; from preceptor.main import app\ntry: app(['--help'])\nfinally: print(sorted(sys.modules))"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    shown, modules = output.rsplit("\n[", 1)
    for command in ("demo", "up", "down", "status", "tasks"):
        assert f" {command} " in shown
    for heavy in ("torch", "hvac", "httpx", "retrieval", "ray", "cryptography"):
        assert f"'{heavy}'" not in modules


def test_help_is_there_at_once() -> None:
    def seconds() -> float:
        started = time.monotonic()
        subprocess.run([sys.executable, "-m", "preceptor", "--help"], capture_output=True, check=True)
        return time.monotonic() - started

    assert min(seconds() for _ in range(3)) < 1.5, "0.4 s on a quiet machine"
