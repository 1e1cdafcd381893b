"""Starts every part of the suite beside the others as far as they allow, watches them, and stops them all."""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager

import httpx
from service_runtime.vault_store import connect_secret_store

from preceptor.ehr_access import EhrAccess, public_jwk
from preceptor.openbao.agent import Agent
from preceptor.openbao.bootstrap import bring_up, issue_agent_token
from preceptor.openbao.errors import OpenBaoError
from preceptor.openbao.running import vault_settings
from preceptor.private_files import private_dir
from preceptor.suite.environments import APPLICATIONS, process_environment, service_environment
from preceptor.suite.errors import ProcessEnded, StartTimedOut, SuiteError
from preceptor.suite.leftovers import find_leftovers, stop_processes
from preceptor.suite.preflight import check_machine
from preceptor.suite.prepare import prepare
from preceptor.suite.processes import ChildProcess
from preceptor.suite.progress import Progress
from preceptor.suite.ray_cluster import (
    ApplicationFailed,
    ServeApi,
    forget_ray_token,
    head_command,
    new_ray_environment,
    ray_folder,
)
from preceptor.suite.registrations import write_clients, write_ehrs
from preceptor.suite.serve_config import serve_config
from preceptor.suite.settings import CHECKOUT, SuiteSettings

__all__ = ["STEPS", "Supervisor", "running_suite"]

STEPS = (
    ("models", "Models"),
    ("openbao", "OpenBao"),
    ("ray", "Ray cluster"),
    ("sandbox-ehr", "Sandbox EHR"),
    ("adapter-serving", "Adapter serving"),
    ("retrieval", "Retrieval"),
    ("reconciliation", "Reconciliation"),
    ("triage", "Triage"),
    ("facade", "Facade"),
    ("subscription", "Subscription for discharges"),
)
_POLL_S = 0.2
_GRACE_S = 12.0
_STOP_ORDER = (("facade",), ("sandbox-ehr", "ray"), ("openbao",))
"""Those first that use the others."""


@asynccontextmanager
async def running_suite(settings: SuiteSettings, progress: Progress) -> AsyncIterator["Supervisor"]:
    """Start the suite, give its supervisor, and stop everything. Raises ``SuiteError``.

    The caller holds the folder (``run_lock.only_one``).
    """
    supervisor = Supervisor(settings, progress)
    try:
        await supervisor.start()
        yield supervisor
    finally:
        await asyncio.to_thread(supervisor.stop)


