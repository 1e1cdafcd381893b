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
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey
from preceptor.suite.background import background_suite, settings_on_free_ports
from preceptor.suite.settings import SuiteSettings

from benchmarks.machine import machine, quantile
from benchmarks.order_sign import _key_set

__all__ = ["run"]

_ISSUER = "https://benchmark.example.org"
_BUDGET_MS = 500.0
_WARM_UP_S = 5
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
    with tempfile.TemporaryDirectory(prefix="preceptor-bench-") as folder, _key_set(key) as jwks_uri:
        settings = settings_on_free_ports(Path(folder) / "suite")
        registry = Path(folder) / "ehrs.json"
        registry.write_text(json.dumps([_registration(settings, jwks_uri)]))
        os.environ["PRECEPTOR_FACADE_EHRS_FILE"] = str(registry)
        results = []
        with background_suite(settings, Path(folder) / "output.txt") as suite:
            print(f"  the suite started in {suite.started_in_s:.0f} s", flush=True)
            for name, rate, seconds, busy, share, limit in _LOADS:
                before = os.getloadavg()[0]
                if busy:
                    with _busy_core():
                        answers = asyncio.run(_load(settings.facade_url, key, rate, seconds))
                else:
                    answers = asyncio.run(_load(settings.facade_url, key, rate, seconds))
                results.append((name, share, limit, before, answers))
                print(f"  {name}: done", flush=True)
    return _report(results)


def _registration(settings: SuiteSettings, jwks_uri: str) -> dict[str, Any]:
    shipped = Path(__file__).parents[1] / "docker" / "ehrs.json"
    (entry,) = json.loads(shipped.read_text().replace("http://localhost:8100", settings.ehr_url))
    return {**entry, "access_tokens": {"issuer": _ISSUER, "jwks_uri": jwks_uri}}


async def _load(facade: str, key: ECKey, rate: int, seconds: int) -> list[_Answer]:
    """Send requests at their times; an answer that is late makes the next ones no later."""
    chance = random.Random(21)
    base = f"{facade}/fhir/sandbox"
    token = _token(key, base)
    answers: list[_Answer] = []
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
    async with httpx.AsyncClient(timeout=10, limits=limits, trust_env=False) as http, asyncio.TaskGroup() as group:
        began = time.perf_counter()
        for number in range(rate * (_WARM_UP_S + seconds)):
            wait_s = began + number / rate - time.perf_counter()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            body = json.dumps(_request(chance)).encode()
            group.create_task(_call(http, base, token, body, answers if number >= rate * _WARM_UP_S else []))
    return answers


def _token(key: ECKey, base: str) -> str:
    now = int(time.time())
    claims = {
        "iss": _ISSUER, "aud": base, "sub": "bench", "client_id": "bench", "iat": now, "exp": now + 3600,
        "jti": str(uuid.uuid4()), "scope": "system/RiskAssessment.cru",
    }  # fmt: skip
    return str(jwt.encode({"alg": "ES384", "typ": "at+jwt", "kid": key.kid}, claims, key, algorithms=["ES384"]))


async def _call(http: httpx.AsyncClient, base: str, token: str, body: bytes, answers: list[_Answer]) -> None:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}
    began = time.perf_counter()
    try:
        response = await http.post(f"{base}/$triage", content=body, headers=headers)
    except httpx.HTTPError as error:
        answers.append(_Answer((time.perf_counter() - began) * 1000, 0, type(error).__name__))
        return
    elapsed_ms = (time.perf_counter() - began) * 1000
    answers.append(_Answer(elapsed_ms, response.status_code, _ending(response)))


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
        f"Machine: {machine()}. Each load for 20 to 30 s after {_WARM_UP_S} s of the same; 5 % of the complaints are"
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
