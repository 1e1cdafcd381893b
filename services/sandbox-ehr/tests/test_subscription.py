"""A discharge is announced to a real receiver: handshake, event, retries, and once only."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

README = Path(__file__).parents[1] / "README.md"
DEMONSTRATION = "enc-ac4dcc33953d"
# Each test that discharges uses a stay of its own.
STAYS = ["enc-cc756340b096", "enc-ec997eba53d6", "enc-081ca84e8e7c", "enc-745ac6fa8c1a"]


@pytest.fixture(scope="module")
def sample() -> dict[str, Any]:
    """The Subscription that the README tells subscribers to create."""
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", README.read_text(), re.DOTALL)]
    return next(b for b in blocks if isinstance(b, dict) and b.get("resourceType") == "Subscription")


def subscribe(ehr: Any, sample: dict[str, Any], endpoint: str, **channel: Any) -> tuple[Any, str]:
    client = ehr.backend("system/Subscription.crus")
    made = client.post("Subscription", sample | {"channel": {**sample["channel"], "endpoint": endpoint, **channel}})
    assert made.status_code == 201, made.text
    return client, f"Subscription/{made.json()['id']}"


def discharge(ehr: Any, stay: str) -> Any:
    return ehr.http.post(f"/stays/{stay}/discharge", data=ehr.csrf())


def test_a_discharge_is_announced_once_with_only_its_id(ehr: Any, sample: Any, receiver: Any, waiting: Any) -> None:
    address, heard = receiver
    client, name = subscribe(ehr, sample, address)
    waiting(lambda: client.get(name).json()["status"] == "active")
    assert [n["status"] for n in heard.of_type("handshake")] == [["requested"]]

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: discharge(ehr, DEMONSTRATION), range(4)))
    notices = sorted(answer.headers["location"].rpartition("=")[2] for answer in answers)
    assert notices == ["discharged", "unchanged", "unchanged", "unchanged"]

    waiting(lambda: heard.of_type("event-notification"))
    time.sleep(0.3)
    (event,) = heard.of_type("event-notification")
    assert event["subscription"] == [{"reference": f"{ehr.fhir_base}/{name}"}]
    assert event["topic"] == [sample["criteria"]]
    assert event["events-since-subscription-start"] == ["1"]
    (parts,) = event["notification-event"]
    by_name = {part["name"]: part for part in parts}
    assert by_name["event-number"]["valueString"] == "1"
    assert by_name["focus"]["valueReference"]["reference"] == f"{ehr.fhir_base}/Encounter/{DEMONSTRATION}"
    headers, bundle = heard.received[-1]
    assert headers["authorization"] == "Bearer THE-SECRET"
    assert [e["resource"]["resourceType"] for e in bundle["entry"]] == ["Parameters"]

    stored = ehr.backend("system/Encounter.r").get(f"Encounter/{DEMONSTRATION}").json()
    assert (stored["status"], stored["meta"]["versionId"]) == ("finished", "2")
    assert stored["period"]["end"] > stored["period"]["start"]


def test_a_receiver_that_was_down_gets_the_event_later(ehr: Any, sample: Any, receiver: Any, waiting: Any) -> None:
    address, heard = receiver
    client, name = subscribe(ehr, sample, address)
    waiting(lambda: client.get(name).json()["status"] == "active")
    heard.status = 503
    discharge(ehr, STAYS[0])
    waiting(lambda: heard.of_type("event-notification"))
    heard.status = 200
    waiting(lambda: len(heard.of_type("event-notification")) == 2)
    first, second = heard.of_type("event-notification")
    assert first == second
    assert client.get(name).json()["status"] == "active"


def test_after_the_last_attempt_the_subscriber_must_come_back(
    ehr: Any, sample: Any, receiver: Any, waiting: Any
) -> None:
    address, heard = receiver
    client, name = subscribe(ehr, sample, address)
    waiting(lambda: client.get(name).json()["status"] == "active")
    heard.status = 500
    discharge(ehr, STAYS[1])
    waiting(lambda: client.get(name).json()["status"] == "error")
    heard.status = 200
    stored = client.get(name).json()
    client.put(name, stored | {"status": "requested"}).raise_for_status()
    waiting(lambda: client.get(name).json()["status"] == "active")
    assert heard.of_type("handshake")[-1]["events-since-subscription-start"] == ["1"]
    discharge(ehr, STAYS[2])
    waiting(lambda: heard.of_type("event-notification")[-1]["events-since-subscription-start"] == ["2"])


def test_a_change_that_is_no_discharge_is_not_announced(ehr: Any, sample: Any, receiver: Any, waiting: Any) -> None:
    address, heard = receiver
    client, name = subscribe(ehr, sample, address)
    waiting(lambda: client.get(name).json()["status"] == "active")
    writer = ehr.backend("system/Encounter.ru")
    for stay in (STAYS[3], STAYS[0]):  # one still open, one finished before
        encounter = writer.get(f"Encounter/{stay}").json()
        writer.put(f"Encounter/{stay}", encounter | {"serviceType": {"text": "Moved"}}).raise_for_status()
    opened = writer.get(f"Encounter/{STAYS[3]}").json()
    version = f'W/"{opened["meta"]["versionId"]}"'
    writer.put(f"Encounter/{STAYS[3]}", opened | {"status": "finished"}, If_Match=version).raise_for_status()
    waiting(lambda: heard.of_type("event-notification"))
    time.sleep(0.3)
    assert len(heard.of_type("event-notification")) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"criteria": "http://example.org/no-such-topic"},
        {
            "_criteria": {
                "extension": [
                    {
                        "url": "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
                        "backport-filter-criteria",
                        "valueString": "Encounter?status=finished",
                    }
                ]
            }
        },
    ],
)
def test_a_subscription_that_cannot_work_says_why(ehr: Any, sample: Any, receiver: Any, changes: Any) -> None:
    address, heard = receiver
    client, name = subscribe(ehr, sample | changes, address)
    stored = client.get(name).json()
    assert stored["status"] == "error"
    assert stored["error"]
    assert heard.received == []


def test_nobody_answering_the_handshake_is_an_error(ehr: Any, sample: Any, waiting: Any) -> None:
    client, name = subscribe(ehr, sample, "http://127.0.0.1:9/nothing")
    waiting(lambda: client.get(name).json()["status"] == "error")


def test_status_tells_the_number_of_events(ehr: Any, sample: Any, receiver: Any, waiting: Any) -> None:
    address, _ = receiver
    client, name = subscribe(ehr, sample, address)
    waiting(lambda: client.get(name).json()["status"] == "active")
    bundle = client.get(f"{name}/$status").json()
    parameters = {p["name"]: p for p in bundle["entry"][0]["resource"]["parameter"]}
    assert parameters["events-since-subscription-start"]["valueString"] == "0"


def test_heartbeats_come_when_asked_for(ehr: Any, sample: Any, receiver: Any, waiting: Any) -> None:
    address, heard = receiver
    extension = [sample["channel"]["extension"][0] | {"valueUnsignedInt": 1}]
    subscribe(ehr, sample, address, extension=extension)
    waiting(lambda: heard.of_type("heartbeat"))