class Supervisor:
    """The processes of one suite."""

    def __init__(self, settings: SuiteSettings, progress: Progress) -> None:
        self._settings = settings
        self._progress = progress
        self._children: list[ChildProcess] = []
        self._agent = ExitStack()
        self._stopping = False

    async def start(self) -> None:
        """Start everything; raise ``SuiteError`` when something does not come up."""
        await asyncio.to_thread(self._make_ready)
        steps = asyncio.ensure_future(self._start_all())
        watch = asyncio.ensure_future(self.watch())
        try:
            await asyncio.wait({steps, watch}, return_when=asyncio.FIRST_COMPLETED)
            if watch.done():
                watch.result()
            steps.result()
        except ExceptionGroup as group:
            raise _as_suite_error(group) from None
        finally:
            for task in (steps, watch):
                task.cancel()
            await asyncio.gather(steps, watch, return_exceptions=True)

    async def watch(self) -> None:
        """Wait until a child ends by itself, then raise ``ProcessEnded``."""
        while True:
            for child in self._children:
                status = child.exit_status()
                if status is not None and not self._stopping:
                    how = f"was ended by signal {-status}" if status < 0 else f"ended with exit status {status}"
                    raise ProcessEnded(f"{child.name} {how} ({child.last_words()}). Its log is {child.log}.")
            await asyncio.sleep(_POLL_S)

    def stop(self) -> None:
        """Stop everything this suite started."""
        self._stopping = True
        for wave in _STOP_ORDER:
            children = [child for child in self._children if child.name in wave]
            with ThreadPoolExecutor() as pool:
                list(pool.map(lambda child: child.stop(_GRACE_S), children))
        self._agent.close()
        stop_processes(find_leftovers(self._settings.state))
        forget_ray_token(self._settings)
        self._keep_ray_logs()
        shutil.rmtree(self._settings.sockets, ignore_errors=True)

    def _make_ready(self) -> None:
        stop_processes(find_leftovers(self._settings.state))
        check_machine(self._settings)
        for folder in (self._settings.logs, self._settings.sockets, self._settings.cache):
            private_dir(folder)
        private_dir(self._settings.state / "facade")
        shutil.rmtree(ray_folder(self._settings), ignore_errors=True)

    async def _start_all(self) -> None:
        async with asyncio.TaskGroup() as group:
            models = group.create_task(self._models())
            openbao = group.create_task(self._openbao())
            ray = group.create_task(self._ray())
            ehr = group.create_task(self._sandbox_ehr(openbao))
            serve = group.create_task(self._serve(models, openbao, ray))
            facade = group.create_task(self._facade(openbao, serve))
            group.create_task(self._subscription(ehr, facade))

    async def _models(self) -> None:
        with self._progress.step("models"):
            for sentence in await asyncio.to_thread(prepare, self._settings):
                self._progress.note(sentence)

    async def _openbao(self) -> None:
        with self._progress.step("openbao"):
            server = self._settings.openbao
            command = await asyncio.to_thread(server.prepare)
            child = self._run("openbao", command, {})
            token = await asyncio.to_thread(bring_up, server, child.popen, CHECKOUT / "policies" / "vault")
            self._agent.enter_context(
                Agent(self._settings.agent_socket, server.client, token, lambda: issue_agent_token(server))
            )
            secrets = connect_secret_store(vault_settings(server, self._settings.agent_socket, "cli"))
            write_clients(self._settings, await public_jwk(secrets))
            write_ehrs(self._settings)

    async def _ray(self) -> None:
        with self._progress.step("ray"):
            environment = new_ray_environment(self._settings)
            self._run("ray", head_command(self._settings), environment)
            api = ServeApi(self._settings)
            await self._until("Ray", lambda: asyncio.to_thread(api.answers))
            # Serve's controller and proxy start now, while models and secrets are still being made ready.
            await asyncio.to_thread(api.declare, serve_config(self._settings, ()))

    async def _sandbox_ehr(self, openbao: Awaitable[None]) -> None:
        await openbao
        with self._progress.step("sandbox-ehr"):
            self._run_service("sandbox-ehr")
            await self._until_ok("The sandbox EHR", f"{self._settings.ehr_url}/healthz")

    async def _serve(self, *needs: Awaitable[None]) -> None:
        for need in needs:
            await need
        api = ServeApi(self._settings)
        await asyncio.to_thread(api.declare, serve_config(self._settings))
        async with asyncio.TaskGroup() as group:
            for name in APPLICATIONS:
                group.create_task(self._application(api, name))

    async def _application(self, api: ServeApi, name: str) -> None:
        async def runs() -> bool:
            return (await asyncio.to_thread(api.statuses)).get(name) == "RUNNING"

        with self._progress.step(name):
            await self._until(name, runs)
            await self._until_ok(name, f"{self._settings.serve_url}/{name}/healthz")

    async def _facade(self, openbao: Awaitable[None], serve: Awaitable[None]) -> None:
        await openbao
        with self._progress.step("facade"):
            self._run_service("facade")
            await self._until_ok("The facade", f"{self._settings.facade_url}/healthz")
            await serve
            await self._until_ok("The facade", f"{self._settings.facade_url}/readyz")

    async def _subscription(self, *needs: Awaitable[None]) -> None:
        for need in needs:
            await need
        with self._progress.step("subscription"):
            async with EhrAccess(self._settings) as ehr:
                await self._until("The Subscription", ehr.has_active_subscription)

    def _run_service(self, service: str) -> None:
        command = [sys.executable, "-m", service.replace("-", "_")]
        self._run(service, command, service_environment(self._settings, service))

    def _run(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> ChildProcess:
        log = self._settings.logs / f"{name}.log"
        child = ChildProcess(name, command, process_environment(self._settings, environment), log)
        self._children.append(child)
        return child

    async def _until_ok(self, what: str, url: str) -> None:
        async with httpx.AsyncClient(timeout=5, trust_env=False) as http:

            async def ok() -> bool:
                try:
                    return (await http.get(url)).status_code == 200
                except httpx.TransportError:
                    return False

            await self._until(what, ok)

    async def _until(self, what: str, condition: Callable[[], Awaitable[bool]]) -> None:
        try:
            async with asyncio.timeout(self._settings.ready_timeout_s):
                while not await condition():  # noqa: ASYNC110  other processes set no Event
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise StartTimedOut(
                f"{what} was not ready within {self._settings.ready_timeout_s:g} s. The logs are in "
                f"{self._settings.logs}."
            ) from None

    def _keep_ray_logs(self) -> None:
        logs = ray_folder(self._settings) / "session_latest" / "logs"
        kept = self._settings.logs / "ray"
        if logs.exists():
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(logs.resolve(), kept, ignore_dangling_symlinks=True)


def _as_suite_error(group: ExceptionGroup[Exception]) -> Exception:
    first: Exception = group
    while isinstance(first, ExceptionGroup):
        first = first.exceptions[0]
    if isinstance(first, (ApplicationFailed, OpenBaoError)):
        return SuiteError(str(first))
    return first
