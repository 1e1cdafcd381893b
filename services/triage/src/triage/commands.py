"""The command ``preceptor train triage``: from the survey's public-use files to the model, its report and its card."""

import os
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

_SHIPPED = Path(__file__).parent / "models" / "esi"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command("triage")
def triage(
    data: Annotated[
        Path,
        typer.Option(
            help="NHAMCS emergency-department files: a folder or archive with rvc_labels.json beside them.", exists=True
        ),
    ] = Path("../shared/data/triage.tar.xz"),
    output: Annotated[Path, typer.Option(help="Folder to write the model into.")] = Path(
        ".preceptor/models/triage/esi"
    ),
    encoder: Annotated[
        Path,
        typer.Option(
            help="Folder of the shared sentence encoder; preceptor prepare makes it.",
            envvar="PRECEPTOR_TRIAGE_ENCODER_DIR",
            exists=True,
            file_okay=False,
        ),
    ] = Path(".preceptor/cache/encoder"),
    report_year: Annotated[int, typer.Option(help="Year to report on; training uses the years before it.")] = 2020,
    seed: Annotated[int, typer.Option(help="Seed of the training and of the bootstrap.")] = 20,
    threads: Annotated[int, typer.Option(help="Threads to train with.")] = 1,
    repeats: Annotated[int, typer.Option(help="Bootstrap samples.")] = 1000,
    input_program: Annotated[
        list[Path] | None,
        typer.Option(
            help="CDC's SAS INPUT program of a fixed-width file (ed19inp.txt for ed2019) not beside it; repeatable.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
) -> None:
    """Train the triage model on the years before the report year; the defaults make the one that is shipped."""
    # The number of threads decides the order of sums, and so the last digits; numpy reads it when it is imported.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from triage.encoder import EncoderRefused
    from triage.manifest import Manifest
    from triage.training.nhamcs import SurveyError
    from triage.training.run import TrainingPlan, train
    from triage.transformers_engine import Recipe

    console = Console()
    plan = TrainingPlan(
        report_year=report_year,
        repeats=repeats,
        programs=tuple(input_program or ()),
        recipe=Recipe(seed=seed, threads=threads),
    )
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )  # fmt: skip
    shipped = Manifest.read(_SHIPPED).digest if (_SHIPPED / "manifest.json").is_file() else None
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, object] = {}

        def show(name: str, done: int, total: int, note: str) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=total, note=note)
            progress.update(tasks[name], completed=done, total=total, note=note)  # type: ignore[arg-type]

        try:
            manifest = train(data, encoder, output, plan, show)
        except (SurveyError, EncoderRefused) as error:
            raise typer.BadParameter(str(error)) from None
    console.print_json(data=manifest.metrics)
    same = "the very one that is shipped" if shipped == manifest.digest else "not the shipped one"
    console.print(f"Model {manifest.digest} in {output}: {same}.")
