"""The command ``preceptor train discharge-instructions``: make training stays, train an adapter, measure it."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from adapter_serving.evaluate import HELD_OUT_STAYS
from adapter_serving.manifest import Manifest, Rate
from adapter_serving.prepare import CACHE, REQUIREMENTS, prepare
from adapter_serving.template import load_templates
from adapter_serving.training import TrainingPlan, describe, train

__all__ = ["app"]

_SHIPPED = Path(__file__).parent / "adapters"
_DEFAULT = TrainingPlan()
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command("discharge-instructions")
def discharge_instructions(
    output: Annotated[Path, typer.Option(help="Folder of adapters to write into.")] = Path(".preceptor/adapters"),
    cache: Annotated[Path, typer.Option(help="Folder that keeps the base model.")] = CACHE,
    requirements: Annotated[
        Path, typer.Option(help="Hash-pinned file naming the base model's package.")
    ] = REQUIREMENTS,
    stays: Annotated[int, typer.Option(help="Synthetic stays to train on.")] = _DEFAULT.stays,
    seed: Annotated[int, typer.Option(help="Seed of the stays and of the training.")] = _DEFAULT.seed,
    threads: Annotated[int, typer.Option(help="Threads to train with.")] = _DEFAULT.threads,
    held_out: Annotated[int, typer.Option(help="Held-out stays to measure on.")] = HELD_OUT_STAYS,
) -> None:
    """Train the adapter for discharge instructions; the defaults make the one that is shipped."""
    console = Console()
    name = "discharge-instructions"
    plan = TrainingPlan(stays=stays, seed=seed, threads=threads)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as progress:
        first = progress.add_task("Base model", total=1, note="")
        base = prepare(cache, requirements, lambda text: progress.update(first, description=text))
        progress.update(first, completed=1)
        training = progress.add_task("Training", total=None, note="")
        train(
            plan,
            base,
            output / name,
            lambda step, steps, loss: progress.update(training, completed=step, total=steps, note=f"loss {loss:.3f}"),
        )
        measuring = progress.add_task("Measuring on held-out stays", total=None, note="")
        template = load_templates()[name]
        counting = _counting(progress, measuring)
        manifest, _ = describe(plan, base, output / name, template, name, held_out_stays=held_out, each=counting)
    console.print(_report(manifest))
    console.print(f"Adapter {manifest.adapter_digest} in {output / name}: {_compared(manifest)}")


def _counting(progress: Progress, task: int) -> Callable[[int, int], None]:
    return lambda done, total: progress.update(task, completed=done, total=total)  # type: ignore[arg-type]


def _report(manifest: Manifest) -> Table:
    table = Table("measure", "value", "95 % interval", "of", title="Held-out stays")
    for name, value in manifest.metrics.items():
        if isinstance(value, Rate):
            table.add_row(name, f"{value.value:.1%}", f"{value.low:.1%} to {value.high:.1%}", str(value.of))
        else:
            table.add_row(name, f"{value:g}", "", "")
    return table


def _compared(manifest: Manifest) -> str:
    try:
        shipped = Manifest.read(_SHIPPED / manifest.adapter)
    except OSError:
        return "none is shipped to compare it with"
    if shipped.adapter_digest == manifest.adapter_digest:
        return "the very bytes that are shipped"
    same_data = shipped.trained_on.digest == manifest.trained_on.digest
    return f"other weights than the shipped ones, from {'the same' if same_data else 'other'} training data"


if __name__ == "__main__":
    app()
