"""How much of each ingredient one instruction means: per administration and per day, at the most."""

from dataclasses import dataclass

from service_contracts.quantity import Quantity

from reconciliation.case import DraftedDrug
from reconciliation.drug_names import name_parts
from reconciliation.statements import MedicationStatement
from reconciliation.units import compare, multiply
from reconciliation.wording import dose_words, quantity, times

__all__ = ["Intake", "intake", "says"]


@dataclass(frozen=True)
class Intake:
    """The most of one ingredient an instruction allows; None where the words do not say."""

    ingredient: str
    single: Quantity | None
    daily: Quantity | None


def intake(drug: DraftedDrug) -> tuple[Intake, ...]:
    """Return the intake of each ingredient of a drug whose ingredients are known.

    A combination's strengths go to its ingredients in the order in which its name lists them; a single strength
    for several ingredients is not divided among them. A weekly medicine's day is the day it is taken.
    """
    statement, ingredients = drug.statement, drug.resolved.ingredients
    singles = _singles(drug)
    ceiling = statement.ceiling.amount if statement.ceiling and len(ingredients) == 1 else None
    found = []
    for ingredient in ingredients:
        single = singles.get(ingredient)
        daily = None
        if single is not None and statement.frequency is not None and statement.frequency.high is not None:
            daily = multiply(single, max(1.0, statement.frequency.high))
        if ceiling is not None and (daily is None or compare(ceiling, daily) == -1):
            daily = ceiling
        found.append(Intake(ingredient, single, daily))
    return tuple(found)


def _singles(drug: DraftedDrug) -> dict[str, Quantity]:
    dose, ingredients = drug.statement.dose, drug.resolved.ingredients
    if dose is None:
        return {}
    amounts = _likelier(drug, dose.high, dose.other)
    if len(amounts) == 1:
        return {ingredients[0]: amounts[0]} if len(ingredients) == 1 else {}
    if len(amounts) != len(ingredients):
        return {}
    for name in (drug.statement.name, *drug.statement.aliases, *((drug.order.name,) if drug.order else ())):
        ordered = _in_name_order(name, ingredients)
        if ordered is not None:
            return dict(zip(ordered, amounts, strict=True))
    return {}


def _likelier(
    drug: DraftedDrug, high: tuple[Quantity, ...], other: tuple[Quantity, ...] | None
) -> tuple[Quantity, ...]:
    # "metformin 500 mg, 2 tablets" reads as 500 or 1,000 mg: the reading that the order confirms is meant.
    ordered = drug.order.dose if drug.order is not None else None
    if other is not None and ordered is not None and len(other) == 1 and compare(other[0], ordered) == 0:
        return other
    return high


def _in_name_order(name: str, ingredients: tuple[str, ...]) -> list[str] | None:
    parts = name_parts(name)
    if len(parts) != len(ingredients):
        return None
    ordered = []
    for part in parts:
        match = [one for one in ingredients if one[:5] == part[:5]]
        if len(match) != 1:
            return None
        ordered.append(match[0])
    return ordered if len(set(ordered)) == len(ordered) else None


def says(drug: DraftedDrug) -> str:
    """Write what the instruction says: "ibuprofen 400 mg 4 times a day as needed for 5 days"."""
    statement: MedicationStatement = drug.statement
    words = [drug.name]
    if statement.dose is not None:
        words.append(dose_words(statement.dose.low, statement.dose.high))
    if statement.frequency is not None and statement.frequency.high is not None:
        words.append(times(statement.frequency.high))
    if statement.as_needed:
        words.append("as needed")
    if statement.duration is not None:
        words.append(f"for {quantity(statement.duration)}")
    return ("stop " if not drug.taken else "") + " ".join(words)
