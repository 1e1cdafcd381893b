"""What a notification leaves in the inbox: each event once, whatever the sender does."""

import asyncio
import json

import pytest
from facade.store.inbox import Inbox
from service_runtime.secrets import SecretStoreUnavailable

from tests.support.notification_bundles import DIALECTS, PAYLOADS, Event, bundle

BASE = "http://localhost:1/fhir"
SUBSCRIPTION = {"resourceType": "Subscription", "id": "s", "criteria": "http://example.org/topic"}


def encounter(name, **more):
    return {"resourceType": "Encounter", "id": name, **more}


def handshake(count=0):
    return bundle(BASE, SUBSCRIPTION, [], count=count, kind="handshake", status="requested")


def heartbeat(count=0):
    return bundle(BASE, SUBSCRIPTION, [], count=count, kind="heartbeat")


def event(number, name=None, **options):
    return bundle(BASE, SUBSCRIPTION, [Event(number, encounter(name or str(number)))], **options)


@pytest.mark.requirement(
    "d2", "hl7.fhir.uv.subscriptions_1.1.0@20",
    "If the Endpoint responds appropriately, per the channel requirements (e.g., in REST an HTTP Success code such as "
    "200), the Server updates the subscription to active.",
)  # fmt: skip
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_handshake_is_answered_with_exactly_200_and_an_empty_body(receiving, dialect):
    answer = await receiving.post(bundle(BASE, SUBSCRIPTION, [], count=0, kind="handshake", dialect=dialect))
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.requirement("d2", "", "Event notification: 2xx only after it is stored durably.")
async def test_an_event_is_on_the_disk_before_it_is_acknowledged(receiving, monkeypatch):
    order = []
    insert = Inbox._insert

    async def inserting(self, session, rows):
        stored = await insert(self, session, rows)
        order.append("written")
        return stored

    monkeypatch.setattr(Inbox, "_insert", inserting)
    sent = receiving.client.request

    async def acknowledged(*arguments, **options):
        answer = await sent(*arguments, **options)
        # Another connection sees it only when the transaction has been committed.
        order.append(f"{answer.status_code} with {len(await receiving.rows())} on the disk")
        return answer

    monkeypatch.setattr(receiving.client, "request", acknowledged)
    await receiving.events(1)
    assert order == ["written", "200 with 1 on the disk"]


@pytest.mark.requirement("d2", "", "Event notification: 2xx only after it is stored durably.")
async def test_what_cannot_be_stored_now_is_not_acknowledged(receiving, monkeypatch):
    async def sealed(*_, **__):
        raise SecretStoreUnavailable("sealed")

    monkeypatch.setattr(receiving.container.cipher, "seal", sealed)
    answer = await receiving.post(event(1))
    assert answer.status_code == 503
    monkeypatch.undo()
    assert (await receiving.post(event(1))).status_code == 200
    assert await receiving.kinds() == ["encounter"]


@pytest.mark.requirement(
    "d3", "hl7.fhir.uv.subscriptions_1.1.0@71",
    "Clients supporting this guide SHALL be able to process a valid R4 Backported R5 SubscriptionStatus resource "
    "without errors.",
)  # fmt: skip
@pytest.mark.requirement(
    "d3", "hl7.fhir.uv.subscriptions_1.1.0@14",
    "In ... FHIR R4 ... notifications are based on a history Bundle. The first entry always contains "
    "SubscriptionStatus information, encoded as ... a Parameters resource using the Backport SubscriptionStatus "
    "Profile in FHIR R4",
)  # fmt: skip
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("payload", PAYLOADS)
async def test_every_dialect_and_payload_leads_to_the_same_event(receiving, dialect, payload):
    await receiving.events(1, dialect=dialect, payload=payload)
    (row,) = await receiving.rows()
    assert (row.number, row.epoch) == (1, 0)
    wanted = ("catch-up", "s") if payload == "empty" else ("encounter", "Encounter/1")
    opened = await receiving.container.inbox.open(row)
    assert (opened.kind, opened.focus) == wanted
    assert (await receiving.state()).through == 1


@pytest.mark.requirement(
    "d3", "hl7.fhir.uv.subscriptions_1.1.0@98",
    "Subscription.channel.extension:maxCount: If present, the maximum number of triggering resources that will be "
    "included in a notification bundle",
)  # fmt: skip
async def test_several_events_come_in_one_bundle(receiving):
    await receiving.events(1, 2, 3, payload="full-resource")
    assert [(row.number, row.kind) for row in await receiving.rows()] == [
        (1, "encounter"), (2, "encounter"), (3, "encounter"),
    ]  # fmt: skip


