"""``preceptor ingest``: brings labels, formularies, interactions, guidelines and facts into the index."""

import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn, TypeVar

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from service_runtime.log import configure_logging
from service_runtime.secrets import SecretError
from service_runtime.settings import VaultSettings
from service_runtime.vault_store import connect_secret_store

from retrieval.embedded_index import EmbeddedIndex, open_embedded_index
from retrieval.fetch import FetchFailed, fetch
from retrieval.importers.dailymed_spl import DailyMedLabels
from retrieval.importers.formularies import FhirFormularies
from retrieval.importers.guidelines import GuidelinePages, Provenance
from retrieval.importers.interaction_sets import AnsmThesaurus, NdfRtPairs
from retrieval.importers.openfda import OpenFdaLabels
from retrieval.importers.records import Importer, RecordRefused
from retrieval.index import IndexFailure
from retrieval.ingest import IngestReport, Refusal, ingest
from retrieval.meaning import embed, load_encoder
from retrieval.settings import RetrievalSettings
from retrieval.starter import FactFileRefused, load_starter, read_fact_file

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Add labels, formularies, interactions and guidelines to the index.")

_Settings = TypeVar("_Settings", RetrievalSettings, VaultSettings)
_console = Console(stderr=True)
_STOPPED = 130
_Paths = Annotated[list[Path], typer.Argument(exists=True, readable=True, help="Files or folders to read.")]
_Again = Annotated[bool, typer.Option("--again", help="Read inputs again that were read before.")]


class _Stop:
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
        _console.print("Stopping after this batch; press Ctrl-C again to stop at once.")


@app.command()
def labels(paths: _Paths, again: _Again = False) -> None:
    """Read openFDA drug labels: the API's JSON, or JSON lines, also compressed with xz."""
    _run(lambda index: _known(index, OpenFdaLabels), paths, again)


@app.command()
def spl(paths: _Paths, again: _Again = False) -> None:
    """Read DailyMed labels: Structured Product Labeling XML."""
    _run(lambda index: _known(index, DailyMedLabels), paths, again)


@app.command()
def formularies(paths: _Paths, again: _Again = False) -> None:
    """Read FHIR formularies of the Da Vinci US Drug Formulary guide."""
    _run(lambda _: _just(FhirFormularies()), paths, again)


@app.command()
def interactions(
    paths: Annotated[
        list[Path] | None, typer.Argument(exists=True, help="Files or folders; else what was fetched.")
    ] = None,
    ndf_rt: Annotated[bool, typer.Option("--ndf-rt", help="The files are NDF-RT pairs in CSV.")] = False,
    again: _Again = False,
) -> None:
    """Read the ANSM interaction thesaurus (fetched by `prepare`), or NDF-RT pairs."""
    if ndf_rt:
        _run(lambda _: _just(NdfRtPairs()), paths or [], again)
        return
    _run(lambda index: _known(index, AnsmThesaurus), paths or [_thesaurus_dir(_own_settings())], again)


@app.command()
def guidelines(
    paths: _Paths,
    publisher: Annotated[str, typer.Option(help="Who published the pages, where they do not say it themselves.")],
    version: Annotated[str | None, typer.Option(help="The edition.")] = None,
    title: Annotated[str | None, typer.Option(help="The title of a single page.")] = None,
    published: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"])] = None,
    effective_from: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"])] = None,
    superseded_on: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="From when it no longer holds.")
    ] = None,
    policy: Annotated[bool, typer.Option("--policy", help="The pages are the institution's own policies.")] = False,
    again: _Again = False,
) -> None:
    """Read guideline pages: text, Markdown, HTML or PlanDefinition JSON."""
    provenance = Provenance(
        publisher,
        version,
        title,
        published=published.date() if published else None,
        effective_from=effective_from.date() if effective_from else None,
        superseded_on=superseded_on.date() if superseded_on else None,
        kind="policy" if policy else "guideline",
    )
    _run(lambda _: _just(GuidelinePages(provenance)), paths, again)


@app.command()
def facts(paths: _Paths) -> None:
    """Read files of facts in the format of the starter knowledge; a file is taken whole or not at all."""

    async def work(index: EmbeddedIndex) -> int:
        refused = []
        for path in paths:
            try:
                documents = read_fact_file(path.name, path.read_text("utf-8"), "site/")
            except (FactFileRefused, UnicodeDecodeError) as error:
                refused.append(Refusal(path.name, str(error)))
                continue
            gone = set(await index.keys(f"site/{path.name}/")) - {document.key for document in documents}
            counts = await index.write(documents)
            await index.remove(sorted(gone))
            _console.print(f"{path.name}: {counts.added} added, {counts.replaced} replaced, {len(gone)} removed")
        _show_refused(refused)
        return 1 if refused else 0

    _with_index(work)


@app.command()
def prepare() -> None:
    """Fetch the sentence encoder and the ANSM interaction thesaurus, pinned by hash (85 MB), unless they are there."""
    settings = _own_settings()
    try:
        filled = fetch(_encoder_dir(settings), _thesaurus_dir(settings))
    except FetchFailed as error:
        _fail(str(error))
    _console.print(f"Fetched {', '.join(folder.name for folder in filled)}." if filled else "Nothing to fetch.")


