"""FHIR formularies of the Da Vinci US Drug Formulary guide: bulk export (ndjson, one plan or many), or a Bundle.

Source: HL7 FHIR Da Vinci PDex US Drug Formulary 2.0 (InsurancePlan ``usdf-Formulary``, Basic ``usdf-FormularyItem``,
MedicationKnowledge ``usdf-FormularyDrug``). A folder holds what one export wrote, under the names that servers give
(``Basic.ndjson``, ``1.Basic.ndjson``, ``Basic-0001.ndjson.gz``).
"""

import json
import re
from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from service_contracts.evidence import Fact, FormularyStatus, Source

from retrieval.documents import DrugName, IngestedDocument
from retrieval.drug_names import RXNORM
from retrieval.importers.formulary_facts import formulary_fact, product_names
from retrieval.importers.records import Record, RecordRefused, read_limited
from retrieval.importers.spool import Spool
from retrieval.importers.streams import open_bounded

__all__ = ["FORMULARY_TYPES", "FhirFormularies"]

FORMULARY_TYPES = ("InsurancePlan", "MedicationKnowledge", "Basic")
_EXTENSION = "http://hl7.org/fhir/us/davinci-drug-formulary/StructureDefinition/usdf-"
_PUBLISHER = "Formulary of the plan's issuer"
_EXPORTED = re.compile(rf"(?:.*[._-])?({'|'.join(FORMULARY_TYPES)})(?:[._-].*)?\.ndjson(?:\.gz)?")
_MAX_LINE = 4 * 1024 * 1024
_ANY_PLAN = ""
_Drugs = dict[str, tuple[str, str | None] | None]


class FhirFormularies:
    """See ``Importer``. One record is one plan: a formulary is in force as a whole or not at all."""

    name = "fhir-formularies"
    edition = 2

    def inputs(self, path: Path) -> list[Path]:
        """See ``Importer.inputs``."""
        if path.is_file():
            return [path]
        folders = {one.parent for one in path.rglob("*.ndjson*") if _exported(one) == "InsurancePlan"}
        return sorted({*folders, *(one for one in path.rglob("*.json") if b'"InsurancePlan"' in _head(one))})

    def count(self, path: Path) -> int:
        """See ``Importer.count``."""
        return sum(1 for one in _resources(path, "InsurancePlan") if _is_formulary(one)) or 1

    def records(self, path: Path) -> Iterator[Record]:
        """See ``Importer.records``; what belongs to a plan is put together on disk before."""
        plans: list[dict[str, Any]] = []
        drugs: _Drugs = {}
        with Spool() as items:
            for resource in _resources(path, *FORMULARY_TYPES):
                kind = resource.get("resourceType")
                if kind == "InsurancePlan" and _is_formulary(resource):
                    plans.append(resource)
                elif kind == "MedicationKnowledge":
                    drugs[f"MedicationKnowledge/{resource.get('id')}"] = _drug(resource)
                elif kind == "Basic":
                    items.put((_reference(resource) or _ANY_PLAN).rsplit("InsurancePlan/", 1)[-1], resource)
            ids = [str(plan.get("id") or "") for plan in plans]
            if not plans:
                raise RecordRefused("0 formularies where one is expected")
            for plan_id, plan in zip(ids, plans, strict=True):
                # Where there is one plan only, what names none is its.
                of = (plan_id, _ANY_PLAN) if len(plans) == 1 else (plan_id,)
                yield Record(_place(path, plan_id, len(plans)), partial(_document, plan, drugs, items, of))
            for stray in sorted(set(items.keys()) - {*ids, *([_ANY_PLAN] if len(plans) == 1 else [])}):
                yield Record(f"{path.name}: items of {stray or 'no formulary'}", _stray)


def _place(path: Path, plan_id: str, plans: int) -> str:
    return path.name if plans == 1 else f"{path.name}: {plan_id}"


def _stray() -> IngestedDocument:
    raise RecordRefused("the formulary they belong to is not there")


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(1 << 20)


def _exported(path: Path) -> str | None:
    found = _EXPORTED.fullmatch(path.name)
    return found[1] if found else None


