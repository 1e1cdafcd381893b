"""FHIR formularies of the Da Vinci US Drug Formulary guide: one plan a folder of ndjson files, or a Bundle.

Source: HL7 FHIR Da Vinci PDex US Drug Formulary 2.0 (InsurancePlan ``usdf-Formulary``, Basic ``usdf-FormularyItem``,
MedicationKnowledge ``usdf-FormularyDrug``).
"""

import json
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from service_contracts.evidence import Fact, FormularyStatus, Source

from retrieval.documents import DrugName, IngestedDocument
from retrieval.drug_names import RXNORM, brand_words, ingredient_names
from retrieval.importers.records import Record, RecordRefused, read_limited

__all__ = ["FhirFormularies"]

_EXTENSION = "http://hl7.org/fhir/us/davinci-drug-formulary/StructureDefinition/usdf-"
_PUBLISHER = "Formulary of the plan's issuer"


class FhirFormularies:
    """See ``Importer``. One record is one plan: a formulary is in force as a whole or not at all."""

    name = "fhir-formularies"
    edition = 1

    def inputs(self, path: Path) -> list[Path]:
        """See ``Importer.inputs``."""
        if path.is_file() or (path / "InsurancePlan.ndjson").exists():
            return [path]
        folders = (one.parent for one in path.rglob("InsurancePlan.ndjson"))
        return sorted({*folders, *(one for one in path.rglob("*.json") if b'"InsurancePlan"' in _head(one))})

    def count(self, _: Path) -> int:
        """See ``Importer.count``."""
        return 1

    def records(self, path: Path) -> Iterator[Record]:
        """See ``Importer.records``."""
        yield Record(path.name, partial(_convert, path))


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(1 << 20)


def _resources(path: Path) -> Iterator[dict[str, Any]]:
    if path.is_file():
        try:
            bundle = json.loads(read_limited(path))
        except ValueError:
            raise RecordRefused("not JSON") from None
        if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
            raise RecordRefused("not a Bundle")
        yield from (entry["resource"] for entry in bundle.get("entry", []) if isinstance(entry.get("resource"), dict))
        return
    for name in ("InsurancePlan", "MedicationKnowledge", "Basic"):
        file = path / f"{name}.ndjson"
        if not file.exists():
            raise RecordRefused(f"{name}.ndjson is missing")
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    try:
                        yield json.loads(line)
                    except ValueError:
                        raise RecordRefused(f"{file.name}:{number}: not JSON") from None


def _convert(path: Path) -> IngestedDocument:
    plans: list[dict[str, Any]] = []
    drugs: dict[str, tuple[str, str | None]] = {}
    items: list[dict[str, Any]] = []
    for resource in _resources(path):
        kind = resource.get("resourceType")
        if kind == "InsurancePlan":
            plans.append(resource)
        elif kind == "MedicationKnowledge":
            drugs[f"MedicationKnowledge/{resource.get('id')}"] = _drug(resource)
        elif kind == "Basic":
            items.append(resource)
    formularies = [plan for plan in plans if not any(_is_payer(one) for one in plan.get("type", []))]
    if len(formularies) != 1:
        raise RecordRefused(f"{len(formularies)} formularies where one is expected")
    return _document(formularies[0], drugs, items)


def _is_payer(kind: dict[str, Any]) -> bool:
    return any(one.get("code") == "DRUGPOL" for one in kind.get("coding", [])) is False