@app.command()
def vectors(
    kinds: Annotated[
        list[str] | None, typer.Option("--kind", help="Which passages; else guidelines and policies.")
    ] = None,
) -> None:
    """Let passages be found by meaning too. Can be stopped and continued; labels take minutes."""
    folder = _encoder_dir(_own_settings())
    if not folder.is_dir():
        _fail("the sentence encoder is not there: run `preceptor ingest prepare`")
    stop = _Stop()

    async def work(index: EmbeddedIndex) -> int:
        encoder = load_encoder(folder)
        with _progress() as progress:
            bar = progress.add_task("passages", total=None)
            done = embed(
                index, encoder, kinds or ["guideline", "policy"], advance=lambda n: progress.advance(bar, n), stop=stop
            )
        _console.print(f"{done} passages embedded.")
        return _STOPPED if stop.asked else 0

    _with_index(work)


@app.command()
def status() -> None:
    """Say what the index holds."""

    async def work(index: EmbeddedIndex) -> int:
        await index.refresh()
        table = Table("", "", show_header=False, box=None)
        table.add_row("version", index.version)
        for name, count in index.store.counts().items():
            table.add_row(name.replace("_", " ") + "s", f"{count:,}")
        Console().print(table)
        return 0

    _with_index(work)


async def _known(index: EmbeddedIndex, make: Callable[[frozenset[str]], Importer]) -> Importer:
    return make(await index.ingredients())


async def _just(importer: Importer) -> Importer:
    return importer


def _encoder_dir(settings: RetrievalSettings) -> Path:
    if settings.encoder_dir is None:
        _fail("PRECEPTOR_RETRIEVAL_ENCODER_DIR is not set: it says where the encoder is kept")
    return settings.encoder_dir


def _thesaurus_dir(settings: RetrievalSettings) -> Path:
    return settings.fetched_dir or _encoder_dir(settings).with_name("ansm-thesaurus")


def _run(importer: Callable[[EmbeddedIndex], Awaitable[Importer]], paths: list[Path], again: bool) -> None:
    stop = _Stop()

    async def work(index: EmbeddedIndex) -> int:
        started = time.monotonic()
        chosen = await importer(index)
        inputs = [one for path in paths for one in chosen.inputs(path)]
        if not inputs:
            _console.print("There is nothing of this kind to read there.")
            return 1
        total = IngestReport()
        with _progress() as progress:
            for one in inputs:
                if stop.asked:
                    total.interrupted = True
                    break
                _add(total, await _one(index, chosen, one, again, progress, stop))
        _show(total, time.monotonic() - started)
        return _STOPPED if total.interrupted else 0

    _with_index(work)


async def _one(
    index: EmbeddedIndex, importer: Importer, path: Path, again: bool, progress: Progress, stop: _Stop
) -> IngestReport:
    try:
        bar = progress.add_task(path.name, total=importer.count(path))
    except RecordRefused as refusal:
        return IngestReport(refused=[Refusal(path.name, str(refusal))])
    return await ingest(index, importer, path, again=again, advance=lambda n: progress.advance(bar, n), stop=stop)


def _add(total: IngestReport, one: IngestReport) -> None:
    total.counts += one.counts
    for name in ("facts", "passages", "names", "skipped", "empty"):
        setattr(total, name, getattr(total, name) + getattr(one, name))
    total.refused += one.refused
    total.interrupted = total.interrupted or one.interrupted


def _show(report: IngestReport, elapsed_s: float) -> None:
    counts = report.counts
    _console.print(
        f"{counts.added} added, {counts.replaced} replaced, {counts.unchanged} unchanged, {report.skipped} read before,"
        f" {report.empty} with nothing to keep, {len(report.refused)} refused, in {elapsed_s:.1f} s."
    )
    _console.print(f"Of these: {report.facts:,} facts, {report.passages:,} passages, {report.names:,} drug names.")
    _show_refused(report.refused)
    if report.interrupted:
        _console.print("Stopped. The same command goes on from here.")


def _show_refused(refused: list[Refusal]) -> None:
    if refused:
        table = Table("refused", "why")
        for one in refused[:50]:
            table.add_row(one.place, one.reason)
        _console.print(table)
        if len(refused) > 50:
            _console.print(f"and {len(refused) - 50} more")


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=_console)


def _settings(of: type[_Settings], prefix: str) -> _Settings:
    try:
        return of()
    except ValidationError as error:
        wrong = [prefix + str(one["loc"][0]).upper() for one in error.errors(include_input=False) if one["loc"]]
        _fail(f"set {', '.join(wrong)}" if wrong else f"the settings {prefix}* do not fit together")


def _own_settings() -> RetrievalSettings:
    return _settings(RetrievalSettings, "PRECEPTOR_RETRIEVAL_")


def _with_index(work: Callable[[EmbeddedIndex], Awaitable[int]]) -> None:
    configure_logging("retrieval")
    settings, vault = _own_settings(), _settings(VaultSettings, "PRECEPTOR_VAULT_")

    async def main() -> int:
        index = await open_embedded_index(settings.index_dir, connect_secret_store(vault), read=False)
        try:
            # Names and facts that ship come first: importers recognise drugs by them.
            await load_starter(index)
            return await work(index)
        finally:
            await index.close()

    try:
        sys.exit(asyncio.run(main()))
    except IndexFailure as error:
        _fail(str(error))
    except SecretError as error:
        _fail(f"the secret store does not answer ({type(error).__name__}): is the suite up?")


def _fail(message: str) -> NoReturn:
    _console.print(message, style="red")
    raise SystemExit(1)
