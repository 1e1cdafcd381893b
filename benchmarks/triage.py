"""``$triage`` under load, through the facade and the Ray Serve proxy of a running suite.

``python -m benchmarks triage``. The suite runs as for ``preceptor up``, in a folder of its own. Requests arrive at
their times whether or not the ones before are answered. Each is authorised, asked of the triage service, kept as
RiskAssessment, Device and Provenance, and recorded as an AuditEvent before it is answered. Time is from sending the
request until its answer is read. The neighbour is another process that never waits, so that it takes a whole core.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey

from benchmarks.loaded_suite import ISSUER, WARM_UP_S, at_a_rate, loaded_suite
from benchmarks.machine import machine, quantile

__all__ = ["run"]

_BUDGET_MS = 500.0
_LOADS = (
    # name, requests a second, seconds, with a neighbour, share, limit in ms
    ("20 a second", 20, 30, False, 0.95, 50.0),
    ("60 a second", 60, 20, False, 0.95, 120.0),
    ("20 a second beside a busy core", 20, 30, True, 0.99, 500.0),
)
_COMPLAINTS = (
    "chest pain", "CP", "abdominal pain", "abd pain, n/v", "shortness of breath", "SOB x 3 days", "fever", "cough",
    "headache", "back pain", "fall with head injury", "laceration to left hand", "dizziness", "vomiting", "sore throat",
    "rash", "ankle injury", "suicidal thoughts", "weakness", "flank pain", "toothache", "palpitations", "seizure",
    "swollen leg", "motor vehicle accident", "nosebleed", "anxiety", "urinary problems", "earache", "medication refill",
)  # fmt: skip
_RARE = ("hit by a falling shelf", "bitten by a horse", "swallowed a coin", "numb right arm since waking", "eye splash")


@dataclass(frozen=True)
class _Answer:
    elapsed_ms: float
    status: int
    ending: str


def run() -> str:
    """Run the benchmark and return its report in Markdown."""
    key = ECKey.generate_key("P-384", auto_kid=True)
    results = []
    with loaded_suite(key, lambda jwks: {"access_tokens": {"issuer": ISSUER, "jwks_uri": jwks}}) as facade:
        for name, rate, seconds, busy, share, limit in _LOADS:
            before = os.getloadavg()[0]
            with _busy_core() if busy else nullcontext():
                answers = asyncio.run(_load(facade, key, rate, seconds))
            results.append((name, share, limit, before, answers))
            print(f"  {name}: done", flush=True)
    return _report(results)


async def _load(facade: str, key: ECKey, rate: int, seconds: int) -> list[_Answer]:
    chance = random.Random(21)
    base = f"{facade}/fhir/sandbox"
    token = _token(key, base)

    def ask(http: httpx.AsyncClient) -> Coroutine[Any, Any, _Answer]:
        return _call(http, base, token, json.dumps(_request(chance)).encode())

    return await at_a_rate(ask, rate=rate, seconds=seconds, connections=200)


def _token(key: ECKey, base: str) -> str:
    now = int(time.time())
    claims = {
        "iss": ISSUER, "aud": base, "sub": "bench", "client_id": "bench", "iat": now, "exp": now + 3600,
        "jti": str(uuid.uuid4()), "scope": "system/RiskAssessment.cru",
    }  # fmt: skip
    return str(jwt.encode({"alg": "ES384", "typ": "at+jwt", "kid": key.kid}, claims, key, algorithms=["ES384"]))


async def _call(http: httpx.AsyncClient, base: str, token: str, body: bytes) -> _Answer:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}
    began = time.perf_counter()
    try:
        response = await http.post(f"{base}/$triage", content=body, headers=headers)
    except httpx.HTTPError as error:
        return _Answer((time.perf_counter() - began) * 1000, 0, type(error).__name__)
    elapsed_ms = (time.perf_counter() - began) * 1000
    return _Answer(elapsed_ms, response.status_code, _ending(response))


def _ending(response: httpx.Response) -> str:
    if response.status_code != 200:
        return f"HTTP {response.status_code}"
    given = {one["name"]: one for one in response.json()["parameter"]}
    return f"no score: {given['notScored']['valueCode']}" if "notScored" in given else "scored"


def _request(chance: random.Random) -> dict[str, Any]:
    systolic = round(chance.gauss(132, 22))
    vitals: list[tuple[str, float, str]] = [
        ("temperature", round(chance.gauss(98.2, 0.9), 1), "[degF]"),
        ("pulse", round(chance.gauss(88, 18)), "/min"),
        ("respirations", round(chance.gauss(18, 3)), "/min"),
        ("systolic", systolic, "mm[Hg]"),
        ("diastolic", round(systolic * 0.6), "mm[Hg]"),
        ("oxygen-saturation", min(100, round(chance.gauss(97, 2))), "%"),
        ("pain", chance.randint(0, 10), "{score}"),
    ]
    complaint = chance.choice(_RARE if chance.random() < 0.05 else _COMPLAINTS)
    listed: list[dict[str, Any]] = [
        {"name": "patient", "valueReference": {"reference": f"Patient/p{chance.randint(1, 400)}"}},
        {"name": "age", "valueQuantity": _quantity(chance.randint(1, 95), "a")},
        {"name": "sex", "valueCode": chance.choice(("female", "male"))},
        {"name": "arrival", "valueCode": "ambulance" if chance.random() < 0.16 else "other"},
        {"name": "complaint", "valueString": complaint},
    ]
    listed += [
        {
            "name": "measurement",
            "part": [{"name": "kind", "valueCode": kind}, {"name": "value", "valueQuantity": _quantity(value, unit)}],
        }
        for kind, value, unit in vitals
        if chance.random() < 0.93
    ]
    return {"resourceType": "Parameters", "parameter": listed}


def _quantity(value: float, unit: str) -> dict[str, Any]:
    return {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}


@contextmanager
def _busy_core() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait(10)


def _report(results: list[tuple[str, float, float, float, list[_Answer]]]) -> str:
    lines = [
        "# $triage",
        "",
        f"Machine: {machine()}. Each load for 20 to 30 s after {WARM_UP_S} s of the same; 5 % of the complaints are"
        " rare ones.",
        "",
        "| load | machine load before | requests | p50 ms | p95 ms | p99 ms | most ms | over 500 ms | limit | |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- | --- |",
    ]
    for name, share, limit, before, answers in results:
        times = [one.elapsed_ms for one in answers]
        held = "held" if quantile(times, share) <= limit else "NOT held"
        lines.append(
            f"| {name} | {before:.1f} | {len(times)} | {quantile(times, 0.5):.0f} | {quantile(times, 0.95):.0f}"
            f" | {quantile(times, 0.99):.0f} | {max(times):.0f} | {sum(one > _BUDGET_MS for one in times)}"
            f" | p{share * 100:.0f} <= {limit:.0f} ms | {held} |"
        )
    lines.append("")
    for name, _, _, _, answers in results:
        endings = ", ".join(f"{kind} {count}" for kind, count in Counter(one.ending for one in answers).most_common())
        lines.append(f"{name}: {endings}.")
    return "\n".join(lines) + "\n"