@pytest.mark.requirement("d3", "", "Types handshake, heartbeat, event-notification, query-status and query-event.")
@pytest.mark.parametrize(
    ("message", "kinds", "highest"),
    [
        (handshake(), ["catch-up"], 0),
        (heartbeat(), [], 0),
        (event(1), ["encounter"], 1),
        (event(1, kind="query-event"), ["encounter"], 1),
        (bundle(BASE, SUBSCRIPTION, [], count=0, kind="query-status"), [], 0),
        (bundle(BASE, SUBSCRIPTION, [], count=1, kind="query-status"), ["gap"], 1),
    ],
    ids=["handshake", "heartbeat", "event-notification", "query-event", "query-status", "query-status-of-one"],
)
async def test_every_type_is_understood(receiving, message, kinds, highest):
    assert (await receiving.post(message)).status_code == 200
    assert await receiving.kinds() == kinds
    assert (await receiving.state()).highest == highest


@pytest.mark.requirement(
    "d4", "hl7.fhir.uv.subscriptions_1.1.0@17",
    "Some notifications might not be delivered. Some notifications might be delivered multiple times",
)  # fmt: skip
async def test_a_repetition_is_acknowledged_and_stored_once(receiving):
    for _ in range(3):
        assert (await receiving.post(event(1))).status_code == 200  # not the same bytes: each has its own id
    same = event(2)
    for _ in range(3):
        assert (await receiving.post(same)).status_code == 200
    assert [row.number for row in await receiving.rows()] == [1, 2]


