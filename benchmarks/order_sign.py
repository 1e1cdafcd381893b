"""order-sign under load, and what the facade itself adds to a route.

``python -m benchmarks order-sign``. The suite runs as for ``preceptor up``, in a folder of its own. Requests for
patients of 15 drugs arrive at 20 a second whether or not the ones before are answered; each has a token of its own,
the whole prefetch and one or two draft orders. Time is from sending the request until its answer is read.

The facade's own part is a route that does nothing (``GET /healthz``) through everything that surrounds it, beside a
bare Litestar application with the same route under the same server, asked in turn.
"""

import asyncio
import json
import os
import random
import socket
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey

from benchmarks.loaded_suite import ISSUER, WARM_UP_S, at_a_rate, loaded_suite
from benchmarks.machine import machine, quantile

__all__ = ["run"]

_PER_SECOND = 20
_SECONDS = 30
_PATIENTS = 25
_DRUGS = 15
_ROUTE_CALLS = 3_000
_LIMIT_MS = 150.0
_RATIO = 1.5

# Common discharge medicines with an ordinary dose (mg) and how often a day.
_LIST: tuple[tuple[str, float, int], ...] = (
    ("Metoprolol succinate", 50, 1), ("Lisinopril", 10, 1), ("Atorvastatin", 40, 1), ("Aspirin", 81, 1),
    ("Metformin", 500, 2), ("Furosemide", 40, 1), ("Omeprazole", 20, 1), ("Gabapentin", 300, 3),
    ("Sertraline", 50, 1), ("Amlodipine", 5, 1), ("Allopurinol", 100, 1), ("Warfarin", 5, 1),
    ("Levothyroxine", 0.1, 1), ("Tamsulosin", 0.4, 1), ("Docusate", 100, 2), ("Acetaminophen", 500, 3),
    ("Prednisone", 10, 1), ("Montelukast", 10, 1), ("Losartan", 50, 1), ("Hydrochlorothiazide", 25, 1),
    ("Clopidogrel", 75, 1), ("Spironolactone", 25, 1), ("Escitalopram", 10, 1), ("Tramadol", 50, 3),
    ("Carvedilol", 12.5, 2), ("Pantoprazole", 40, 1), ("Ibuprofen", 400, 3), ("Digoxin", 0.125, 1),
    ("Cetirizine", 10, 1), ("Glipizide", 5, 1), ("Apixaban", 5, 2), ("Simvastatin", 20, 1),
)  # fmt: skip
_DRAFTS: tuple[tuple[str, float, int], ...] = (
    ("Simvastatin", 80, 1), ("Ciprofloxacin", 500, 2), ("Ibuprofen", 800, 4), ("Amoxicillin", 500, 3),
    ("Clarithromycin", 500, 2), ("Naproxen", 500, 2), ("Potassium chloride", 20, 1), ("Metformin", 1000, 2),
)  # fmt: skip


@dataclass(frozen=True)
class _Answer:
    elapsed_ms: float
    status: int
    cards: Counter[str]


def run() -> str:
    """Run the benchmark and return its report in Markdown."""
    key = ECKey.generate_key("P-384", auto_kid=True)
    with loaded_suite(key, lambda jwks: {"cds_clients": [{"issuer": ISSUER, "jwks_uri": jwks}]}) as facade:
        answers = asyncio.run(_load(facade, key))
        with _bare_application() as bare:
            routes = asyncio.run(_routes(facade, bare))
    return _report(answers, routes)


async def _load(facade: str, key: ECKey) -> list[_Answer]:
    chance = random.Random(15)
    patients = [_Patient(f"patient-{number}", chance) for number in range(_PATIENTS)]

    def ask(http: httpx.AsyncClient) -> Coroutine[Any, Any, _Answer]:
        body = json.dumps(chance.choice(patients).request(chance)).encode()
        return _call(http, f"{facade}/cds-services/order-sign", key, body)

    return await at_a_rate(ask, rate=_PER_SECOND, seconds=_SECONDS, connections=100)


async def _call(http: httpx.AsyncClient, url: str, key: ECKey, body: bytes) -> _Answer:
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": url, "exp": now + 120, "iat": now, "jti": str(uuid.uuid4())}
    token = jwt.encode({"alg": "ES384", "typ": "JWT", "kid": key.kid}, claims, key, algorithms=["ES384"])
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    began = time.perf_counter()
    response = await http.post(url, content=body, headers=headers)
    elapsed_ms = (time.perf_counter() - began) * 1000
    cards = response.json().get("cards", []) if response.status_code == 200 else []
    return _Answer(elapsed_ms, response.status_code, Counter(_topic(card) for card in cards))


def _topic(card: dict[str, Any]) -> str:
    if card["summary"].startswith("These orders were not checked"):
        return "nothing checked"
    return str(card["source"]["topic"]["code"])


