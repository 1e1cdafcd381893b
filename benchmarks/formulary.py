"""Every item of the open formularies asked for as ``$formulary`` asks, and compared with what the item itself says.

``python -m benchmarks formulary``. What is right is read here from the files, by nothing that the importer uses.
"""

import asyncio
import json
import tarfile
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from facade.fhir.audit import Call
from facade.operations.formulary import FormularyOperation
from facade.operations.parameters import read_parameters
from facade.operations.stays import Stays
from facade.operations.table import definition
from retrieval.embedded_index import open_embedded_index
from retrieval.importers.formularies import FhirFormularies
from retrieval.ingest import ingest
from retrieval.service import RetrievalService
from service_contracts.answers import Answer, AnswerQuery
from service_contracts.evidence import Evidence, EvidenceQuery
from service_runtime.deadline import Deadline
from service_runtime.secrets import MemorySecretStore

from benchmarks.intervals import share
from benchmarks.machine import machine
from benchmarks.open_literature import ARCHIVE
from benchmarks.served import served

__all__ = ["run"]

_RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
_FIELDS = ("tier", "priorAuthorization", "stepTherapy", "quantityLimit", "covered")
_DAY, _AFTER = date(2022, 6, 1), date(2023, 1, 1)


@dataclass(frozen=True)
class _Item:
    plan: str
    code: str
    name: str
    says: Mapping[str, Any]


class _Knowing:
    """Retrieval as the facade sees it, in this process; contracts go there and back as JSON."""

    def __init__(self, service: RetrievalService) -> None:
        self._service = service

    async def evidence(self, query: EvidenceQuery) -> Evidence:
        found = await self._service.evidence_for(EvidenceQuery.model_validate_json(query.model_dump_json()))
        return Evidence.model_validate_json(found.model_dump_json())

    async def answers(self, query: AnswerQuery) -> Answer:
        return await self._service.answers_for(query)


def run() -> str:
    """Measure and return the report."""
    warnings.simplefilter("ignore")  # the secrets of an index that lives as long as the benchmark
    with _unpacked() as folder:
        return asyncio.run(_measure(folder))


@contextmanager
def _unpacked() -> Iterator[Path]:
    with TemporaryDirectory(prefix="preceptor-") as folder, tarfile.open(ARCHIVE.with_name("formulary.tar.xz")) as tar:
        tar.extractall(folder, filter="data")
        yield Path(folder) / "formulary" / "davinci_ri"


async def _measure(folder: Path) -> str:
    with TemporaryDirectory(prefix="preceptor-") as scratch:
        index = await open_embedded_index(Path(scratch), MemorySecretStore())
        importer = FhirFormularies()
        for path in importer.inputs(folder):
            report = await ingest(index, importer, path)
            if report.refused:
                raise RuntimeError(f"{path.name}: {report.refused}")

        async with served(index) as service:
            return await _compare(FormularyOperation(cast(Stays, None), _Knowing(service)), list(_items(folder)))


async def _compare(operation: FormularyOperation, items: list[_Item]) -> str:
    right: Counter[tuple[str, str]] = Counter()
    wrong: list[str] = []
    of_plan = Counter(one.plan for one in items)
    late = 0
    for one in items:
        entry = await _entry(operation, one, _DAY)
        got = {} if entry is None else {part["name"]: _value(part) for part in entry}
        for name in _FIELDS:
            right[one.plan, name] += entry is not None and got.get(name) == one.says[name]
        if any(got.get(name) != one.says[name] for name in _FIELDS):
            wrong.append(f"{one.plan}: {one.code} {one.name}")
        late += await _entry(operation, one, _AFTER) is not None
    lines = [
        "# Formulary",
        "",
        f"Machine: {machine()}. `python -m benchmarks formulary`.",
        f"{len(items):,} items of {len(of_plan)} plans, each asked for by its RxNorm code and plan as of {_DAY}.",
        "",
        "| plan | items | tier | prior authorization | step therapy | quantity limit | covered |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| {plan} | {count} | " + " | ".join(str(right[plan, name]) for name in _FIELDS) + " |"
            for plan, count in sorted(of_plan.items())
        ),
        "",
        f"Items with everything right: {share(len(items) - len(wrong), len(items))}.",
        f"Items that are still answered as of {_AFTER}, when the plans' period is over: {late}.",
        f"Simplest baseline, nothing asks for anything: {share(_plain(items), len(items))} of the items are without"
        " prior authorization, step therapy and quantity limit.",
        *(f"* wrong: {one}" for one in wrong[:20]),
        "",
    ]
    return "\n".join(lines)


async def _entry(operation: FormularyOperation, item: _Item, day: date) -> list[dict[str, Any]] | None:
    """Return the parts of the one entry for the item's own code, as the operation answers."""
    medication = {"coding": [{"system": _RXNORM, "code": item.code, "display": item.name}]}
    given = [
        {"name": "plan", "valueString": item.plan},
        {"name": "medication", "valueCodeableConcept": medication},
        {"name": "asOf", "valueDate": day.isoformat()},
    ]
    body = json.dumps({"resourceType": "Parameters", "parameter": given}).encode()
    inputs = read_parameters(definition("formulary"), body)
    prepared = await operation.prepare(cast(Call, None), inputs)
    answer = (await prepared.run(Deadline(prepared.budget_ms))).resource
    entries = [part["part"] for part in answer["parameter"] if part["name"] == "entry"]
    own = [entry for entry in entries if _code(entry) == item.code]
    return own[0] if len(own) == 1 == len(entries) else None


def _code(entry: list[dict[str, Any]]) -> str | None:
    drug = next(part["valueCodeableConcept"] for part in entry if part["name"] == "drug")
    return next((one["code"] for one in drug.get("coding", [])), None)


def _value(part: Mapping[str, Any]) -> Any:
    return next((value for name, value in part.items() if name.startswith("value")), None)


def _items(folder: Path) -> Iterator[_Item]:
    for plan in sorted(one for one in folder.iterdir() if one.is_dir()):
        drugs = {one["id"]: one["code"]["coding"][0] for one in _lines(plan / "MedicationKnowledge.ndjson")}
        for item in _lines(plan / "Basic.ndjson"):
            drug = drugs[item["subject"]["reference"].removeprefix("MedicationKnowledge/")]
            yield _Item(plan.name, drug["code"], drug["display"], _says(item))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text("utf-8").splitlines():
        if line:
            yield json.loads(line)


def _says(item: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for extension in item["extension"]:
        name = extension["url"].rsplit("/usdf-", 1)[-1].removesuffix("-extension")
        found.setdefault(name, next((value for key, value in extension.items() if key.startswith("value")), None))
    return {
        "tier": found["DrugTierID"]["coding"][0]["display"],
        "priorAuthorization": found["PriorAuthorization"],
        "stepTherapy": found["StepTherapyLimit"],
        "quantityLimit": found["QuantityLimit"],
        "covered": found["AvailabilityStatus"] == "active",
    }


def _plain(items: list[_Item]) -> int:
    return sum(
        not (one.says["priorAuthorization"] or one.says["stepTherapy"] or one.says["quantityLimit"]) for one in items
    )
