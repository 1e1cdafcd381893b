"""An EHR in memory whose notifications go wrong as those of real servers do: lost, sent twice, late, out of order.

It serves what the facade asks of an EHR when a stay ends, and no more: a token, the Subscription with ``$status`` and
``$events``, the encounter with an empty chart and one order, searches, and transactions with conditional creation. What
it sends is built as the server of the sandbox EHR builds it (``notification_bundles``). It is an ASGI application, and
delivers from the event loop it was started in.
"""

import asyncio
import json
import random
import re
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import httpx

from tests.support.notification_bundles import Event, bundle, now

__all__ = ["Faults", "SimulatedEhr"]

Resource = dict[str, Any]


@dataclass
class Faults:
    """What goes wrong, as shares of the events; ``gives_up_s`` is how long one delivery is tried."""

    dropped: float = 0.0
    duplicated: float = 0.0
    reordered: float = 0.0
    delay_s: float = 1.5
    gives_up_s: float = 1.0


@dataclass
class _Subscribed:
    """A Subscription's events, and which of them the sender believes to have delivered."""

    events: list[Event] = field(default_factory=list)
    count: int = 0


class SimulatedEhr:
    """See the module. ``has_status`` and ``has_events`` say which operations it knows.

    One that does not know tags (``knows_tags``) answers a search by them as if nothing had been asked.
    """

    def __init__(
        self,
        base_url: str,
        *,
        faults: Faults | None = None,
        seed: int = 1,
        has_status: bool = True,
        has_events: bool = True,
        knows_tags: bool = True,
        heartbeat_s: float | None = None,
        dialect: str = "kebab-case",
        senders: int = 16,
    ) -> None:
        self.base = f"{base_url}/fhir"
        self.faults = faults or Faults()
        self.has_status = has_status
        self.has_events = has_events
        self.knows_tags = knows_tags
        self.heartbeat_s = heartbeat_s
        self.dialect = dialect
        self.resources: dict[str, dict[str, Resource]] = {}
        self.created: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.told: Counter[str] = Counter()
        self.answers: Counter[int] = Counter()
        self._chance = random.Random(seed)
        self._subscribed: dict[str, _Subscribed] = {}
        self._by_query: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._sending = asyncio.Semaphore(senders)
        self._http = httpx.AsyncClient(timeout=5, limits=httpx.Limits(max_connections=senders * 2))

    # What happens in the hospital.

    def admit(self, name: str) -> str:
        """Admit a patient; return the encounter's reference."""
        self._put({"resourceType": "Patient", "id": f"p-{name}", "gender": "female", "birthDate": "1961-02-03"})
        code = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"}
        subject = {"reference": f"Patient/p-{name}"}
        encounter = {
            "resourceType": "Encounter", "id": f"e-{name}", "status": "in-progress", "class": code, "subject": subject,
            "period": {"start": now()}, "reasonCode": [{"text": "Chest pain"}],
        }  # fmt: skip
        self._put(encounter)
        return f"Encounter/e-{name}"

    def discharge(self, encounter: str) -> None:
        """End a stay, which is an event of every active Subscription."""
        resource = self.resources["Encounter"][encounter.partition("/")[2]]
        finished = {**resource, "status": "finished", "period": {**resource["period"], "end": now()}}
        self._put(finished)
        for subscription in self.resources.get("Subscription", {}).values():
            if subscription["status"] == "active":
                self._happened(subscription, finished)

    def change(self, subscription_id: str, **values: Any) -> None:
        """Change the Subscription from the EHR's side (``status``, ``end``)."""
        self._put({**self.resources["Subscription"][subscription_id], **values})

    def set_back(self, subscription_id: str, count: int = 0) -> None:
        """Let the counter begin again, as after a restore from a backup."""
        self._subscribed[subscription_id] = _Subscribed(count=count)

    @property
    def subscription(self) -> Resource | None:
        """The Subscription that is not turned off, if there is one."""
        found = [one for one in self.resources.get("Subscription", {}).values() if one["status"] != "off"]
        return found[0] if found else None

    def effects(self, kind: str = "Composition") -> Counter[str]:
        """How many resources of that type each encounter has."""
        element = {"Composition": "encounter", "Task": "focus"}[kind]
        return Counter(one[element]["reference"] for one in self.resources.get(kind, {}).values())

    async def beat(self) -> None:
        """Send a heartbeat to every active Subscription."""
        for subscription in list(self.resources.get("Subscription", {}).values()):
            if subscription["status"] == "active":
                await self._post(subscription, self._message(subscription, [], "heartbeat"))

    async def settled(self) -> None:
        """Wait until everything that is to be sent has been sent or given up."""
        while self._tasks:
            await asyncio.gather(*list(self._tasks), return_exceptions=True)

    async def close(self) -> None:
        """Stop sending."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*list(self._tasks), return_exceptions=True)
        await self._http.aclose()

    # Notifications.

    def _happened(self, subscription: Resource, encounter: Resource) -> None:
        log = self._subscribed[subscription["id"]]
        log.count += 1
        event = Event(log.count, encounter, now())
        log.events.append(event)
        self._spawn(self._deliver(subscription["id"], event))

    async def _deliver(self, subscription_id: str, event: Event) -> None:
        if self._chance.random() < self.faults.dropped:
            self.told["dropped"] += 1
            return
        if self._chance.random() < self.faults.reordered:
            self.told["reordered"] += 1
            await asyncio.sleep(self._chance.uniform(0.1, 1) * self.faults.delay_s)
        copies = 1
        if self._chance.random() < self.faults.duplicated:
            self.told["duplicated"] += 1
            copies = 2
        for _ in range(copies):
            async with self._sending:
                await self._attempt(subscription_id, event)

    async def _attempt(self, subscription_id: str, event: Event) -> None:
        """Send until it is acknowledged, or give up for good: no server of this kind keeps what it gave up."""
        end = asyncio.get_running_loop().time() + self.faults.gives_up_s
        wait_s = 0.05
        while True:
            subscription = self.resources["Subscription"][subscription_id]
            retry_after_s = await self._post(subscription, self._message(subscription, [event], "event-notification"))
            if retry_after_s is None:
                self.told["delivered"] += 1
                return
            wait_s = max(2 * wait_s, retry_after_s)
            if retry_after_s == 0 and asyncio.get_running_loop().time() + wait_s > end:
                self.told["given up"] += 1
                return
            await asyncio.sleep(wait_s)

    async def _post(self, subscription: Resource, message: Resource) -> float | None:
        """Send once; return None when it was acknowledged, else how long the receiver asks to wait."""
        channel = subscription["channel"]
        headers = dict(line.split(": ", 1) for line in channel.get("header", []))
        headers["Content-Type"] = "application/fhir+json"
        try:
            response = await self._http.post(channel["endpoint"], content=json.dumps(message), headers=headers)
        except httpx.TransportError:
            self.answers[0] += 1
            return 0.0
        self.answers[response.status_code] += 1
        return None if response.is_success else float(response.headers.get("retry-after", 0))

    def _message(self, subscription: Resource, events: list[Event], kind: str) -> Resource:
        extensions = (subscription["channel"].get("_payload") or {}).get("extension", [])
        payload = next((one["valueCode"] for one in extensions if one["url"].endswith("payload-content")), "empty")
        return bundle(
            self.base, subscription, events, kind=kind, payload=payload, dialect=self.dialect,
            count=max((one.number for one in events), default=self._subscribed[subscription["id"]].count),
            status=subscription["status"],
        )  # fmt: skip

    async def _activate(self, subscription_id: str) -> None:
        subscription = self.resources["Subscription"][subscription_id]
        accepted = await self._post(subscription, self._message(subscription, [], "handshake")) is None
        self._put({**self.resources["Subscription"][subscription_id], "status": "active" if accepted else "error"})
        if accepted and self.heartbeat_s:
            self._spawn(self._keep_beating(subscription_id))

    async def _keep_beating(self, subscription_id: str) -> None:
        while self.heartbeat_s and self.resources["Subscription"][subscription_id]["status"] == "active":
            await asyncio.sleep(self.heartbeat_s)
            subscription = self.resources["Subscription"][subscription_id]
            await self._post(subscription, self._message(subscription, [], "heartbeat"))

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # The FHIR server.

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":  # the client was killed while it sent
                return
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        query = parse_qsl(scope["query_string"].decode())
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        status, answer = self._answer(scope["method"], scope["path"], query, headers, body)
        content = json.dumps(answer).encode()
        sent = [(b"content-type", b"application/fhir+json"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": sent})
        await send({"type": "http.response.body", "body": content})

    def _answer(
        self, method: str, path: str, query: list[tuple[str, str]], headers: dict[str, str], body: bytes
    ) -> tuple[int, Resource]:
        if path == "/fhir/.well-known/smart-configuration":
            root = self.base.removesuffix("/fhir")
            return 200, {"token_endpoint": f"{root}/token", "authorization_endpoint": f"{root}/authorize",
                         "capabilities": ["client-confidential-asymmetric"], "issuer": self.base,
                         "grant_types_supported": ["client_credentials", "authorization_code"],
                         "code_challenge_methods_supported": ["S256"],
                         "token_endpoint_auth_methods_supported": ["private_key_jwt"]}  # fmt: skip
        if path == "/token":
            form = dict(parse_qsl(body.decode()))
            granted = {"access_token": str(uuid.uuid4()), "token_type": "bearer", "expires_in": 300}
            return 200, {**granted, "scope": form.get("scope", "")}
        if headers.get("authorization", "").partition(" ")[0] != "Bearer":
            return 401, _outcome("login")
        parts = path.removeprefix("/fhir").strip("/").split("/")
        if method == "POST" and parts == [""]:
            return self._transaction(json.loads(body))
        self.asked[f"{method} {parts[0]}{'/' + parts[2] if len(parts) == 3 else ''}"] += 1
        if method == "GET" and parts == ["metadata"]:
            return 200, {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "format": ["json"]}
        if method == "GET" and len(parts) == 3:
            return self._operation(parts[1], parts[2], dict(query))
        if method == "GET" and len(parts) == 2:
            found = self.resources.get(parts[0], {}).get(parts[1])
            return (200, found) if found else (404, _outcome("not-found"))
        if method == "GET":
            return 200, self._search(parts[0], query)
        resource = json.loads(body)
        if method == "PUT":
            resource = {**resource, "id": parts[1]}
        elif headers.get("if-none-exist") in self._by_query:
            return 200, self.resources[resource["resourceType"]][self._by_query[headers["if-none-exist"]]]
        stored = self._put(resource)
        if headers.get("if-none-exist"):
            self._by_query[headers["if-none-exist"]] = stored["id"]
        if stored["resourceType"] == "Subscription":
            self._subscribed.setdefault(stored["id"], _Subscribed())
            if stored["status"] == "requested":
                self._spawn(self._activate(stored["id"]))
        return (200 if method == "PUT" else 201), stored

    def _operation(self, subscription_id: str, name: str, query: dict[str, str]) -> tuple[int, Resource]:
        subscription = self.resources.get("Subscription", {}).get(subscription_id)
        known = {"$status": self.has_status, "$events": self.has_events}.get(name, False)
        if subscription is None or not known:
            return 404, _outcome("not-supported")
        log = self._subscribed[subscription_id]
        if name == "$status":
            status = bundle(
                self.base, subscription, [], count=log.count, kind="query-status", status=subscription["status"],
                dialect=self.dialect,
            )["entry"][0]  # fmt: skip
            return 200, {"resourceType": "Bundle", "type": "searchset", "total": 1, "entry": [status]}
        since, until = int(query.get("eventsSinceNumber", 1)), int(query.get("eventsUntilNumber", log.count))
        events = [event for event in log.events if since <= event.number <= until]
        return 200, bundle(
            self.base, subscription, events, count=log.count, kind="query-event", dialect=self.dialect,
            payload=query.get("content", "id-only"), status=subscription["status"],
        )  # fmt: skip

    def _search(self, kind: str, query: list[tuple[str, str]]) -> Resource:
        wanted = dict(query)
        found = list(self._matching(kind, wanted))
        start, count = int(wanted.get("_offset", 0)), int(wanted.get("_count", 100))
        page = found[start : start + count]
        link = []
        if len(found) > start + count:
            following = {**wanted, "_offset": str(start + count)}
            link = [{"relation": "next", "url": str(httpx.URL(f"{self.base}/{kind}", params=following))}]
        entries = [{"resource": one, "search": {"mode": "match"}} for one in page]
        return {"resourceType": "Bundle", "type": "searchset", "total": len(found), "link": link, "entry": entries}

    def _matching(self, kind: str, wanted: dict[str, str]) -> Iterator[Resource]:
        if kind == "MedicationRequest":
            yield _order(wanted.get("patient", ""))
            return
        tag = wanted.get("_tag", "").rpartition("|")[2]
        since = _milliseconds(wanted.get("_lastUpdated", "").removeprefix("ge"))
        for resource in self.resources.get(kind, {}).values():
            tags = {one["code"] for one in resource["meta"].get("tag", [])}
            if tag and self.knows_tags and tag not in tags:
                continue
            if "url" in wanted and resource.get("channel", {}).get("endpoint") != wanted["url"]:
                continue
            if "status" in wanted and resource.get("status") != wanted["status"]:
                continue
            if "patient" in wanted and resource.get("subject", {}).get("reference") != f"Patient/{wanted['patient']}":
                continue
            if _milliseconds(resource["meta"]["lastUpdated"]) >= since:
                yield resource

    def _transaction(self, sent: Resource) -> tuple[int, Resource]:
        """Create what is not there yet and replace what is; each entry is answered with where its resource is."""
        self.asked["transaction"] += 1
        answers = []
        for entry in sent["entry"]:
            resource, request = entry["resource"], entry["request"]
            kind = resource["resourceType"]
            query = request.get("ifNoneExist") or request["url"].partition("?")[2]
            known = self._by_query.get(f"{kind}?{query}") if query else None
            named = re.fullmatch(rf"{kind}/([^/?]+)", request["url"])
            if request["method"] == "PUT" and named:
                known = named[1]
                version = self.resources[kind][known]["meta"]["versionId"]
                if request.get("ifMatch", f'W/"{version}"') != f'W/"{version}"':
                    return 412, _outcome("conflict")
            if known is None or request["method"] == "PUT":
                self.created[kind] += known is None
                stored = self._put({**resource, **({"id": known} if known else {})})
                known = stored["id"]
                if query:
                    self._by_query[f"{kind}?{query}"] = known
            version = self.resources[kind][known]["meta"]["versionId"]
            location = f"{self.base}/{kind}/{known}/_history/{version}"
            answers.append({"response": {"status": "201", "location": location}})
        return 200, {"resourceType": "Bundle", "type": "transaction-response", "entry": answers}

    def _put(self, resource: Resource) -> Resource:
        kept = self.resources.setdefault(resource["resourceType"], {})
        known = kept.get(str(resource.get("id")))
        version = int(known["meta"]["versionId"]) + 1 if known else 1
        meta = {**(resource.get("meta") or {}), "versionId": str(version), "lastUpdated": now()}
        stored = {**resource, "id": resource.get("id") or str(uuid.uuid4()), "meta": meta}
        kept[stored["id"]] = stored
        return stored


def _milliseconds(instant: str) -> str:
    """Instants of one form compare as text."""
    return instant if "." in instant else instant.replace("Z", ".000Z")


def _order(patient: str) -> Resource:
    """A discharge order of the patient's stay, which always reads the same."""
    name = patient.removeprefix("p-")
    system = "http://terminology.hl7.org/CodeSystem/medicationrequest-category"
    repeat = {"frequency": 2, "period": 1, "periodUnit": "d"}
    dose = {"value": 500, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}
    return {
        "resourceType": "MedicationRequest", "id": f"m-{name}", "meta": {"versionId": "1", "lastUpdated": now()},
        "status": "active", "intent": "order", "category": [{"coding": [{"system": system, "code": "discharge"}]}],
        "medicationCodeableConcept": {"text": "Metformin"}, "subject": {"reference": f"Patient/{patient}"},
        "encounter": {"reference": f"Encounter/e-{name}"}, "authoredOn": "2026-01-01T00:00:00Z",
        "dosageInstruction": [{"timing": {"repeat": repeat}, "doseAndRate": [{"doseQuantity": dose}]}],
    }  # fmt: skip


def _outcome(code: str) -> Resource:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code}]}