class _Patient:
    """Somebody who takes 15 drugs."""

    def __init__(self, identifier: str, chance: random.Random) -> None:
        self.id = identifier
        self._taken = [
            _order(self.id, f"mr-{n}", "active", *drug) for n, drug in enumerate(chance.sample(_LIST, _DRUGS))
        ]
        self._creatinine = round(chance.uniform(0.6, 2.8), 1)

    def request(self, chance: random.Random) -> dict[str, Any]:
        drafts = [
            _order(self.id, f"draft-{n}", "draft", *drug)
            for n, drug in enumerate(chance.sample(_DRAFTS, chance.choice((1, 2))))
        ]
        return {
            "hook": "order-sign",
            "hookInstance": str(uuid.uuid4()),
            "context": {
                "userId": "Practitioner/dr-1",
                "patientId": self.id,
                "draftOrders": {"resourceType": "Bundle", "entry": [{"resource": draft} for draft in drafts]},
            },
            "prefetch": {
                "patient": {"resourceType": "Patient", "id": self.id, "gender": "male", "birthDate": "1950-05-05"},
                "medications": _bundle(self._taken),
                "allergies": _bundle([_allergy(self.id, "Penicillin")]),
                "conditions": _bundle([]),
                "observations": _bundle(
                    [
                        _observation(self.id, "2160-0", self._creatinine, "mg/dL"),
                        _observation(self.id, "29463-7", 78, "kg"),
                    ]
                ),
                "coverage": _bundle([]),
            },
        }


def _order(patient: str, identifier: str, status: str, drug: str, mg: float, often: int) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "id": identifier,
        "status": status,
        "intent": "order",
        "medicationCodeableConcept": {"text": drug},
        "subject": {"reference": f"Patient/{patient}"},
        "authoredOn": "2026-11-01",
        "dosageInstruction": [
            {
                "timing": {"repeat": {"frequency": often, "period": 1, "periodUnit": "d"}},
                "doseAndRate": [
                    {"doseQuantity": {"value": mg, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}}
                ],
            }
        ],
    }


def _allergy(patient: str, name: str) -> dict[str, Any]:
    return {
        "resourceType": "AllergyIntolerance",
        "id": f"allergy-{name.lower()}",
        "code": {"text": name},
        "patient": {"reference": f"Patient/{patient}"},
    }


def _observation(patient: str, code: str, value: float, unit: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"observation-{code}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": "2026-11-20T08:00:00Z",
        "valueQuantity": {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit},
    }


def _bundle(resources: list[dict[str, Any]]) -> dict[str, Any]:
    entries = [{"resource": one} for one in resources]
    return {"resourceType": "Bundle", "type": "searchset", "total": len(entries), "entry": entries}


_BARE = """
import socket, sys, uvicorn
from litestar import Litestar, get

@get("/healthz", sync_to_thread=False)
def alive() -> dict[str, str]:
    return {"status": "ok"}

listening = socket.socket(fileno=int(sys.argv[1]))
config = uvicorn.Config(Litestar([alive], openapi_config=None, logging_config=None), log_config=None, access_log=False,
                        server_header=False)
uvicorn.Server(config).run(sockets=[listening])
"""


@contextmanager
def _bare_application() -> Iterator[str]:
    """Run a Litestar application that has one route and nothing around it, as the facade is run; give its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        os.set_inheritable(listening.fileno(), True)
        command = [sys.executable, "-c", _BARE, str(listening.fileno())]
        process = subprocess.Popen(command, pass_fds=[listening.fileno()])
        try:
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            _until_answers(url)
            yield url
        finally:
            process.terminate()
            process.wait(10)


def _until_answers(url: str) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            httpx.get(f"{url}/healthz", trust_env=False, timeout=5)
            return
        except httpx.TransportError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


async def _routes(facade: str, bare: str) -> dict[str, list[float]]:
    """Ask both in turn, so that whatever else the machine does falls on both."""
    found: dict[str, list[float]] = {"facade": [], "bare": []}
    async with httpx.AsyncClient(timeout=10, trust_env=False) as http:
        for number in range(_ROUTE_CALLS + 200):
            for name, url in (("facade", facade), ("bare", bare)):
                began = time.perf_counter()
                await http.get(f"{url}/healthz")
                if number >= 200:
                    found[name].append((time.perf_counter() - began) * 1000)
    return found


def _report(answers: list[_Answer], routes: dict[str, list[float]]) -> str:
    times = [one.elapsed_ms for one in answers]
    statuses = Counter(one.status for one in answers)
    cards: Counter[str] = sum((one.cards for one in answers), Counter())
    p95 = quantile(times, 0.95)
    ratio = quantile(routes["facade"], 0.5) / quantile(routes["bare"], 0.5)
    lines = [
        "# order-sign",
        "",
        f"Machine: {machine()}.",
        f"{len(answers)} requests at {_PER_SECOND} a second, {_PATIENTS} patients of {_DRUGS} drugs, after "
        f"{WARM_UP_S} s of the same.",
        "",
        "| | p50 ms | p95 ms | p99 ms | most ms |",
        "| --- | ---: | ---: | ---: | ---: |",
        f"| order-sign | {quantile(times, 0.5):.0f} | {p95:.0f} | {quantile(times, 0.99):.0f} | {max(times):.0f} |",
        *(
            f"| {label} | {quantile(routes[name], 0.5):.2f} | {quantile(routes[name], 0.95):.2f} "
            f"| {quantile(routes[name], 0.99):.2f} | {max(routes[name]):.2f} |"
            for name, label in (("facade", "GET /healthz of the facade"), ("bare", "the same route, bare"))
        ),
        "",
        f"p95 of at most {_LIMIT_MS:.0f} ms: {'held' if p95 <= _LIMIT_MS else 'NOT held'}.",
        f"The facade's route takes {ratio:.2f} times the bare one (p50); at most {_RATIO}: "
        f"{'held' if ratio <= _RATIO else 'NOT held'}.",
        "Answers: " + ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items())) + ".",
        "Cards: " + (", ".join(f"{kind} {count}" for kind, count in cards.most_common()) or "none") + ".",
    ]
    return "\n".join(lines) + "\n"
