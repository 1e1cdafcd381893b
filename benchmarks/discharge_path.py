"""Every recorded stay through the whole path: notification, draft, checks, flags, transaction in the EHR.

``python -m benchmarks discharge-path``. The suite runs as for ``preceptor up``, in a folder of its own. The stays are
written to the sandbox EHR; each encounter is then finished by itself, which notifies the facade. *Whole* is the time
from that write until the facade has the EHR's answer to its transaction; stages are the facade's own log lines.
"""

import asyncio
import json
import os
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey
from preceptor.demo.run import until_caught_up
from preceptor.suite.settings import CHECKOUT, SuiteSettings
from preceptor.suite.supervisor import running_suite
from rich.progress import track

from benchmarks.machine import machine, quantile
from benchmarks.recorded_stays import RecordedStay, recorded_stays

__all__ = ["run"]

_CLIENT = "benchmark"
_BATCH = 100
_PATIENCE_S = 60.0


@dataclass
class Outcome:
    """What one stay took, in milliseconds by stage, and what was written."""

    encounter: str
    whole_ms: float
    stages: dict[str, float] = field(default_factory=dict)
    compositions: int = 0
    flags: Counter[str] = field(default_factory=Counter)
    medications: int = 0
    unaccounted: tuple[str, ...] = ()


class _Steps:
    """Shows the steps of the start, and registers the benchmark with the EHR before that starts."""

    def __init__(self, register: Callable[[], None]) -> None:
        self._register = register

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        if name == "openbao":
            self._register()
        print(f"  {name}: {time.perf_counter() - began:.1f} s", flush=True)

    def note(self, sentence: str) -> None:
        print(f"  {sentence}", flush=True)


