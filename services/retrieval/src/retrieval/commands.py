"""``preceptor ingest``: brings labels, formularies, interactions, guidelines and facts into the index."""

import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from retrieval.command_runs import (
    STOPPED,
    Stop,
    console,
    fail,
    own_settings,
    progress_bar,
    run_importer,
    show_refused,
    with_index,
)
from retrieval.fetch import FetchFailed, fetch
from retrieval.forget_command import forget
from retrieval.importers.ansm_english import AnsmEnglish
from retrieval.importers.dailymed_spl import DailyMedLabels
from retrieval.importers.fhir_download import download_formularies, server_address
from retrieval.importers.formularies import FhirFormularies
from retrieval.importers.guidelines import GuidelinePages, Provenance
from retrieval.importers.icd10cm import Icd10CmTabular
from retrieval.importers.interaction_sets import AnsmThesaurus, NdfRtPairs
from retrieval.importers.nlm_corpus import NlmMarkedPairs
from retrieval.importers.openfda import OpenFdaLabels
from retrieval.importers.pubmed import PubMedArticles
from retrieval.importers.qhp import QhpFormularies
from retrieval.importers.records import Importer, RecordRefused
from retrieval.importers.task_force import EDITIONS, TOPICS, TaskForceEditions
from retrieval.index import Index
from retrieval.ingest import Refusal
from retrieval.meaning import embed, load_encoder
from retrieval.reranker_command import train_reranker
from retrieval.settings import RetrievalSettings
from retrieval.starter import FactFileRefused, read_fact_file

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="""Bring published knowledge and your own policies into the index.

    What was read before is passed over; Ctrl-C stops after the batch at hand and the same command goes on from there.
    What is left out is listed with the reason. Where each file is downloaded: docs/ingesting.md.""",
)
_DRUGS, _PAYERS, _TEXTS, _INDEX = "Drugs", "Coverage", "Guidelines, literature, codes", "The index"

_Paths = Annotated[list[Path], typer.Argument(exists=True, readable=True, help="Files or folders to read.")]
_Again = Annotated[bool, typer.Option("--again", help="Read inputs again that were read before.")]


@app.command(rich_help_panel=_DRUGS)
def labels(paths: _Paths, again: _Again = False) -> None:
    """Read openFDA drug labels: the bulk download (zips of JSON), the API's answers, or JSON lines."""
    run_importer(lambda index: _known(index, OpenFdaLabels), paths, again)


@app.command(rich_help_panel=_DRUGS)
def spl(paths: _Paths, again: _Again = False) -> None:
    """Read DailyMed labels (SPL): the releases as they come (zips of zips), or single XML documents."""
    run_importer(lambda index: _known(index, DailyMedLabels), paths, again)


@app.command(rich_help_panel=_PAYERS)
def formularies(
    paths: Annotated[list[Path] | None, typer.Argument(exists=True, readable=True, help="Files or folders.")] = None,
    url: Annotated[str | None, typer.Option(help="The base address of a FHIR server to read from instead.")] = None,
    again: _Again = False,
) -> None:
    """Read FHIR formularies (Da Vinci US Drug Formulary): a bulk export's folder, a Bundle, or a server.

    From a server, every page comes from the origin that is named; nothing is changed unless all of it could be had.
    """
    if (url is None) == (not paths):
        raise typer.BadParameter("name either files or --url")
    if url is None:
        run_importer(lambda _: _just(FhirFormularies()), paths or [], again)
        return
    own_settings()
    try:
        address = server_address(url)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    with tempfile.TemporaryDirectory(prefix="formularies-") as scratch:
        folder = Path(scratch) / address.host
        folder.mkdir()
        try:
            with progress_bar() as progress:
                bar = progress.add_task(f"from {address.host}", total=None)
                download_formularies(address, folder, advance=lambda n: progress.advance(bar, n), stop=Stop())
        except RecordRefused as refusal:
            fail(f"{address.host}: {refusal}. Nothing was changed.")
        run_importer(lambda _: _just(FhirFormularies()), [folder], again)


@app.command(rich_help_panel=_PAYERS)
def qhp(paths: _Paths, again: _Again = False) -> None:
    """Read formularies of US marketplace plans: folders with CMS's index.json and the files it names."""
    run_importer(lambda _: _just(QhpFormularies()), paths, again)


@app.command(rich_help_panel=_DRUGS)
def interactions(
    paths: Annotated[
        list[Path] | None, typer.Argument(exists=True, help="Files or folders; else what was fetched.")
    ] = None,
    ndf_rt: Annotated[bool, typer.Option("--ndf-rt", help="The files are NDF-RT pairs in CSV.")] = False,
    english: Annotated[
        bool, typer.Option("--ansm-english", help="The files are the English edition of the thesaurus in XML.")
    ] = False,
    nlm: Annotated[
        bool, typer.Option("--nlm", help="The files are the NLM's labels with marked pairs, XML beside text.")
    ] = False,
    again: _Again = False,
) -> None:
    """Read the ANSM interaction thesaurus (fetched by `prepare`), its English edition, NDF-RT or the NLM's pairs."""
    if ndf_rt + english + nlm > 1:
        raise typer.BadParameter("files are of one kind")
    if nlm:
        run_importer(lambda index: _known(index, NlmMarkedPairs), paths or [], again)
        return
    if english:
        run_importer(lambda _: _just(AnsmEnglish()), paths or [], again)
        return
    if ndf_rt:
        run_importer(lambda _: _just(NdfRtPairs()), paths or [], again)
        return
    run_importer(lambda index: _known(index, AnsmThesaurus), paths or [_thesaurus_dir(own_settings())], again)


