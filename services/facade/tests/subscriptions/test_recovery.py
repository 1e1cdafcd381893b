"""From an EHR whose notifications go wrong to the document, over real sockets: what was lost is found again."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count

import facade.store.inbox
import facade.subscriptions.keeper as keeping
import httpx
import pytest
from facade.app import build_app
from facade.container import build_container
from facade.pipeline.delivery import Deliverer
from facade.pipeline.events import EventProcessor
from facade.settings import FacadeSettings
from facade.store.inbox import EventKind, NewEvent
from facade.subscriptions.commands import show_quarantine, subscribe_at
from facade.subscriptions.keeper import SubscriptionKeeper
from rich.console import Console

from tests.support.notification_bundles import Event, bundle
from tests.support.notification_storm import free_port, served, simulated_entry
from tests.support.simulated_ehr import Faults, SimulatedEhr

NUMBERS = count(1)


class Hospital:
    """A simulated EHR and a facade that is registered there."""

    def __init__(self, ehr, container, ehr_id):
        self.ehr = ehr
        self.container = container
        self.ehr_id = ehr_id

    @property
    def subscription(self):
        return self.ehr.subscription

    def keeper(self, **options):
        return SubscriptionKeeper(
            ehrs=self.container.ehrs,
            connections=self.container.connections,
            secrets=self.container.receiver.secrets,
            inbox=self.container.inbox,
            public_base_url=self.container.settings.public_base_url,
            wake=self.container.wake,
            **options,
        )

    async def keep(self, **options):
        return await self.keeper().keep(self.container.ehrs.get(self.ehr_id), **options)

    def processor(self):
        return EventProcessor(
            ehrs=self.container.ehrs,
            inbox=self.container.inbox,
            connections=self.container.connections,
            drafting=self.container.drafting,
            overlap_s=1,
        )

    def deliverer(self):
        parts = self.container
        return Deliverer(outbox=parts.outbox, connections=parts.connections, documents=parts.documents)

    async def state(self):
        return await self.container.inbox.subscriptions.get(self.ehr_id, self.subscription["id"])

    async def told(self, *encounters, number=1, **options):
        """Send one notification of these encounters as the EHR would."""
        events = [Event(number + index, one) for index, one in enumerate(encounters)]
        message = bundle(self.ehr.base, self.subscription, events, **options)
        (header,) = self.subscription["channel"]["header"]
        async with httpx.AsyncClient() as http:
            return await http.post(
                self.subscription["channel"]["endpoint"],
                content=json.dumps(message),
                headers={"Authorization": header.partition(": ")[2]},
            )

    async def at_rest(self):
        """Wait until the facade has nothing to do."""
        await self.ehr.settled()
        end = asyncio.get_running_loop().time() + 20
        while (await self.container.inbox.queue.counts()).get("pending"):
            assert asyncio.get_running_loop().time() < end
            await asyncio.sleep(0.05)

    def lose(self, encounter):
        """Let a stay end whose notification is lost."""
        self.ehr.faults.dropped = 1.0
        self.ehr.discharge(encounter)

    async def discharge(self, encounter):
        await self.ehr.settled()
        self.ehr.faults.dropped = 0.0
        self.ehr.discharge(encounter)

    def end_silently(self, encounter):
        """Let a stay end without any event."""
        resource = self.ehr.resources["Encounter"][encounter.partition("/")[2]]
        self.ehr._put(
            {**resource, "status": "finished", "period": {**resource["period"], "end": "2026-11-01T00:00:00Z"}}
        )

    async def written(self, *encounters):
        wanted = dict.fromkeys(encounters, 1)
        await eventually(lambda: self.ehr.effects() == wanted, lambda: self.ehr.effects())


async def eventually(is_so, told=lambda: None, limit_s=30):
    end = asyncio.get_running_loop().time() + limit_s
    while not is_so():
        assert asyncio.get_running_loop().time() < end, told()
        await asyncio.sleep(0.05)


@pytest.fixture
def hospital(tmp_path, secrets, suite, monkeypatch):
    """Opens a hospital; keywords are those of the simulated EHR, ``works`` says whether the facade's workers run."""
    monkeypatch.setattr(facade.store.inbox, "_SETTLING_S", 0.3)

    @asynccontextmanager
    async def open_one(*, works=True, entry=None, **options):
        ehr_port, port, ehr_id = free_port(), free_port(), f"simulated-{next(NUMBERS)}"
        ehr = SimulatedEhr(f"http://localhost:{ehr_port}", faults=Faults(), **options)
        registered = simulated_entry(ehr.base, **{"id": ehr_id, **(entry or {})})
        (tmp_path / "ehrs.json").write_text(json.dumps([registered]))
        settings = FacadeSettings(
            public_base_url=f"http://localhost:{port}",
            database_url=f"sqlite+aiosqlite:///{tmp_path / 'facade.sqlite3'}",
            ehrs_file=tmp_path / "ehrs.json",
            reconciliation_url=suite.reconciliation.url,
            retrieval_url="http://localhost:1/retrieval",
            port=port,
            poll_s=0.1,
            retry_base_s=0.1,
            retry_max_s=0.2,
            quarantine_after=3,
            subscription_check_s=0.3,
            catch_up_overlap_s=1.0,
        )
        container = build_container(settings, secrets)
        one = Hospital(ehr, container, ehr_id)
        try:
            async with served(ehr, ehr_port), served(build_app(container), port, lifespan="on" if works else "off"):
                if not works:
                    await container.database.migrate()
                    await one.keep()
                await eventually(lambda: (ehr.subscription or {}).get("status") == "active")
                yield one
        finally:
            await ehr.close()
            await container.http.aclose()
            await container.database.close()

    return open_one


