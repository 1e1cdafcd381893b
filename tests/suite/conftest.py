"""The whole suite, started once by ``preceptor up`` on ports and in a folder of its own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from preceptor.ehr_access import EhrAccess
from preceptor.suite.background import BackgroundSuite, background_suite, settings_on_free_ports
from preceptor.suite.leftovers import find_leftovers


@pytest.fixture(scope="session")
def suite() -> Iterator[BackgroundSuite]:
    """The running suite. What it drafts in 5 s is for the benchmarks to say: here a slow machine has time."""
    with TemporaryDirectory(prefix="preceptor-") as folder, pytest.MonkeyPatch.context() as environment:
        environment.setenv("PRECEPTOR_FACADE_DRAFTING_BUDGET_MS", "30000")
        settings = settings_on_free_ports(Path(folder) / "suite")
        with background_suite(settings, Path(folder) / "output.txt") as running:
            yield running
        assert running.process.returncode == 0, running.output.read_text()
        assert find_leftovers(settings.state) == [], "everything that was started is stopped"


@pytest.fixture
async def ehr(suite: BackgroundSuite) -> AsyncIterator[EhrAccess]:
    async with EhrAccess(suite.settings) as access:
        yield access


@pytest.fixture
def until() -> Callable[..., Awaitable[Any]]:
    """Waits until an asynchronous question has an answer that is not empty, and returns it."""

    async def wait(question: Callable[[], Awaitable[Any]], timeout_s: float = 60.0) -> Any:
        async with asyncio.timeout(timeout_s):
            while not (answer := await question()):  # noqa: ASYNC110  other processes set no Event
                await asyncio.sleep(0.1)
            return answer

    return wait
