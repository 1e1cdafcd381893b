"""Discharges the demonstration stay and waits for what the EHR then holds about it."""

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from rich.console import Console

from preceptor.demo.document import read_document
from preceptor.demo.show import show_document, show_times
from preceptor.ehr_access import EhrAccess
from preceptor.suite.errors import SuiteError
from preceptor.suite.settings import SuiteSettings

__all__ = ["DEMONSTRATION_ENCOUNTER", "demonstrate", "until_caught_up", "wait_for_document"]

DEMONSTRATION_ENCOUNTER = "enc-ac4dcc33953d"
"""The stay of the sandbox EHR whose discharge orders are wrong on purpose."""

_TIMEOUT_S = 120.0
_POLL_S = 0.1
_STAGES = {
    "gather": "Gather the chart",
    "draft": "Write the draft",
    "evidence": "Fetch the evidence",
    "check": "Compare every claim",
    "first-checked-sentence": "First checked sentence after",
    "total": "Reconciliation in all",
}

Resource = dict[str, Any]


async def demonstrate(settings: SuiteSettings, console: Console) -> None:
    """Discharge, wait, and show; raise ``SuiteError`` when no document comes."""
    async with EhrAccess(settings) as ehr:
        encounter = await ehr.read(f"Encounter/{DEMONSTRATION_ENCOUNTER}")
        again = encounter["status"] == "finished"
        if again:
            console.print(
                "The demonstration stay was discharged in an earlier run; `preceptor demo --fresh` begins anew."
            )
        else:
            console.print("Drafting first what ended before the start …", highlight=False)
            await until_caught_up(ehr.search)
            console.print(f"Discharging the stay {DEMONSTRATION_ENCOUNTER} in the sandbox EHR …", highlight=False)
        log = settings.logs / "facade.log"
        read_to, started = log.stat().st_size, time.monotonic()
        await ehr.discharge(DEMONSTRATION_ENCOUNTER)
        composition = await wait_for_document(ehr, DEMONSTRATION_ENCOUNTER)
        elapsed_ms = (time.monotonic() - started) * 1000
        issues = await _issues(ehr, composition)
    console.print()
    show_document(console, read_document(composition, issues))
    if not again:
        with log.open("rb") as file:
            file.seek(read_to)
            stages = _stage_times(file.read())
        show_times(console, [*stages, ("From the discharge to the document in the EHR", elapsed_ms)])


async def until_caught_up(search: Callable[..., Awaitable[list[Resource]]]) -> None:
    """Wait for the documents of stays that ended before the start: drafted beside another, each takes twice as long.

    ``search`` asks the EHR for resources of a type; after two minutes nothing more is waited for.
    """
    with contextlib.suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(_TIMEOUT_S):
            ended = {one["id"] for one in await search("Encounter", status="finished", _count="100")}
            while ended:
                tasks = await search("Task", status="completed", _count="200")
                ended -= {one["encounter"]["reference"].rpartition("/")[2] for one in tasks if "encounter" in one}
                await asyncio.sleep(_POLL_S)


async def wait_for_document(ehr: EhrAccess, encounter: str, timeout_s: float = _TIMEOUT_S) -> Resource:
    """Return the Composition of the stay once it is in the EHR; raise ``SuiteError``."""
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                found = await ehr.search("Composition", encounter=f"Encounter/{encounter}")
                if found:
                    return found[0]
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        why = await _why_not(ehr, encounter)
        raise SuiteError(f"No document was written within {timeout_s:g} s{why}. The logs say more.") from None
    except httpx.HTTPError as error:
        raise SuiteError(f"The sandbox EHR could not be read ({type(error).__name__}). Its log says more.") from None


async def _why_not(ehr: EhrAccess, encounter: str) -> str:
    tasks = await ehr.search("Task", encounter=f"Encounter/{encounter}")
    reasons = [task.get("statusReason", {}).get("text") for task in tasks if task["status"] == "failed"]
    return f": {reasons[0]}" if reasons else ""


async def _issues(ehr: EhrAccess, composition: Resource) -> list[Resource]:
    references = [entry["reference"] for one in composition["section"] for entry in one.get("entry", [])]
    return [await ehr.read(reference) for reference in references]


def _stage_times(log: bytes) -> list[tuple[str, float]]:
    times: dict[str, float] = {}
    for line in log.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("event") == "document.stage":
            times[str(entry["stage"])] = float(entry["elapsed_ms"])
    return [(words, times[stage]) for stage, words in _STAGES.items() if stage in times]