async def test_repetitions_that_come_at_once_are_stored_once(receiving):
    answers = await asyncio.gather(*(receiving.post(event(1 + index % 4)) for index in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    numbered = [row.number for row in await receiving.rows() if row.number is not None]
    assert sorted(numbered) == [1, 2, 3, 4]
    assert (await receiving.state()).through == 4


@pytest.mark.requirement(
    "d4", "hl7.fhir.uv.subscriptions_1.1.0@102",
    "The total number of actual events which have been generated since the Subscription was created (inclusive of "
    "this notification) - regardless of how many have been successfully communicated. This number is NOT incremented "
    "for handshake and heartbeat notifications.",
)  # fmt: skip
@pytest.mark.requirement(
    "d4", "hl7.fhir.uv.subscriptions_1.1.0@103",
    "The sequential number of this event in this subscription context.",
)  # fmt: skip
@pytest.mark.parametrize(
    ("messages", "kinds", "through"),
    [
        ([handshake(), heartbeat(), event(1), heartbeat(1), event(2)], ["catch-up", "encounter", "encounter"], 2),
        ([event(1), event(2)], ["encounter", "encounter"], 2),
        ([event(2), event(1)], ["encounter", "gap", "encounter"], 2),
        ([event(1), event(4)], ["encounter", "encounter", "gap"], 1),
        ([event(1), event(4), event(6)], ["encounter", "encounter", "gap", "encounter"], 1),
        ([event(1), event(2, count=3)], ["encounter", "encounter", "gap"], 2),
        ([event(1), heartbeat(1), heartbeat(3)], ["encounter", "gap"], 1),
        ([handshake(2)], ["catch-up", "gap"], 0),
    ],
    ids=[
        "handshake-and-heartbeat-do-not-count", "in-order", "two-before-one", "gap-in-the-numbers", "one-look-at-a-gap",
        "gap-in-the-count", "gap-told-by-a-heartbeat", "gap-told-by-a-handshake",
    ],
)  # fmt: skip
async def test_a_hole_in_the_numbers_is_looked_at_and_nothing_else(receiving, messages, kinds, through):
    for message in messages:
        assert (await receiving.post(message)).status_code == 200
    assert await receiving.kinds() == kinds
    assert (await receiving.state()).through == through


async def test_the_look_at_a_hole_waits_for_events_on_their_way(receiving):
    await receiving.events(2)
    gap = (await receiving.rows())[1]
    assert 1 <= (gap.next_attempt_at - gap.created_at).total_seconds() <= 5


@pytest.mark.requirement("d4", "", "Dedupe on (subscription, epoch, event number).")
@pytest.mark.parametrize(
    "again",
    [[handshake(0), event(1, "other")], [event(1, "other")]],
    ids=["told-by-a-handshake", "seen-by-another-event-of-that-number"],
)
async def test_a_counter_that_was_set_back_begins_a_new_epoch(receiving, again):
    await receiving.events(1)
    await receiving.events(2)
    for message in again:
        assert (await receiving.post(message)).status_code == 200
    rows = await receiving.rows()
    focuses = [(row.epoch, (await receiving.container.inbox.open(row)).focus) for row in rows if row.number is not None]
    assert focuses == [(0, "Encounter/1"), (0, "Encounter/2"), (1, "Encounter/other")]
    assert "catch-up" in [row.kind for row in rows], "what was missed between the two is searched for"
    state = await receiving.state()
    assert (state.epoch, state.highest, state.through) == (1, 1, 1)


async def test_the_same_event_written_in_another_way_is_no_new_epoch(receiving):
    relative = event(1)
    for parameter in relative["entry"][0]["resource"]["parameter"]:
        for part in parameter.get("part", []):
            if part["name"] == "focus":
                part["valueReference"]["reference"] = "Encounter/1"
    for message in (event(1), relative, event(1, dialect="R5"), event(1, payload="empty")):
        assert (await receiving.post(message)).status_code == 200
    assert [(row.number, row.epoch) for row in await receiving.rows()] == [(1, 0)]


@pytest.mark.parametrize(
    ("focus", "kind"),
    [
        ("Patient/1", "other"),
        ("https://evil.example.org/fhir/Encounter/1", "other"),
        ("http://localhost:1/fhir/../Encounter/1", "other"),
        ("urn:uuid:0c5bd5c1-8f2c-4b5f-9a54-6a2f7a1d2c3b", "other"),
        ("http://localhost:1/fhir/Encounter/1", "encounter"),
        ("Encounter/1/_history/3", "encounter"),
    ],
)
async def test_what_is_not_followed_counts_and_is_not_looked_at(receiving, focus, kind):
    message = event(1)
    parts = next(one for one in message["entry"][0]["resource"]["parameter"] if one["name"] == "notification-event")
    next(part for part in parts["part"] if part["name"] == "focus")["valueReference"]["reference"] = focus
    assert (await receiving.post(message)).status_code == 200
    (row,) = await receiving.rows()
    assert (row.kind, row.state) == (kind, "done" if kind == "other" else row.state)
    assert (await receiving.state()).through == 1


@pytest.mark.requirement(
    "d3", "hl7.fhir.uv.subscriptions_1.1.0@44",
    "Notification bundles for full-resource subscriptions SHALL contain, in addition to the SubscriptionStatus, at "
    "least one Bundle.entry for each resource relevant to the notification.",
)  # fmt: skip
async def test_a_sender_that_lists_no_events_is_understood_by_its_other_entries(receiving):
    message = event(1, payload="full-resource")
    status = message["entry"][0]["resource"]
    status["parameter"] = [one for one in status["parameter"] if one["name"] != "notification-event"]
    assert (await receiving.post(message)).status_code == 200
    (row,) = await receiving.rows()
    assert (row.number, row.kind) == (1, "encounter")


@pytest.mark.requirement("d6", "", "Content of a notification never drives a decision.")
async def test_nothing_of_a_full_resource_is_kept(receiving):
    sent = encounter("1", status="finished", subject={"display": "Zebediah Quillfeather"})
    message = bundle(BASE, SUBSCRIPTION, [Event(1, sent)], payload="full-resource")
    assert (await receiving.post(message)).status_code == 200
    (row,) = await receiving.rows()
    opened = await receiving.container.inbox.open(row)
    assert opened.focus == "Encounter/1"
    async with receiving.container.database.reading() as session:
        dump = (await session.connection()).sync_connection.connection.driver_connection  # the raw connection
        lines = [line async for line in dump.iterdump()]
    assert not [line for line in lines if "Quillfeather" in line or "Encounter/1" in line]


@pytest.mark.requirement("d3", "", "Classic R4 rest-hook (empty POST, or PUT of the resource) too.")
@pytest.mark.parametrize(
    ("method", "path", "body", "wanted"),
    [
        ("POST", "", b"", [("catch-up", "rest-hook")]),
        ("POST", "", json.dumps(encounter("1", status="finished")).encode(), [("encounter", "Encounter/1")]),
        ("PUT", "/Encounter/1", json.dumps(encounter("1")).encode(), [("encounter", "Encounter/1")]),
        ("PUT", "/Encounter/1", b"", [("encounter", "Encounter/1")]),
        ("PUT", "/Encounter/1", b"not json", [("encounter", "Encounter/1")]),
        ("PUT", "/Patient/1", b"{}", []),
    ],
)
async def test_a_classic_rest_hook_leads_to_a_search_or_to_what_its_address_names(
    receiving, method, path, body, wanted
):
    answer = await receiving.post(body, f"/subscriptions/sandbox{path}", method)
    assert answer.status_code == 200
    rows = await receiving.rows("rest-hook")
    opened = [await receiving.container.inbox.open(row) for row in rows]
    assert [(str(one.kind), one.focus) for one in opened] == wanted


async def test_messages_without_any_number_are_all_events(receiving):
    for _ in range(2):
        await receiving.post(json.dumps(encounter("1")).encode())
    rows = await receiving.rows("rest-hook")
    assert [row.kind for row in rows] == ["encounter", "encounter"]
    assert len({row.group_key for row in rows}) == 1, "they are dealt with together"


@pytest.mark.parametrize("number", ["-1", "99999999999", "1e3", "one", "1.5"])
async def test_a_number_that_no_counter_reaches_is_refused(receiving, number):
    message = event(1)
    parts = next(one for one in message["entry"][0]["resource"]["parameter"] if one["name"] == "notification-event")
    parts["part"][0]["valueString"] = number
    answer = await receiving.post(message)
    assert answer.status_code == 400
    assert await receiving.rows() == []
