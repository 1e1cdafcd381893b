"""What ``preceptor ehr subscribe`` and ``preceptor ehr quarantine`` do, and say in plain words."""

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any

from fhir_support.client import FhirClientError
from fhir_support.r4 import ResourceInvalid
from rich.console import Console
from rich.table import Table
from service_runtime.secrets import SecretError

from facade.container import Container
from facade.ehr.registry import Ehr, UnknownEhr
from facade.store.tables import LeasedRow
from facade.subscriptions.keeper import SubscriptionKeeper
from facade.subscriptions.subscription import PAYLOADS, endpoint, is_classic, subscription_resource
from facade.subscriptions.topics import Topic, discover_topics

__all__ = ["show_quarantine", "subscribe_at"]

_HANDSHAKE_S = 20.0


async def subscribe_at(
    container: Container, console: Console, ehr_id: str, *, payload: str | None, new_secret: bool, dry_run: bool
) -> bool:
    """Bring our Subscription at an EHR into order and say what was found and done; return whether it is active."""
    if payload is not None and payload not in PAYLOADS:
        console.print(f"A payload is one of: {', '.join(PAYLOADS)}.")
        return False
    try:
        ehr = container.ehrs.get(ehr_id)
    except UnknownEhr:
        console.print(f"No EHR is registered as {ehr_id}. There are: {', '.join(one.id for one in container.ehrs)}.")
        return False
    await container.database.migrate()
    keeper = SubscriptionKeeper(
        ehrs=container.ehrs,
        connections=container.connections,
        secrets=container.receiver.secrets,
        inbox=container.inbox,
        public_base_url=container.settings.public_base_url,
        wake=container.wake,
    )
    try:
        if not is_classic(ehr) and not await _knows_topic(container, console, ehr):
            return False
        found = await keeper.find(ehr, change=not dry_run)
        _show_found(console, ehr, found)
        if dry_run:
            wanted = subscription_resource(ehr, container.settings.public_base_url, "(a secret)", payload=payload)
            console.print("Nothing was sent. This is what would be asked for:")
            console.print_json(json.dumps(wanted))
            return True
        kept = await keeper.keep(ehr, payload=payload, new_secret=new_secret)
        console.print(_DID[kept.did].format(id=kept.subscription, why=kept.why))
        status = await _handshake(keeper, ehr)
    except (FhirClientError, SecretError, ResourceInvalid) as error:
        console.print(f"That did not work: {type(error).__name__} {error}.")
        return False
    _show_status(console, status, endpoint(ehr.id, container.settings.public_base_url))
    await _show_numbers(container, console, ehr, kept.subscription)
    return status == "active"


_DID = {
    "created": "Subscription/{id} was created.",
    "renewed": "Subscription/{id} was asked for again, because {why}.",
    "present": "Subscription/{id} is as it should be; nothing was changed.",
}


async def _knows_topic(container: Container, console: Console, ehr: Ehr) -> bool:
    """Say which topics the EHR has; return whether ours can be asked for."""
    topics = await discover_topics(container.connections.client(ehr.id))
    if not topics:
        console.print(f"The EHR does not say which topics it has; {ehr.encounter_topic} is asked for as registered.")
        return True
    _show_topics(console, topics, ehr.encounter_topic)
    if ehr.encounter_topic in {topic.url for topic in topics}:
        return True
    console.print(f"{ehr.encounter_topic} is not one of them. Register the EHR with a topic that it has.")
    return False


def _show_topics(console: Console, topics: Sequence[Topic], ours: str) -> None:
    table = Table("topic", "title", "found in", "ours")
    for topic in topics:
        table.add_row(topic.url, topic.title or "", topic.source, "yes" if topic.url == ours else "")
    console.print(table)


def _show_found(console: Console, ehr: Ehr, found: dict[str, Any] | None) -> None:
    if found is None:
        console.print(f"{ehr.name} has no Subscription of ours.")
        return
    ends = f", ends {found['end']}" if found.get("end") else ""
    console.print(f"{ehr.name} has Subscription/{found['id']}: {found.get('status')}{ends}.")
    if found.get("error"):
        console.print(f"It says why: {found['error']}")


async def _handshake(keeper: SubscriptionKeeper, ehr: Ehr) -> str:
    """Return the status that the EHR gives the Subscription once it has tried to reach us."""
    end = time.monotonic() + _HANDSHAKE_S
    while True:
        found = await keeper.find(ehr)
        status = str((found or {}).get("status"))
        if status != "requested" or time.monotonic() > end:
            return status
        await asyncio.sleep(0.5)


def _show_status(console: Console, status: str, address: str) -> None:
    if status == "active":
        console.print("It is active: the EHR sends notifications.")
    elif status == "requested":
        console.print(f"It is still requested: the EHR has not reached {address} yet.")
    else:
        console.print(f"It is {status}: the EHR could not reach {address}, or was not answered with 200.")


async def _show_numbers(container: Container, console: Console, ehr: Ehr, subscription: str) -> None:
    state = await container.inbox.subscriptions.get(ehr.id, subscription)
    missing = await container.inbox.subscriptions.missing(state)
    heard = state.heard_at.strftime("%Y-%m-%d %H:%M:%S UTC") if state.heard_at else "never"
    console.print(f"Events heard of: {state.highest}; missing: {len(missing)}; last heard: {heard}.")


async def show_quarantine(container: Container, console: Console) -> bool:
    """List what kept failing and was taken out of the queues; return whether there is nothing."""
    await container.database.migrate()
    events = await container.inbox.queue.quarantined()
    effects = await container.outbox.queue.quarantined()
    if not events and not effects:
        console.print("Nothing is in quarantine.")
        return True
    table = Table("what", "EHR", "kind", "number", "attempts", "reason", "since")
    for event in events:
        table.add_row(*_cells("event", event, "" if event.number is None else str(event.number)))
    for effect in effects:
        table.add_row(*_cells("effect", effect, ""))
    console.print(table)
    console.print("After what stopped them was repaired: preceptor ehr requeue --yes")
    return False


def _cells(what: str, row: LeasedRow, number: str) -> tuple[str, ...]:
    kind = str(getattr(row, "kind", ""))
    since = row.created_at.strftime("%Y-%m-%d %H:%M:%S")
    return f"{what} {row.sequence}", row.ehr_id, kind, number, str(row.attempts), row.reason or "", since