class _FacadeLog:
    """Reads the lines the facade has added to its log."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = path.stat().st_size

    def new_lines(self) -> list[dict[str, Any]]:
        with self._path.open("rb") as file:
            file.seek(self._offset)
            raw = file.read()
        whole = raw[: raw.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [json.loads(line) for line in whole.splitlines() if line.startswith(b"{")]


def run() -> str:
    """Run the benchmark and return its report in Markdown."""
    return asyncio.run(_run())


async def _run() -> str:
    stays = recorded_stays()
    with tempfile.TemporaryDirectory(prefix="preceptor-bench-") as folder:
        settings = SuiteSettings(folder=Path(folder), cache_dir=CHECKOUT / ".preceptor" / "cache")
        key = ECKey.generate_key("P-384", auto_kid=True)
        os.environ["PRECEPTOR_SANDBOX_EHR_CLIENTS_FILE"] = str(settings.state / "benchmark-clients.json")
        began = time.perf_counter()
        async with running_suite(settings, _Steps(lambda: _register(settings, key))) as _:
            start_s = time.perf_counter() - began
            async with httpx.AsyncClient(timeout=60) as http:
                ehr = _Ehr(settings, key, http)
                await until_caught_up(ehr.search)
                await ehr.load(stays)
                outcomes = []
                log = _FacadeLog(settings.logs / "facade.log")
                for stay in track(stays, "Discharging"):
                    outcomes.append(await _discharge(ehr, log, stay))
    return _report(outcomes, start_s)


async def _discharge(ehr: "_Ehr", log: _FacadeLog, stay: RecordedStay) -> Outcome:
    log.new_lines()
    began = time.perf_counter()
    await ehr.put([stay.encounter])
    outcome = Outcome(f"Encounter/{stay.encounter['id']}", float("nan"))
    while time.perf_counter() - began < _PATIENCE_S:
        for line in log.new_lines():
            if line["event"] == "document.stage":
                outcome.stages[line["stage"]] = line["elapsed_ms"]
            elif line["event"] == "document.drafted":
                outcome.stages["drafted and kept"] = line["elapsed_ms"]
            elif line["event"] == "effect.written" and line["kind"] == "document":
                outcome.whole_ms = (time.perf_counter() - began) * 1000
        if outcome.whole_ms == outcome.whole_ms:
            break
        await asyncio.sleep(0.02)
    await ehr.judge(outcome, stay)
    return outcome


class _Ehr:
    """The sandbox EHR with the rights to write charts and to read what was made of them."""

    def __init__(self, settings: SuiteSettings, key: ECKey, http: httpx.AsyncClient) -> None:
        self._base = f"{settings.ehr_url}/fhir"
        self._token_url = f"{settings.ehr_url}/auth/token"
        self._key = key
        self._http = http
        self._held = (0.0, "")

    async def load(self, stays: list[RecordedStay]) -> None:
        resources = {f"{one['resourceType']}/{one['id']}": one for stay in stays for one in stay.about}
        # The encounters come first as they were during the stay, so that what refers to them finds them.
        await self.put([_during(stay.encounter) for stay in stays])
        everything = list(resources.values())
        for start in track(range(0, len(everything), _BATCH), "Loading charts"):
            await self.put(everything[start : start + _BATCH])

    async def put(self, resources: list[dict[str, Any]]) -> None:
        entries = [
            {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
            for one in resources
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        response = await self._http.post(self._base, json=bundle, headers=await self._headers())
        if response.status_code != 200:
            raise RuntimeError(f"the EHR refused the charts: {response.status_code} {response.text[:500]}")

    async def judge(self, outcome: Outcome, stay: RecordedStay) -> None:
        compositions = await self.search("Composition", encounter=outcome.encounter)
        outcome.compositions = len(compositions)
        issues = []
        if compositions:
            references = [
                entry["reference"] for section in compositions[0]["section"] for entry in section.get("entry", [])
            ]
            issues = [await self._read(reference) for reference in references]
        text = json.dumps([compositions, issues]).casefold()
        outcome.flags = Counter(map(_kind, issues))
        outcome.medications = len(stay.discharge_medications)
        outcome.unaccounted = tuple(name for name in stay.discharge_medications if name.casefold() not in text)

    async def search(self, kind: str, **parameters: str) -> list[dict[str, Any]]:
        response = await self._http.get(f"{self._base}/{kind}", params=parameters, headers=await self._headers())
        return [entry["resource"] for entry in response.raise_for_status().json().get("entry", [])]

    async def _read(self, reference: str) -> dict[str, Any]:
        response = await self._http.get(f"{self._base}/{reference}", headers=await self._headers())
        answer: dict[str, Any] = response.raise_for_status().json()
        return answer

    async def _headers(self) -> dict[str, str]:
        if self._held[0] < time.monotonic():
            self._held = (time.monotonic() + 200, await self._new_token())
        return {"Authorization": f"Bearer {self._held[1]}", "Content-Type": "application/fhir+json"}

    async def _new_token(self) -> str:
        now = int(time.time())
        claims = {"iss": _CLIENT, "sub": _CLIENT, "aud": self._token_url, "exp": now + 240, "jti": str(uuid.uuid4())}
        header = {"alg": "ES384", "typ": "JWT", "kid": self._key.kid}
        form = {
            "grant_type": "client_credentials",
            "scope": _SCOPES,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": jwt.encode(header, claims, self._key, algorithms=["ES384"]),
        }
        response = await self._http.post(self._token_url, data=form)
        return str(response.raise_for_status().json()["access_token"])


_CHART = ("Patient", "Encounter", "Condition", "Procedure", "MedicationRequest", "AllergyIntolerance", "Observation")
_SCOPES = " ".join(
    [
        *(f"system/{kind}.crus" for kind in _CHART),
        *(f"system/{kind}.rs" for kind in ("Composition", "DetectedIssue", "Task")),
    ]
)


def _register(settings: SuiteSettings, key: ECKey) -> None:
    """Write the suite's clients and the benchmark's own into the file that the EHR is told to read."""
    clients = json.loads((settings.state / "sandbox-ehr-clients.json").read_text())
    clients["clients"].append(
        {
            "client_id": _CLIENT,
            "client_name": "Benchmark",
            "token_endpoint_auth_method": "private_key_jwt",
            "grant_types": ["client_credentials"],
            "scope": _SCOPES,
            "jwks": {"keys": [key.as_dict(private=False)]},
        }
    )
    (settings.state / "benchmark-clients.json").write_text(json.dumps(clients))


def _during(encounter: dict[str, Any]) -> dict[str, Any]:
    return {**encounter, "status": "in-progress", "period": {"start": encounter["period"]["start"]}}


def _kind(issue: dict[str, Any]) -> str:
    code = issue.get("code") or {}
    return str(code.get("text") or (code.get("coding") or [{}])[0].get("code", "unknown"))


def _report(outcomes: list[Outcome], start_s: float) -> str:
    late = [one.encounter for one in outcomes if one.whole_ms != one.whole_ms]
    done = [one for one in outcomes if one.whole_ms == one.whole_ms]
    stages: dict[str, list[float]] = {}
    for one in done:
        for stage, elapsed in one.stages.items():
            stages.setdefault(stage, []).append(elapsed)
    stages["whole (event to answer of the EHR)"] = [one.whole_ms for one in done]
    medications = sum(one.medications for one in outcomes)
    missing = [f"{one.encounter}: {name}" for one in outcomes for name in one.unaccounted]
    flags: Counter[str] = sum((one.flags for one in outcomes), Counter())
    lines = [
        "# Discharge path",
        "",
        f"Machine: {machine()}.",
        f"{len(outcomes)} recorded stays, one at a time; the suite started in {start_s:.0f} s.",
        "",
        "| stage | p50 ms | p95 ms | stays |",
        "| --- | ---: | ---: | ---: |",
        *(
            f"| {stage} | {quantile(values, 0.5):,.0f} | {quantile(values, 0.95):,.0f} | {len(values)} |"
            for stage, values in stages.items()
        ),
        "",
        f"Documents: {sum(one.compositions for one in outcomes)} of {len(outcomes)}; without an answer: {len(late)}.",
        f"Discharge medications present or flagged: {medications - len(missing)} of {medications}.",
        "Flags: " + (", ".join(f"{kind} {count}" for kind, count in flags.most_common()) or "none") + ".",
    ]
    lines += [f"Not accounted for: {one}" for one in missing] + [f"No answer: {one}" for one in late]
    return "\n".join(lines) + "\n"
