"""How a command on the index runs: it is opened with what ships, worked on with progress and stopped with care."""

import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from types import FrameType
from typing import NoReturn, TypeVar

from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from service_runtime.log import configure_logging
from service_runtime.secrets import SecretError, SecretStore
from service_runtime.settings import VaultSettings
from service_runtime.vault_store import connect_secret_store

from retrieval.engines import open_index, open_texts
from retrieval.importers.records import Importer, Ordered, RecordRefused
from retrieval.index import Index, IndexFailure
from retrieval.ingest import IngestReport, Refusal, count, ingest
from retrieval.ingest_order import in_order, read_up_to
from retrieval.patient_texts import PatientTexts
from retrieval.settings import RetrievalSettings
from retrieval.starter import load_starter

__all__ = [
    "STOPPED",
    "Stop",
    "console",
    "fail",
    "own_settings",
    "progress_bar",
    "run_importer",
    "show_refused",
    "with_index",
    "with_texts",
]

STOPPED = 130
"""The exit status of a run that was stopped and can be continued."""
console = Console(stderr=True)
_Settings = TypeVar("_Settings", RetrievalSettings, VaultSettings)


class Stop:
    """Ctrl-C ends a run after the batch at hand; a second one ends it at once."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGINT, self._on_signal)

    def __call__(self) -> bool:
        return self.asked

    def _on_signal(self, _: int, __: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        console.print("Stopping after this batch; press Ctrl-C again to stop at once.")


def run_importer(importer: Callable[[Index], Awaitable[Importer]], paths: list[Path], again: bool) -> None:
    """Read ``paths`` into the index and end the process; what was read before is left out unless ``again``."""
    stop = Stop()

    async def work(index: Index) -> int:
        started = time.monotonic()
        chosen = await importer(index)
        inputs = [one for path in paths for one in chosen.inputs(path)]
        if not inputs:
            console.print("There is nothing of this kind to read there.")
            return 1
        inputs, late = await in_order(index, chosen, inputs, again=again)
        total = IngestReport(refused=[*late])
        with progress_bar() as progress:
            for one in inputs:
                if stop.asked:
                    total.interrupted = True
                    break
                _add(total, await _one(index, chosen, one, again, progress, stop))
                if total.broken and isinstance(chosen, Ordered):
                    console.print(f"The files after {one.name} are not read, since they build on it.")
                    break
        _show(total, time.monotonic() - started)
        return STOPPED if total.interrupted else 1 if total.broken or late else 0

    with_index(work)


async def _one(
    index: Index, importer: Importer, path: Path, again: bool, progress: Progress, stop: Stop
) -> IngestReport:
    try:
        bar = progress.add_task(path.name, total=count(importer, path))
    except RecordRefused as refusal:
        return IngestReport(refused=[Refusal(path.name, str(refusal))], broken=True)
    report = await ingest(index, importer, path, again=again, advance=lambda n: progress.advance(bar, n), stop=stop)
    if not (report.interrupted or report.broken):
        await read_up_to(index, importer, path)
    return report


def _add(total: IngestReport, one: IngestReport) -> None:
    total.counts += one.counts
    for name in ("facts", "passages", "names", "skipped", "empty", "removed"):
        setattr(total, name, getattr(total, name) + getattr(one, name))
    total.refused += one.refused
    total.interrupted = total.interrupted or one.interrupted
    total.broken = total.broken or one.broken


def _show(report: IngestReport, elapsed_s: float) -> None:
    counts = report.counts
    console.print(
        f"{counts.added} added, {counts.replaced} replaced, {counts.unchanged} unchanged, {report.removed} removed,"
        f" {report.skipped} read before, {report.empty} with nothing to keep, {len(report.refused)} refused,"
        f" in {elapsed_s:.1f} s."
    )
    console.print(f"Of these: {report.facts:,} facts, {report.passages:,} passages, {report.names:,} drug names.")
    show_refused(report.refused)
    if report.interrupted:
        console.print("Stopped. The same command goes on from here.")


def show_refused(refused: list[Refusal]) -> None:
    """Print what was refused and why; of many the first fifty."""
    if refused:
        table = Table("refused", "why")
        for one in refused[:50]:
            table.add_row(one.place, one.reason)
        console.print(table)
        if len(refused) > 50:
            console.print(f"and {len(refused) - 50} more")


def progress_bar() -> Progress:
    """Return bars for steps that can be counted."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console)


def _settings(of: type[_Settings], prefix: str) -> _Settings:
    try:
        return of()
    except ValidationError as error:
        wrong = [prefix + str(one["loc"][0]).upper() for one in error.errors(include_input=False) if one["loc"]]
        fail(f"set {', '.join(wrong)}" if wrong else f"the settings {prefix}* do not fit together")


def own_settings() -> RetrievalSettings:
    """Return the settings, or end the process with the names of those that are missing."""
    return _settings(RetrievalSettings, "PRECEPTOR_RETRIEVAL_")


def with_index(work: Callable[[Index], Awaitable[int]]) -> None:
    """Open the index, do ``work`` and end the process with the status it returns."""

    async def main(settings: RetrievalSettings, secrets: SecretStore) -> int:
        index = await open_index(settings, secrets)
        try:
            # Names and facts that ship come first: importers recognise drugs by them.
            await load_starter(index)
            return await work(index)
        finally:
            await index.close()

    _run(main)


def with_texts(work: Callable[[PatientTexts], Awaitable[int]]) -> None:
    """Open what is kept of patients, do ``work`` and end the process with the status it returns."""

    async def main(settings: RetrievalSettings, secrets: SecretStore) -> int:
        texts = await open_texts(settings, secrets)
        try:
            return await work(texts)
        finally:
            await texts.close()

    _run(main)


def _run(main: Callable[[RetrievalSettings, SecretStore], Coroutine[None, None, int]]) -> NoReturn:
    configure_logging("retrieval")
    settings, vault = own_settings(), _settings(VaultSettings, "PRECEPTOR_VAULT_")
    try:
        sys.exit(asyncio.run(main(settings, connect_secret_store(vault))))
    except IndexFailure as error:
        fail(str(error))
    except SecretError as error:
        fail(f"the secret store does not answer ({type(error).__name__}): is the suite up?")


def fail(message: str) -> NoReturn:
    """End the process with a sentence that says what to do."""
    console.print(message, style="red")
    raise SystemExit(1)