@pytest.mark.requirement("d4", "", "Detect a gap from events-since-subscription-start, recover by $events.")
@pytest.mark.requirement(
    "d4", "hl7.fhir.uv.subscriptions_1.1.0@118",
    "[The eventsSinceNumber input indicates] The starting event number, inclusive of this event (lower bound).",
)  # fmt: skip
@pytest.mark.requirement(
    "d4", "hl7.fhir.uv.subscriptions_1.1.0@119",
    "[The eventsUntilNumber input indicates] The ending event number, inclusive of this event (upper bound).",
)  # fmt: skip
@pytest.mark.requirement(
    "d4", "hl7.fhir.uv.subscriptions_1.1.0@116",
    "[the content input indicates the] Requested content style of returned data. Codes from "
    "backport-content-value-set (e.g., empty, id-only, full-resource).",
)  # fmt: skip
@pytest.mark.parametrize("dialect", ["kebab-case", "R5"])
async def test_a_lost_event_is_asked_for_by_its_number(hospital, dialect):
    async with hospital(dialect=dialect) as one:
        stays = [one.ehr.admit(name) for name in "abc"]
        await one.discharge(stays[0])
        await one.at_rest()
        one.lose(stays[1])
        await one.discharge(stays[2])
        await one.written(*stays)
        assert one.ehr.asked["GET Subscription/$events"] >= 1
        state = await one.state()
        assert (state.through, state.highest) == (3, 3)


@pytest.mark.requirement("d4", "", "Recover by $events, else reconcile by search.")
@pytest.mark.requirement("d7", "", "One real server has no $events.")
async def test_without_events_the_lost_one_is_found_by_a_search(hospital):
    async with hospital(has_events=False) as one:
        stays = [one.ehr.admit(name) for name in "abc"]
        await one.discharge(stays[0])
        await one.at_rest()
        one.lose(stays[1])
        await one.discharge(stays[2])
        await one.written(*stays)
        state = await one.state()
        assert (state.through, state.highest) == (3, 3)


@pytest.mark.requirement("d4", "", "Detect a gap from events-since-subscription-start.")
async def test_the_last_event_is_missed_when_status_counts_it(hospital):
    async with hospital() as one:
        stay = one.ehr.admit("a")
        one.lose(stay)
        await one.written(stay)


@pytest.mark.requirement("d4", "", "Detect a gap from events-since-subscription-start.")
async def test_the_last_event_is_missed_when_a_heartbeat_counts_it(hospital):
    async with hospital(has_status=False, has_events=False) as one:
        stay = one.ehr.admit("a")
        await one.at_rest()
        one.lose(stay)
        await one.ehr.settled()
        await asyncio.sleep(1)
        assert not one.ehr.effects()
        await one.ehr.beat()
        await one.written(stay)


@pytest.mark.requirement("d7", "", "One real sender delivers event 2 before event 1.")
async def test_event_two_before_event_one_is_no_gap(hospital, monkeypatch):
    monkeypatch.setattr(facade.store.inbox, "_SETTLING_S", 1.0)
    async with hospital(works=True) as one:
        stays = [one.ehr.admit(name) for name in "ab"]
        for stay in stays:
            one.end_silently(stay)
        encounters = [one.ehr.resources["Encounter"][stay.partition("/")[2]] for stay in stays]
        one.ehr._subscribed[one.subscription["id"]].count = 2
        assert (await one.told(encounters[1], number=2)).status_code == 200
        await asyncio.sleep(0.2)
        assert (await one.told(encounters[0], number=1)).status_code == 200
        await one.written(*stays)
        await asyncio.sleep(1.5)
        assert one.ehr.asked["GET Subscription/$events"] == 0


