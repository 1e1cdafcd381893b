"""The command line: ``preceptor`` with its own commands and those the installed services bring along."""

import typer

from preceptor.service_commands import add_service_commands

__all__ = ["app"]

_FRESH = typer.Option(False, "--fresh", help="Begin anew: forget patients, documents and keys of earlier runs.")

# Modules are imported inside the commands: `preceptor --help` must not wait for what only one command needs.

app = typer.Typer(
    help="Clinical decision support that drafts, checks and flags inside the EHR.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def demo(
    fresh: bool = typer.Option(
        False, "--fresh", help="Begin anew: forget patients, documents and keys of earlier runs."
    ),
) -> None:
    """Start the suite, discharge a synthetic patient and show the checked document; Ctrl-C stops everything."""
    from preceptor.suite.commands import run

    raise typer.Exit(run(demonstrate=True, fresh=fresh))


@app.command()
def up(
    fresh: bool = typer.Option(
        False, "--fresh", help="Begin anew: forget patients, documents and keys of earlier runs."
    ),
) -> None:
    """Start the suite and keep it up until Ctrl-C, which stops everything it started."""
    from preceptor.suite.commands import run

    raise typer.Exit(run(demonstrate=False, fresh=fresh))


@app.command()
def down() -> None:
    """Stop the suite, or what a run that was killed left behind."""
    from preceptor.suite.commands import down

    raise typer.Exit(down())


@app.command()
def status() -> None:
    """Say which parts of the suite are ready."""
    from preceptor.suite.commands import status

    raise typer.Exit(status())


@app.command()
def prepare() -> None:
    """Make what a first start needs: models converted into the cache."""
    from preceptor.suite.commands import prepare_models

    raise typer.Exit(prepare_models())


@app.command()
def tasks() -> None:
    """Show the nine tasks, the approach chosen for each and the rule that decided."""
    from rich.console import Console

    from preceptor.tasks_table import tasks_table

    Console().print(tasks_table())


add_service_commands(app)
