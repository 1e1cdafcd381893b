"""Sub-commands that installed services bring along, each imported only when it is called."""

import os
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points

import typer

__all__ = ["add_service_commands"]

_GROUP = "preceptor.commands"
_PANEL = "Commands of the services"
_SUMMARIES = {
    "ingest": "Add labels, formularies, interactions and guidelines to the index.",
    "train": "Train an adapter or model from nothing and measure it.",
    "train.discharge-instructions": "Make training stays, train the adapter for discharge instructions and measure it.",
    "train.triage": "Train the triage model on the national survey's files and report on a later year.",
    "monitor": "Watch over a model in use.",
    "monitor.triage": "Compare what triage proposed with what nurses decided and what came of it.",
    "ehr": "Register EHRs and look after their Subscriptions.",
}


def add_service_commands(app: typer.Typer) -> None:
    """Add a command per entry point of the group ``preceptor.commands`` (``ingest = "retrieval.commands:app"``).

    A name with a dot is a command of a family that several services add to: ``train.triage`` is ``train triage``.
    """
    families: dict[str, typer.Typer] = {}
    for point in sorted(entry_points(group=_GROUP), key=lambda one: one.name):
        family, _, name = point.name.rpartition(".")
        if family and family not in families:
            families[family] = typer.Typer(no_args_is_help=True, help=_SUMMARIES.get(family))
            app.add_typer(families[family], name=family, rich_help_panel=_PANEL)
        (families[family] if family else app).command(
            name,
            help=_SUMMARIES.get(point.name, f"Commands of {_service(point)}."),
            context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
            add_help_option=False,
            rich_help_panel=None if family else _PANEL,
        )(_command(point))


def _command(point: EntryPoint) -> Callable[[typer.Context], None]:
    def command(context: typer.Context) -> None:
        from preceptor.suite.environments import service_environment
        from preceptor.suite.settings import SuiteSettings

        # The service's settings on this machine are those the suite gives it; what is set outside stays.
        for name, value in service_environment(SuiteSettings(), _service(point)).items():
            os.environ.setdefault(name, value)
        service_app: typer.Typer = point.load()
        service_app(args=context.args, prog_name=f"preceptor {point.name.replace('.', ' ')}")

    return command


def _service(point: EntryPoint) -> str:
    return point.module.partition(".")[0].replace("_", "-")
