"""Sub-commands that installed services bring along, each imported only when it is called."""

import os
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points

import typer

__all__ = ["add_service_commands"]

_GROUP = "preceptor.commands"
_SUMMARIES = {
    "ingest": "Add labels, formularies, interactions and guidelines to the index.",
    "train": "Make training stays, train an adapter and measure it.",
    "ehr": "List the EHRs and look after their Subscriptions.",
}


def add_service_commands(app: typer.Typer) -> None:
    """Add a command per entry point of the group ``preceptor.commands`` (``ingest = "retrieval.commands:app"``)."""
    for point in sorted(entry_points(group=_GROUP), key=lambda one: one.name):
        app.command(
            point.name,
            help=_SUMMARIES.get(point.name, f"Commands of {_service(point)}."),
            context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
            add_help_option=False,
            rich_help_panel="Commands of the services",
        )(_command(point))


def _command(point: EntryPoint) -> Callable[[typer.Context], None]:
    def command(context: typer.Context) -> None:
        from preceptor.suite.environments import service_environment
        from preceptor.suite.settings import SuiteSettings

        # The service's settings on this machine are those the suite gives it; what is set outside stays.
        for name, value in service_environment(SuiteSettings(), _service(point)).items():
            os.environ.setdefault(name, value)
        service_app: typer.Typer = point.load()
        service_app(args=context.args, prog_name=f"preceptor {point.name}")

    return command


def _service(point: EntryPoint) -> str:
    return point.module.partition(".")[0].replace("_", "-")
