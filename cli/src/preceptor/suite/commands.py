"""What ``up``, ``demo``, ``down``, ``status`` and ``prepare`` do; each returns an exit status."""

import asyncio
import logging
import os
import shutil
import signal
import time

import httpx
from rich.console import Console
from rich.markup import escape
from service_runtime.log import configure_logging

from preceptor.private_files import private_dir
from preceptor.suite.environments import APPLICATIONS
from preceptor.suite.errors import SuiteError
from preceptor.suite.leftovers import find_leftovers, stop_processes
from preceptor.suite.prepare import prepare
from preceptor.suite.progress import StartTable
from preceptor.suite.run_lock import announce, current_run, only_one
from preceptor.suite.settings import SuiteSettings
from preceptor.suite.supervisor import STEPS, running_suite

__all__ = ["down", "prepare_models", "run", "status"]

_DOWN_TIMEOUT_S = 60.0


def run(*, demonstrate: bool, fresh: bool) -> int:
    """Run the suite in the foreground until a signal, or until a part of it ends."""
    # The screen belongs to the progress table; of log lines only errors are worth breaking it.
    configure_logging("cli", logging.ERROR)
    settings, console = SuiteSettings(), Console()
    try:
        with only_one(settings):
            if fresh:
                _forget(settings)
            return asyncio.run(_run(settings, console, demonstrate))
    except SuiteError as error:
        console.print(f"[red]{escape(str(error))}[/]", highlight=False, soft_wrap=True)
        return 1


async def _run(settings: SuiteSettings, console: Console, demonstrate: bool) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    work = asyncio.ensure_future(_serve(settings, console, demonstrate))
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if not work.done():
        console.print("Stopping everything that was started …")
        work.cancel()
    stopped.cancel()
    await asyncio.gather(work, return_exceptions=True)
    if work.cancelled():
        return 0
    work.result()
    return 0


async def _serve(settings: SuiteSettings, console: Console, demonstrate: bool) -> None:
    started = time.monotonic()
    table = StartTable(console, STEPS)
    with table:
        suite = running_suite(settings, table)
        supervisor = await suite.__aenter__()
    try:
        announce(settings, ready=True)
        console.print(f"Preceptor is up after {time.monotonic() - started:.0f} s.")
        if demonstrate:
            from preceptor.demo.run import demonstrate as show

            await show(settings, console)
        _print_addresses(settings, console)
        await supervisor.watch()
    finally:
        await suite.__aexit__(None, None, None)


def _print_addresses(settings: SuiteSettings, console: Console) -> None:
    lines = (
        "",
        f"  Sandbox EHR        {settings.ehr_url}/",
        f"  Clinician's page   {settings.facade_url}/  (opened by Launch Preceptor in the EHR)",
        f"  Logs               {settings.logs}",
        "",
        "Ctrl-C stops everything.",
    )
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def down() -> int:
    """Stop a running supervisor, or the processes a killed one left behind."""
    settings, console = SuiteSettings(), Console()
    running = current_run(settings)
    if running is not None:
        os.kill(running.pid, signal.SIGTERM)
        deadline = time.monotonic() + _DOWN_TIMEOUT_S
        while current_run(settings) is not None:
            if time.monotonic() > deadline:
                console.print(f"Process {running.pid} has not stopped within {_DOWN_TIMEOUT_S:g} s.")
                return 1
            time.sleep(0.2)
        console.print("Stopped.")
        return 0
    left = find_leftovers(settings.state)
    stop_processes(left)
    console.print(f"Stopped {len(left)} processes an earlier run left behind." if left else "Nothing runs.")
    return 0


def status() -> int:
    """Print which parts are ready; 0 when all are."""
    settings, console = SuiteSettings(), Console()
    if current_run(settings) is None:
        console.print("Preceptor does not run: `make up` starts it.")
        return 1
    parts = {"Sandbox EHR": f"{settings.ehr_url}/healthz", "Facade": f"{settings.facade_url}/readyz"}
    parts |= {name: f"{settings.serve_url}/{name}/healthz" for name in APPLICATIONS}
    ready = {name: _answers_ok(url) for name, url in parts.items()}
    for name, ok in ready.items():
        console.print(f"[green]✓[/] {name}" if ok else f"[red]✗[/] {name}")
    return 0 if all(ready.values()) else 1


def prepare_models() -> int:
    """Make the models of the cache."""
    settings, console = SuiteSettings(), Console()
    private_dir(settings.logs)
    private_dir(settings.cache)
    try:
        for sentence in prepare(settings):
            console.print(sentence, style="yellow", highlight=False, soft_wrap=True)
    except SuiteError as error:
        console.print(f"[red]{escape(str(error))}[/]", highlight=False, soft_wrap=True)
        return 1
    return 0


def _answers_ok(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def _forget(settings: SuiteSettings) -> None:
    stop_processes(find_leftovers(settings.state))
    for path in settings.state.iterdir():
        if path.name not in ("lock", "run.json"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