def _document(
    plan: dict[str, Any], drugs: dict[str, tuple[str, str | None]], items: Iterable[dict[str, Any]]
) -> IngestedDocument:
    plan_id = str(plan.get("id") or "")
    if not plan_id:
        raise RecordRefused("a formulary without id")
    period = plan.get("period") or {}
    name = str(plan.get("name") or plan_id)
    source = Source(
        title=f"{name}: drug formulary",
        publisher=str((plan.get("ownedBy") or {}).get("display") or _PUBLISHER),
        identifier=plan_id,
        version=str((plan.get("meta") or {}).get("versionId") or (plan.get("meta") or {}).get("lastUpdated") or "1"),
        section="formulary items",
        effective_from=_day(period.get("start")),
        superseded_on=_day_after(period.get("end")),
    )
    facts: dict[str, Fact] = {}
    names: dict[str, DrugName] = {}
    for item in items:
        if _reference(item, "FormularyReference") not in (f"InsurancePlan/{plan_id}", None):
            continue
        drug = drugs.get(str((item.get("subject") or {}).get("reference")))
        if drug is None:
            raise RecordRefused(f"item {item.get('id')} is about a drug that is not there")
        fact = _fact(item, plan_id, name, *drug, source)
        facts[fact.id] = fact
        for one in _names(*drug):
            names.setdefault(one.name, one)
    return IngestedDocument(
        f"formulary/{plan_id}", "formulary", source, tuple(facts.values()), (), tuple(names.values())
    )


def _fact(item: dict[str, Any], plan_id: str, plan: str, drug: str, rxcui: str | None, source: Source) -> Fact:
    tier = _extension(item, "DrugTierID").get("valueCodeableConcept", {}).get("coding") or [{}]
    body = FormularyStatus(
        plan=plan_id,
        drug=drug,
        rxcui=rxcui,
        covered=_extension(item, "AvailabilityStatus").get("valueCode", "active") == "active",
        tier=tier[0].get("display") or tier[0].get("code"),
        prior_authorization=_extension(item, "PriorAuthorization").get("valueBoolean", False),
        step_therapy=_extension(item, "StepTherapyLimit").get("valueBoolean", False),
        quantity_limit=_extension(item, "QuantityLimit").get("valueBoolean", False),
    )
    return Fact(
        id=f"formulary/{plan_id}/{item.get('id')}",
        body=body,
        statement=_statement(body, plan),
        verbatim=False,
        source=source,
    )


def _statement(body: FormularyStatus, plan: str) -> str:
    if not body.covered:
        return f"{plan} does not list {body.drug} at present."
    asks = [
        words
        for given, words in (
            (body.prior_authorization, "prior authorization"),
            (body.step_therapy, "step therapy"),
            (body.quantity_limit, "a quantity limit"),
        )
        if given
    ]
    tier = f", tier {body.tier}" if body.tier else ""
    return f"{plan} lists {body.drug}{tier}{', with ' + ', '.join(asks) if asks else ''}."


def _drug(resource: dict[str, Any]) -> tuple[str, str | None]:
    codings = (resource.get("code") or {}).get("coding") or [{}]
    rxnorm = next((one for one in codings if one.get("system") == RXNORM), codings[0])
    display = rxnorm.get("display") or (resource.get("code") or {}).get("text")
    if not display:
        raise RecordRefused(f"MedicationKnowledge {resource.get('id')} has no name")
    return str(display), str(rxnorm["code"]) if rxnorm.get("system") == RXNORM and rxnorm.get("code") else None


def _names(drug: str, rxcui: str | None) -> list[DrugName]:
    """Return the names that an RxNorm product name tells: its brand in brackets, its ingredients, its code."""
    if drug.startswith("{"):
        return []
    ingredients = ingredient_names(drug)
    if not ingredients or len(ingredients) > 4:
        return []
    codes = (rxcui,) if rxcui else ()
    return [
        DrugName(drug.lower(), ingredients, codes),
        *(DrugName(brand, ingredients) for brand in brand_words(drug)[-1:]),
    ]


def _extension(item: dict[str, Any], name: str) -> dict[str, Any]:
    url = f"{_EXTENSION}{name}-extension"
    return next((one for one in item.get("extension", []) if one.get("url") == url), {})


def _reference(item: dict[str, Any], name: str) -> str | None:
    found = _extension(item, name).get("valueReference", {}).get("reference")
    return str(found) if found else None


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text[:10]) if text and len(text) >= 10 else None


def _day_after(text: str | None) -> date | None:
    last = _day(text)
    return None if last is None else last + timedelta(days=1)