@pytest.mark.requirement(
    "d5", "hl7.fhir.uv.subscriptions_1.1.0@81",
    "Discovering the error state and recovering from it are responsibilities of the subscriber. This includes "
    "resetting the Subscription to an active or requested status - a client is responsible for requesting "
    "re-activation of a subscription.",
)  # fmt: skip
@pytest.mark.requirement(
    "d5", "hl7.fhir.uv.subscriptions_1.1.0@82",
    "Once an application has returned to a functional state, it should request the subscription is reactivated by "
    "updating the status to either requested or active as appropriate.",
)  # fmt: skip
@pytest.mark.parametrize("status", ["error", "off"])
@pytest.mark.parametrize("has_status", [True, False])
async def test_what_ends_while_the_subscription_is_given_up_is_found(hospital, status, has_status):
    async with hospital(has_status=has_status, has_events=has_status) as one:
        stay = one.ehr.admit("a")
        one.ehr.change(one.subscription["id"], status=status)
        one.ehr.discharge(stay)
        await one.written(stay)
        assert one.subscription["status"] == "active"


@pytest.mark.requirement("d5", "", "Missed heartbeat -> $status.")
async def test_silence_after_heartbeats_leads_to_status_and_a_handshake(hospital):
    async with hospital(works=False) as one:
        one.ehr.asked.clear()
        keeper = one.keeper(silence=timedelta(seconds=0.3))
        ehr = one.container.ehrs.get(one.ehr_id)
        await keeper.keep(ehr)
        assert (await keeper.keep(ehr)).did == "present", "an EHR that never sent a heartbeat is not missed"
        await one.ehr.beat()
        assert (await keeper.keep(ehr)).did == "present"
        await asyncio.sleep(0.4)
        one.ehr.asked.clear()
        kept = await keeper.keep(ehr)
        assert one.ehr.asked["GET Subscription/$status"] == 1
        assert (kept.did, kept.why) == ("renewed", "the EHR has sent no heartbeat")
        await eventually(lambda: one.subscription["status"] == "active")


@pytest.mark.requirement("d1", "", "A Subscription is renewed before it ends.")
async def test_a_subscription_that_the_ehr_will_end_is_renewed_before(hospital):
    async with hospital(works=False) as one:
        soon = datetime.now(UTC) + timedelta(hours=3)
        one.ehr.change(one.subscription["id"], end=soon.isoformat())
        kept = await one.keep()
        assert (kept.did, kept.why) == ("renewed", "it would have ended soon")
        assert datetime.fromisoformat(one.subscription["end"].replace("Z", "+00:00")) > soon + timedelta(days=10)
        await eventually(lambda: one.subscription["status"] == "active")
        assert (await one.keep()).did == "present"


@pytest.mark.requirement("d1", "", "A limited-use secret in channel.header.")
async def test_a_new_secret_is_given_to_the_ehr_and_the_former_ends(hospital):
    async with hospital(works=False) as one:
        former = one.subscription["channel"]["header"]
        encounter = {"resourceType": "Encounter", "id": "x"}
        kept = await one.keep(new_secret=True)
        assert (kept.did, kept.why) == ("renewed", "the secret is new")
        assert one.subscription["channel"]["header"] != former
        await eventually(lambda: one.subscription["status"] == "active")
        assert (await one.told(encounter)).status_code == 200
        present = one.subscription["channel"]["header"]
        one.subscription["channel"]["header"] = former
        assert (await one.told(encounter)).status_code == 200, "what is on its way still carries the former secret"
        one.container.receiver.secrets._clock = lambda: datetime.now(UTC).timestamp() + 1000
        assert (await one.told(encounter)).status_code == 401
        one.subscription["channel"]["header"] = present
        assert (await one.told(encounter)).status_code == 200


