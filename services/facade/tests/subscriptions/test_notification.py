"""Reading notifications: every shape that real servers send, and what is no notification at all."""

import json

import pytest
from facade.subscriptions.notification import NotificationType, NotifiedEvent, read_notification
from fhir_support.errors import BadRequest


def parameters(*events, kind="event-notification", count="7", kebab=True, number_type="valueString"):
    def name(text):
        if kebab:
            return text
        first, *rest = text.split("-")
        return first + "".join(word.title() for word in rest)

    listed = [
        {"name": name("subscription"), "valueReference": {"reference": "https://ehr.example.org/fhir/Subscription/s"}},
        {"name": name("type"), "valueCode": kind},
        {"name": name("events-since-subscription-start"), number_type: count},
    ]
    for number, focus in events:
        part = [{"name": name("event-number"), number_type: number}] if number is not None else []
        part += [{"name": name("focus"), "valueReference": {"reference": focus}}] if focus else []
        listed.append({"name": name("notification-event"), "part": part})
    return {"resourceType": "Parameters", "parameter": listed}


def status(*events, kind="event-notification", count=7):
    return {
        "resourceType": "SubscriptionStatus",
        "type": kind,
        "subscription": {"reference": "Subscription/s"},
        "eventsSinceSubscriptionStart": count,
        "notificationEvent": [{"eventNumber": number, "focus": {"reference": focus}} for number, focus in events],
    }


def bundle(first, *more):
    entries = [{"resource": one} for one in (first, *more)]
    return json.dumps({"resourceType": "Bundle", "type": "history", "entry": entries}).encode()


ENCOUNTER = "Encounter/1"
ONE = ("7", ENCOUNTER)


@pytest.mark.parametrize(
    "body",
    [
        bundle(parameters(ONE)),
        bundle(parameters(ONE, kebab=False)),
        bundle(parameters((7, ENCOUNTER), count=7, number_type="valueInteger64")),
        bundle(parameters((7, ENCOUNTER), count=7, number_type="valueUnsignedInt")),
        bundle(status(ONE)),
        bundle(status((7, ENCOUNTER)), {"resourceType": "Encounter", "id": "1", "status": "finished"}),
    ],
    ids=["kebab-case", "camelCase", "integer64", "unsignedInt", "SubscriptionStatus", "full-resource"],
)
def test_every_shape_says_the_same(body):
    read = read_notification(body)
    assert read.type is NotificationType.EVENT
    assert read.subscription.endswith("Subscription/s")
    assert (read.count, read.events) == (7, (NotifiedEvent(7, ENCOUNTER),))


@pytest.mark.parametrize("kind", ["handshake", "heartbeat"])
def test_handshake_and_heartbeat_have_no_events(kind):
    read = read_notification(bundle(parameters(kind=kind, count="0")))
    assert (str(read.type), read.count, read.events) == (kind, 0, ())


def test_several_events_come_in_one_bundle_and_an_empty_payload_has_no_focus():
    read = read_notification(bundle(parameters(("8", ENCOUNTER), ("9", None))))
    assert read.events == (NotifiedEvent(8, ENCOUNTER), NotifiedEvent(9, None))


def test_repetitions_have_one_key_and_different_events_do_not():
    first, second = (read_notification(bundle(parameters((number, ENCOUNTER)))) for number in ("7", "8"))
    assert first.dedupe_key(first.events[0], "r") == first.dedupe_key(first.events[0], "r")
    assert first.dedupe_key(first.events[0], "r") != second.dedupe_key(second.events[0], "r")
    numberless = [read_notification(bundle(parameters((None, focus)))) for focus in (ENCOUNTER, "Encounter/2")]
    keys = {one.dedupe_key(one.events[0], "r") for one in numberless}
    assert len(keys) == 2
    assert all(len(key) <= 64 for key in keys)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"7",
        b'"Bundle"',
        b"[" * 100_000,
        json.dumps({"resourceType": "Patient"}).encode(),
        json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": []}).encode(),
        json.dumps({"resourceType": "Bundle", "type": "history"}).encode(),
        json.dumps({"resourceType": "Bundle", "type": "history", "entry": {}}).encode(),
        json.dumps({"resourceType": "Bundle", "type": "history", "entry": [None]}).encode(),
        json.dumps({"resourceType": "Bundle", "type": "history", "entry": ["x"]}).encode(),
        bundle({"resourceType": "Encounter", "id": "1"}),
        bundle({"resourceType": "Parameters"}),
        bundle({"resourceType": "Parameters", "parameter": "x"}),
        bundle({"resourceType": "Parameters", "parameter": [1]}),
        bundle(parameters(kind="' OR 1=1")),
        bundle(parameters(ONE, count="many")),
        bundle(parameters(("-", ENCOUNTER))),
        bundle(status((7, ENCOUNTER)) | {"notificationEvent": [1]}),
        bundle(status((7, ENCOUNTER)) | {"notificationEvent": "x"}),
        bundle(status((7, ENCOUNTER)) | {"subscription": None}),
    ],
)
def test_what_is_no_notification_is_refused_without_repeating_it(body):
    with pytest.raises(BadRequest) as refused:
        read_notification(body)
    assert refused.value.text in {
        "The body is not JSON.",
        "A notification is a Bundle of type history.",
        "The subscription status cannot be read.",
        "The first entry is not a subscription status.",
    }
