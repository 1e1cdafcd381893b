"""The command ``preceptor ehr``: which EHRs are registered, whether they work for us, and what is stuck."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer
from fhir_support.client import FhirClientError
from fhir_support.identifiers import EFFECT_TAG
from rich.console import Console
from rich.table import Table
from service_runtime.secrets import SecretError
from service_runtime.settings import VaultSettings
from service_runtime.vault_store import connect_secret_store

from facade.container import Container, build_container
from facade.ehr.commands import add, list_ehrs, print_findings, remove
from facade.ehr.probe import Level, probe
from facade.ehr.registry import Ehr
from facade.settings import FacadeSettings
from facade.subscriptions.commands import show_quarantine, subscribe_at
from facade.subscriptions.subscription import subscription_uid

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def _group() -> None:
    """Register EHRs, and look after their Subscriptions and what could not be processed."""


app.command("add")(add)
app.command("remove")(remove)
app.command("list")(list_ehrs)


@app.command()
def check() -> None:
    """Ask each EHR what it can do, for a token and for our Subscription; exit 1 when one does not work."""
    _run(_check)


@app.command()
def subscribe(
    ehr: Annotated[str, typer.Argument(help="The EHR's id.")],
    payload: Annotated[str | None, typer.Option(help="empty, id-only (the usual) or full-resource.")] = None,
    new_secret: Annotated[bool, typer.Option("--new-secret", help="Replace the secret that the EHR sends.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what is there and what would be sent.")] = False,
) -> None:
    """Create, renew or show our Subscription at an EHR; exit 1 when it is not active."""
    _run(
        lambda container, console: subscribe_at(
            container, console, ehr, payload=payload, new_secret=new_secret, dry_run=dry_run
        )
    )


@app.command()
def quarantine() -> None:
    """List the events and effects that kept failing; exit 1 when there are any."""
    _run(show_quarantine)


@app.command()
def requeue(
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this only count.")] = False,
) -> None:
    """Put quarantined events and effects back, after what stopped them was repaired."""
    _run(lambda container, console: _requeue(container, console, yes))


def _run(work: Callable[[Container, Console], Awaitable[bool]]) -> None:
    """Run ``work`` with the parts of the facade; what it returns says whether all is well."""

    async def inside() -> bool:
        container = build_container(FacadeSettings(), connect_secret_store(VaultSettings()))
        try:
            return await work(container, Console())
        finally:
            await container.http.aclose()
            await container.database.close()

    if not asyncio.run(inside()):
        raise typer.Exit(1)


async def _check(container: Container, console: Console) -> bool:
    table = Table("EHR", "FHIR version", "token", "Subscription")
    fine = True
    for ehr in container.ehrs:
        cells, works = await _checked(container, ehr)
        table.add_row(ehr.id, *cells)
        said = [one for one in await probe(ehr, container.http) if one.level is not Level.FINE]
        if said:
            console.print(f"{ehr.id}:")
            print_findings(console, said)
        fine = fine and works and not any(one.level is Level.WRONG for one in said)
    console.print(table)
    return fine


async def _checked(container: Container, ehr: Ehr) -> tuple[list[str], bool]:
    """Return a cell for each question, in order; after the first that fails the others are not asked."""
    client = container.connections.client(ehr.id)
    uid = subscription_uid(ehr, container.settings.public_base_url)
    questions: list[Callable[[], Awaitable[str]]] = [
        lambda: _version(client.capabilities()),
        lambda: _granted(client.search("Encounter", [("_count", "1"), ("status", "finished")])),
        lambda: _status(client.search("Subscription", [("_tag", f"{EFFECT_TAG}|{uid}")])),
    ]
    cells: list[str] = []
    for question in questions:
        try:
            cells.append(await question())
        except (FhirClientError, SecretError) as error:
            return [*cells, f"{type(error).__name__} {error}", *[""] * (len(questions) - len(cells) - 1)], False
    return cells, cells[0].startswith("4.0") and cells[-1] == "active"


async def _version(answer: Awaitable[dict[str, Any]]) -> str:
    return str((await answer).get("fhirVersion", "unknown"))


async def _granted(answer: Awaitable[list[dict[str, Any]]]) -> str:
    await answer
    return "granted"


async def _status(answer: Awaitable[list[dict[str, Any]]]) -> str:
    found = await answer
    return str(found[0].get("status")) if found else "none"


async def _requeue(container: Container, console: Console, yes: bool) -> bool:
    for name, queue in (("events", container.inbox.queue), ("effects", container.outbox.queue)):
        count = await queue.requeue() if yes else (await queue.counts()).get("quarantined", 0)
        console.print(f"{count} {name} {'put back' if yes else 'in quarantine'}")
    return True