async def test_a_secret_that_the_ehr_was_not_given_is_given_to_it_later(hospital, monkeypatch):
    async with hospital(works=False) as one:
        secrets = one.container.receiver.secrets
        await secrets.change(one.ehr_id)  # and then the process dies
        again = await secrets.change(one.ehr_id)
        assert again == await secrets.get(one.ehr_id), "no third secret is made while the second is not known there"
        assert (await one.told({"resourceType": "Encounter", "id": "x"})).status_code == 200
        assert (await one.keep()).why == "the secret is new"
        (header,) = one.subscription["channel"]["header"]
        assert header == f"Authorization: Bearer {again.token}"


async def test_a_subscription_of_somebody_else_is_left_alone(hospital):
    async with hospital(works=False, knows_tags=False) as one:
        ours = one.subscription["id"]
        other = {"resourceType": "Subscription", "id": "0", "status": "active", "criteria": "Patient?",
                 "channel": {"type": "rest-hook", "endpoint": "https://other.example.org"}}  # fmt: skip
        one.ehr._put(other)
        kept = await one.keep()
        assert (kept.subscription, kept.did) == (ours, "present")
        assert one.ehr.resources["Subscription"]["0"]["meta"]["versionId"] == "1"


async def test_of_two_subscriptions_of_ours_one_is_turned_off(hospital):
    async with hospital(works=False) as one:
        ours = one.subscription
        one.ehr._put({**ours, "id": "zz"})
        await one.keep()
        statuses = {name: each["status"] for name, each in one.ehr.resources["Subscription"].items()}
        assert statuses == {ours["id"]: "active", "zz": "off"}


@pytest.mark.requirement("d6", "", "The resource is read again with our own token.")
@pytest.mark.parametrize(
    ("said", "is_so", "documents"), [("finished", "in-progress", 0), ("in-progress", "finished", 1)]
)
async def test_what_a_full_resource_says_is_not_believed(hospital, said, is_so, documents):
    async with hospital(works=False) as one:
        stay = one.ehr.admit("a")
        if is_so == "finished":
            one.end_silently(stay)
        encounter = {**one.ehr.resources["Encounter"]["e-a"], "status": said}
        one.ehr._subscribed[one.subscription["id"]].count = 1
        assert (await one.told(encounter, payload="full-resource")).status_code == 200
        await nothing_pending(one.container.inbox.queue, one.processor())
        await nothing_pending(one.container.outbox.queue, one.deliverer())
        assert one.ehr.effects().total() == documents


async def test_many_events_about_one_stay_are_one_reading_of_it(hospital, suite):
    async with hospital(works=False) as one:
        stay = one.ehr.admit("a")
        one.end_silently(stay)
        encounter = one.ehr.resources["Encounter"]["e-a"]
        for number in range(1, 21):
            assert (await one.told(encounter, number=number)).status_code == 200
        one.ehr.asked.clear()
        processor = one.processor()
        while await processor.step():
            pass
        assert one.ehr.asked["GET Condition"] == 1
        assert one.ehr.asked["GET Encounter"] <= 3, "by the event, by the chart, and the search after the handshake"
        counts = await one.container.inbox.queue.counts()
        assert counts["done"] >= 20


async def test_what_keeps_failing_is_quarantined_seen_and_put_back(hospital):
    async with hospital(works=False) as one:
        stay = one.ehr.admit("a")
        one.end_silently(stay)
        encounter = one.ehr.resources["Encounter"]["e-a"]
        broken = {**encounter, "subject": {"reference": "urn:uuid:nobody"}}
        one.ehr.resources["Encounter"]["e-a"] = broken
        assert (await one.told(encounter)).status_code == 200
        processor = one.processor()
        await nothing_pending(one.container.inbox.queue, processor)
        # The event, and the same encounter found by the search after the handshake.
        kept = (await one.container.inbox.queue.counts())["quarantined"]
        assert kept in (1, 2)
        console = Console(record=True, width=200)
        assert not await show_quarantine(one.container, console)
        shown = console.export_text()
        assert "encounter" in shown
        assert "ehr-refused" in shown
        assert "e-a" not in shown, "which patient it is about is nobody's business here"
        one.ehr.resources["Encounter"]["e-a"] = encounter
        assert await one.container.inbox.queue.requeue() == kept
        await nothing_pending(one.container.inbox.queue, processor)
        assert await show_quarantine(one.container, console)
        assert await one.container.documents.get(one.ehr_id, stay)


async def nothing_pending(queue, worker, limit_s=20):
    """Let ``worker`` work until everything in ``queue`` is done or quarantined, what is due later too."""
    end = asyncio.get_running_loop().time() + limit_s
    while (await queue.counts()).get("pending"):
        assert asyncio.get_running_loop().time() < end
        if not await worker.step():
            await asyncio.sleep(0.05)