def _resources(path: Path, *kinds: str) -> Iterator[dict[str, Any]]:
    if path.is_file():
        yield from _entries(path)
        return
    files = sorted(one for one in path.iterdir() if one.is_file())
    for kind in kinds:
        named = [one for one in files if _exported(one) == kind]
        if not named:
            raise RecordRefused(f"{kind}.ndjson is missing")
        for file in named:
            yield from _lines(file)


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    try:
        bundle = json.loads(read_limited(path))
    except (ValueError, RecursionError):
        raise RecordRefused("not JSON") from None
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise RecordRefused("not a Bundle")
    entries = bundle.get("entry")
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and isinstance(entry.get("resource"), dict):
            yield entry["resource"]


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    with open_bounded(file) as stream:
        number = 0
        while line := stream.readline(_MAX_LINE):
            number += 1
            if line.strip():
                try:
                    resource = json.loads(line)
                except (ValueError, RecursionError):
                    raise RecordRefused(f"{file.name}:{number}: not JSON") from None
                if not isinstance(resource, dict):
                    raise RecordRefused(f"{file.name}:{number}: not a resource")
                yield resource


def _is_formulary(plan: dict[str, Any]) -> bool:
    codings = [coding for one in plan.get("type", []) for coding in one.get("coding", [])]
    return plan.get("resourceType") == "InsurancePlan" and (
        not codings or any(coding.get("code") == "DRUGPOL" for coding in codings)
    )


def _document(plan: dict[str, Any], drugs: _Drugs, items: Spool, of: tuple[str, ...]) -> IngestedDocument:
    plan_id = str(plan.get("id") or "")
    if not plan_id:
        raise RecordRefused("a formulary without id")
    name = str(plan.get("name") or plan_id)
    source = _source(plan, plan_id, name)
    facts: dict[str, Fact] = {}
    names: dict[str, DrugName] = {}
    for item in (item for key in of for item in items.rows(key)):
        drug = drugs.get(str((item.get("subject") or {}).get("reference")))
        if drug is None:
            raise RecordRefused(f"item {item.get('id')} is about a drug that is not there, or has no name")
        fact_id = f"formulary/{plan_id}/{item.get('id')}"
        facts[fact_id] = formulary_fact(fact_id, _status(item, plan_id, *drug), name, source)
        for one in product_names(*drug):
            names.setdefault(one.name, one)
    return IngestedDocument(
        f"formulary/{plan_id}", "formulary", source, tuple(facts.values()), (), tuple(names.values())
    )


def _source(plan: dict[str, Any], plan_id: str, name: str) -> Source:
    period, meta = plan.get("period") or {}, plan.get("meta") or {}
    status = plan.get("status", "active")
    until = _day_after(period.get("end"))
    if status == "retired":
        retired = _day(meta.get("lastUpdated"))
        if retired is None:
            raise RecordRefused("a retired formulary that does not say since when")
        until = retired if until is None else min(until, retired)
    elif status != "active":
        raise RecordRefused(f"its status is {status!s:.40}")
    return Source(
        title=f"{name}: drug formulary",
        publisher=str((plan.get("ownedBy") or {}).get("display") or _PUBLISHER),
        identifier=plan_id,
        version=str(meta.get("versionId") or meta.get("lastUpdated") or "1"),
        section="formulary items",
        effective_from=_day(period.get("start")),
        superseded_on=until,
    )


def _status(item: dict[str, Any], plan_id: str, drug: str, rxcui: str | None) -> FormularyStatus:
    tier = _extension(item, "DrugTierID").get("valueCodeableConcept", {}).get("coding") or [{}]
    return FormularyStatus(
        plan=plan_id,
        drug=drug,
        rxcui=rxcui,
        covered=_extension(item, "AvailabilityStatus").get("valueCode", "active") == "active",
        tier=tier[0].get("display") or tier[0].get("code"),
        prior_authorization=_extension(item, "PriorAuthorization").get("valueBoolean", False),
        step_therapy=_extension(item, "StepTherapyLimit").get("valueBoolean", False),
        quantity_limit=_extension(item, "QuantityLimit").get("valueBoolean", False),
    )


def _drug(resource: dict[str, Any]) -> tuple[str, str | None] | None:
    codings = (resource.get("code") or {}).get("coding") or [{}]
    rxnorm = next((one for one in codings if one.get("system") == RXNORM), codings[0])
    display = rxnorm.get("display") or (resource.get("code") or {}).get("text")
    if not display:
        return None
    return str(display), str(rxnorm["code"]) if rxnorm.get("system") == RXNORM and rxnorm.get("code") else None


def _extension(item: dict[str, Any], name: str) -> dict[str, Any]:
    url = f"{_EXTENSION}{name}-extension"
    return next((one for one in item.get("extension", []) if one.get("url") == url), {})


def _reference(item: dict[str, Any]) -> str | None:
    found = _extension(item, "FormularyReference").get("valueReference", {}).get("reference")
    return str(found) if found else None


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text[:10]) if text and len(text) >= 10 else None
    except ValueError:
        return None


def _day_after(text: str | None) -> date | None:
    last = _day(text)
    return None if last is None else last + timedelta(days=1)
