"""The command ``preceptor monitor triage``: a table of how proposals compare with decisions and outcomes."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from service_runtime.secrets import SecretError
from service_runtime.settings import VaultSettings
from service_runtime.vault_store import connect_secret_store

from facade.container import build_container
from facade.monitoring.routes import WEEKS, watched
from facade.monitoring.triage import GroupMeasures, Share, drift, measure
from facade.settings import FacadeSettings

__all__ = ["app", "report"]

_UNKNOWN = "–"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command("triage")
def triage(
    ehr: Annotated[str | None, typer.Option(help="The EHR's id; all of them without it.")] = None,
    weeks: Annotated[int, typer.Option(help="How many weeks to look back.", min=1, max=260)] = WEEKS,
) -> None:
    """Compare what triage proposed with what nurses decided and what came of it; exit 1 when nothing can be read."""
    console = Console()
    try:
        asyncio.run(_report(console, ehr, weeks))
    except SecretError:
        console.print("The secret store does not answer.", style="red")
        raise typer.Exit(1) from None


async def _report(console: Console, ehr_id: str | None, weeks: int) -> None:
    settings = FacadeSettings()
    container = build_container(settings, connect_secret_store(VaultSettings()))
    try:
        for ehr in container.ehrs:
            if ehr_id in (None, ehr.id):
                records = await watched(container, ehr.id, weeks)
                week_ago = datetime.now(UTC) - timedelta(weeks=1)
                before, now = ([one for one in records if (one.at < week_ago) is early] for early in (True, False))
                console.print(report(ehr.id, measure(records), drift(before, now)))
    finally:
        await container.http.aclose()
        await container.database.close()


def report(ehr_id: str, measures: list[GroupMeasures], moved: float | None) -> Table:
    """Return the table of one EHR."""
    title = f"Triage at {ehr_id}: drift of the last week's levels {'not known' if moved is None else f'{moved:.3f}'}"
    table = Table(
        "group", "proposals", "not scored", "as the nurse", "under", "over", "under by outcome", "over by outcome",
        "critical: risk / seen", "hospital: risk / seen", title=title,
        caption=f"{_UNKNOWN} is not known: nobody has said yet what the nurse decided, or what came of it.",
    )  # fmt: skip
    for one in measures:
        table.add_row(
            one.group if one.dimension == "all" else f"{one.dimension} {one.group}",
            str(one.proposals),
            str(one.not_scored),
            *map(
                _share,
                (
                    one.agreed,
                    one.under_triage,
                    one.over_triage,
                    one.under_triage_by_outcome,
                    one.over_triage_by_outcome,
                ),
            ),
            _risk(one, "critical"),
            _risk(one, "hospitalisation"),
        )
    return table


def _share(share: Share) -> str:
    if share.value is None or share.interval is None:
        return _UNKNOWN
    low, high = share.interval
    return f"{share.value:.0%} ({low:.0%} to {high:.0%}) of {share.of}"


def _risk(one: GroupMeasures, outcome: str) -> str:
    reported = one.reported.get(outcome)
    if reported is None or reported.value is None:
        return _UNKNOWN
    return f"{one.mean_risk[outcome]:.1%} / {reported.value:.1%} of {reported.of}"