async def test_events_that_are_not_asked_for_or_not_of_this_server_are_not_taken_from_an_answer(hospital):
    async with hospital(works=False) as one:
        for name in "abc":
            one.end_silently(one.ehr.admit(name))
        encounters = [one.ehr.resources["Encounter"][f"e-{name}"] for name in "abc"]
        log = one.ehr._subscribed[one.subscription["id"]]
        log.count = 3
        # It answers with everything it has, whatever was asked for, and one of it is somewhere else.
        log.events = [Event(1, encounters[0]), Event(2, {**encounters[1], "id": "b/../../elsewhere"})]
        assert (await one.told(encounters[2], number=3)).status_code == 200
        await nothing_pending(one.container.inbox.queue, one.processor())
        documents = [await one.container.documents.get(one.ehr_id, f"Encounter/e-{name}") for name in "abc"]
        assert all(documents), "what the answer could not say was found by the search"


async def test_subscribe_says_what_is_there_and_what_it_did(hospital):
    async with hospital(works=False) as one:

        async def said(**options):
            console = Console(record=True, width=160)
            values = {"payload": None, "new_secret": False, "dry_run": False, **options}
            fine = await subscribe_at(one.container, console, one.ehr_id, **values)
            return fine, console.export_text()

        fine, text = await said(dry_run=True, payload="empty")
        assert fine
        assert "Nothing was sent." in text
        assert "Bearer (a secret)" in text
        assert one.subscription["channel"]["_payload"]["extension"][0]["valueCode"] == "id-only"
        fine, text = await said()
        assert fine
        assert "does not say which topics it has" in text
        assert "is as it should be; nothing was changed." in text
        fine, text = await said(payload="full-resource", new_secret=True)
        assert fine
        assert "was asked for again, because" in text
        assert "It is active: the EHR sends notifications." in text
        assert one.subscription["channel"]["_payload"]["extension"][0]["valueCode"] == "full-resource"
        assert (await one.keep()).did == "present", "the payload is remembered"
        (header,) = one.subscription["channel"]["header"]
        assert header.partition("Bearer ")[2] not in text
        fine, text = await said(payload="everything")
        assert not fine


async def test_subscribe_asks_for_no_topic_that_the_ehr_does_not_have(hospital, monkeypatch):
    async with hospital(works=False) as one:
        answer = one.ehr._answer

        def with_topics(method, path, *rest):
            if path.endswith("/metadata"):
                url = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/capabilitystatement-subscriptiontopic-canonical"
                extension = [{"url": url, "valueCanonical": "http://example.org/topic/another"}]
                resource = {"type": "Subscription", "extension": extension}
                return 200, {"resourceType": "CapabilityStatement", "rest": [{"resource": [resource]}]}
            return answer(method, path, *rest)

        monkeypatch.setattr(one.ehr, "_answer", with_topics)
        console = Console(record=True, width=160)
        options = {"payload": None, "new_secret": False, "dry_run": False}
        assert not await subscribe_at(one.container, console, one.ehr_id, **options)
        assert "is not one of them" in console.export_text()


async def test_an_event_of_a_page_is_drafted_before_the_stay_has_ended(hospital):
    async with hospital(works=False) as one:
        stay = one.ehr.admit("a")
        event = NewEvent(one.ehr_id, "page", 0, "asked", EventKind.DRAFT, stay, "r")
        await one.container.inbox.store([event])
        await nothing_pending(one.container.inbox.queue, one.processor())
        assert await one.container.documents.get(one.ehr_id, stay)


async def test_a_draft_that_a_clinician_waited_for_in_vain_is_made_later(hospital, suite):
    async with hospital(works=False) as one:
        stay = one.ehr.admit("a")
        suite.drafting.failure = "drafting-unavailable"
        for _ in range(3):
            events = [event async for event in one.container.drafting.stream(one.ehr_id, stay, "r")]
            assert events[-1].event == "failed"
        rows = await one.container.inbox.queue.counts()
        await one.processor().step()
        suite.drafting.failure = None
        await nothing_pending(one.container.inbox.queue, one.processor())
        assert await one.container.documents.get(one.ehr_id, stay)
        assert rows["pending"] <= 2, "asked three times, kept once, beside the search after the handshake"


def test_the_waiting_times_are_those_of_the_heartbeat_asked_for():
    assert timedelta(seconds=keeping.HEARTBEAT_S) * 2 <= keeping._SILENCE <= timedelta(seconds=keeping.HEARTBEAT_S) * 3