@app.command(rich_help_panel=_TEXTS)
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
    literature: Annotated[bool, typer.Option("--literature", help="The pages are articles: what is reported.")] = False,
    again: _Again = False,
) -> None:
    """Read guidelines, your own policies or articles: PDF, Word (DOCX), HTML, text, PlanDefinition.

    Headings become sections, of a PDF with the page. Scanned and locked documents are refused.
    """
    if policy and literature:
        raise typer.BadParameter("pages are policies or literature, not both")
    provenance = Provenance(
        publisher,
        version,
        title,
        published=published.date() if published else None,
        effective_from=effective_from.date() if effective_from else None,
        superseded_on=superseded_on.date() if superseded_on else None,
        kind="policy" if policy else "literature" if literature else "guideline",
    )
    run_importer(lambda _: _just(GuidelinePages(provenance)), paths, again)


@app.command("task-force", rich_help_panel=_TEXTS)
def task_force(
    paths: _Paths,
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day of an edition that does not say it.")
    ] = None,
    again: _Again = False,
) -> None:
    """Read editions of the US Preventive Services Task Force: the JSON of its API, the oldest first."""

    async def importer(index: Index) -> Importer:
        known = [*await index.keys(TOPICS), *await index.keys(EDITIONS)]
        return TaskForceEditions(known, day.date() if day else None)

    run_importer(importer, paths, again)


@app.command(rich_help_panel=_TEXTS)
def pubmed(paths: _Paths, again: _Again = False) -> None:
    """Read PubMed's baseline and update files (XML), in the order of their numbers.

    Deleted articles go; those that were retracted or replaced are not found as current.
    """
    run_importer(lambda _: _just(PubMedArticles()), paths, again)


@app.command(rich_help_panel=_TEXTS)
def icd10cm(
    paths: _Paths,
    effective_from: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="From when it holds; else its file's name tells.")
    ] = None,
    superseded_on: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="From when not; else from the next October 1.")
    ] = None,
    again: _Again = False,
) -> None:
    """Read ICD-10-CM's tabular list: XML, also compressed, or the zip that CDC offers.

    A year of codes is in force up to September 30 of the year it bears.
    """
    dates = (day.date() if day else None for day in (effective_from, superseded_on))
    run_importer(lambda _: _just(Icd10CmTabular(*dates)), paths, again)


@app.command(rich_help_panel=_DRUGS)
def facts(paths: _Paths) -> None:
    """Read files of facts in the format of the starter knowledge; a file is taken whole or not at all."""

    async def work(index: Index) -> int:
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
            console.print(f"{path.name}: {counts.added} added, {counts.replaced} replaced, {len(gone)} removed")
        show_refused(refused)
        return 1 if refused else 0

    with_index(work)


@app.command(rich_help_panel=_INDEX)
def prepare() -> None:
    """Fetch the sentence encoder and the ANSM interaction thesaurus, pinned by hash (85 MB), unless they are there."""
    settings = own_settings()
    try:
        filled = fetch(_encoder_dir(settings), _thesaurus_dir(settings))
    except FetchFailed as error:
        fail(str(error))
    console.print(f"Fetched {', '.join(folder.name for folder in filled)}." if filled else "Nothing to fetch.")


@app.command(rich_help_panel=_INDEX)
def vectors(
    kinds: Annotated[
        list[str] | None, typer.Option("--kind", help="Which passages; else guidelines and policies.")
    ] = None,
) -> None:
    """Let passages be found by meaning too. Can be stopped and continued; labels take minutes."""
    folder = _encoder_dir(own_settings())
    if not folder.is_dir():
        fail("the sentence encoder is not there: run `preceptor ingest prepare`")
    stop = Stop()

    async def work(index: Index) -> int:
        encoder = load_encoder(folder)
        with progress_bar() as progress:
            bar = progress.add_task("passages", total=None)
            done = await embed(
                index, encoder, kinds or ["guideline", "policy"], advance=lambda n: progress.advance(bar, n), stop=stop
            )
        console.print(f"{done} passages embedded.")
        return STOPPED if stop.asked else 0

    with_index(work)


app.command(rich_help_panel=_INDEX)(train_reranker)
app.command(rich_help_panel=_INDEX)(forget)


@app.command(rich_help_panel=_INDEX)
def status() -> None:
    """Say what the index holds."""

    async def work(index: Index) -> int:
        await index.refresh()
        table = Table("", "", show_header=False, box=None)
        table.add_row("version", index.version)
        for name, count in (await index.counts()).items():
            table.add_row(name.replace("_", " ") + "s", f"{count:,}")
        Console().print(table)
        return 0

    with_index(work)


async def _known(index: Index, make: Callable[[frozenset[str]], Importer]) -> Importer:
    return make(await index.ingredients())


async def _just(importer: Importer) -> Importer:
    return importer


def _encoder_dir(settings: RetrievalSettings) -> Path:
    if settings.encoder_dir is None:
        fail("PRECEPTOR_RETRIEVAL_ENCODER_DIR is not set: it says where the encoder is kept")
    return settings.encoder_dir


def _thesaurus_dir(settings: RetrievalSettings) -> Path:
    return settings.fetched_dir or _encoder_dir(settings).with_name("ansm-thesaurus")
