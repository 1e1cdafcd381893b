"""The nine tasks with the approach the decision framework chooses for each, and why."""

from rich.box import SIMPLE_HEAD
from rich.table import Table
from service_contracts.tasks import TASKS, Approach, TaskSpec, choose

__all__ = ["tasks_table"]

_STYLES = {Approach.RETRIEVAL: "cyan", Approach.ADAPTER: "magenta", Approach.HYBRID: "bold green"}


def tasks_table() -> Table:
    """Return one row per task."""
    table = Table(title="Tasks", box=SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for column in ("Task", "Approach", "Because", "Answers within"):
        table.add_column(column, no_wrap=column in ("Task", "Approach", "Answers within"))
    for spec in TASKS:
        approach, rule = choose(spec)
        table.add_row(
            spec.name,
            f"[{_STYLES[approach]}]{approach}[/]",
            str(rule),
            _budget(spec),
        )
    return table


def _budget(spec: TaskSpec) -> str:
    budget = f"{spec.budget_ms} ms" if spec.budget_ms < 1_000 else f"{spec.budget_ms / 1_000:g} s"
    return f"{budget} (first words)" if spec.streaming else budget
