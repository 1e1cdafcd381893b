"""Which of several dose limits hold for this patient, and what they say together."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from service_contracts.chart import Chart
from service_contracts.evidence import DoseLimit, Fact, RenalLimit
from service_contracts.quantity import Quantity

from reconciliation.case import DraftedDrug
from reconciliation.grammar import route_of
from reconciliation.units import compare

__all__ = ["Comparison", "applicable", "compared", "stated_for"]

_CHILD = re.compile(r"\b(?:child\w*|pediatric\w*|paediatric\w*|infant\w*|neonat\w*|newborn\w*|adolescent\w*)\b", re.I)
_OLDER = re.compile(r"\b(?:elderly|geriatric|older|aged|65)\b", re.I)
_ADULT = re.compile(r"\badults?\b", re.I)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SMALL_WORDS = _words(
    """
    of the and or in with for to a an acute chronic mild moderate severe disease disorder treatment patients
    """
)
_GIVEN_BY = {"injection": {"subcutaneous", "intramuscular", "intravenous", "injection"}}


@dataclass(frozen=True)
class Comparison:
    """How an amount stands to the limits: ``above`` and ``within`` hold those that compare, largest limit last."""

    above: tuple[tuple[Fact, DoseLimit, Quantity], ...]
    within: tuple[tuple[Fact, DoseLimit, Quantity], ...]


def stated_for(fact: Fact, limit: DoseLimit | RenalLimit, drug: DraftedDrug) -> bool:
    """Whether a limit holds for this medicine: whatever product it is, or because retrieval found it for this one."""
    return not limit.products or fact.id in drug.resolved.fact_ids


def applicable(
    limits: Sequence[tuple[Fact, DoseLimit]], drug: DraftedDrug, chart: Chart
) -> list[tuple[Fact, DoseLimit]]:
    """Return the limits for this product, this route, this age and, where any fits, this indication.

    Limits without a population are for adults; limits for a population we cannot tell are left out. For an older
    patient a limit for older patients takes the place of the adult one for the same indication. A limit for an
    indication the chart does not show is used only when there is no other: then it bounds, and is not exact.
    """
    route = drug.statement.route or (route_of(drug.order.route) if drug.order else None)
    fitting = [
        (fact, limit)
        for fact, limit in limits
        if stated_for(fact, limit, drug)
        and _route_fits(route_of(limit.route) if limit.route else None, route)
        and _population_fits(limit.population, chart.age_years)
    ]
    replaced = {limit.indication for _, limit in fitting if _for_older(limit)}
    fitting = [one for one in fitting if _for_older(one[1]) or one[1].indication not in replaced]
    words = _indication_words(drug, chart)
    for_indication = [one for one in fitting if one[1].indication and _content(one[1].indication) & words]
    general = [one for one in fitting if not one[1].indication]
    return for_indication or general or fitting


def compared(limits: Sequence[tuple[Fact, DoseLimit]], single: Quantity | None, daily: Quantity | None) -> Comparison:
    """Compare an intake with limits, each with the most specific bound it has for what is known."""
    above: list[tuple[Fact, DoseLimit, Quantity]] = []
    within: list[tuple[Fact, DoseLimit, Quantity]] = []
    for fact, limit in limits:
        outcomes = []
        for amount, bound in ((daily, limit.max_daily), (single, limit.max_single), (single, limit.max_daily)):
            if amount is None or bound is None:
                continue
            order = compare(amount, bound)
            if order is not None and not (bound is limit.max_daily and amount is single and order <= 0):
                # One administration within the daily limit says nothing about the day.
                outcomes.append((order, bound))
        exceeded = [bound for order, bound in outcomes if order > 0]
        if exceeded:
            above.append((fact, limit, exceeded[0]))
        elif outcomes:
            within.append((fact, limit, outcomes[0][1]))
    return Comparison(tuple(sorted(above, key=_size)), tuple(sorted(within, key=_size)))


def _size(one: tuple[Fact, DoseLimit, Quantity]) -> float:
    return one[2].value


def _route_fits(limit: str | None, given: str | None) -> bool:
    if limit is None or given is None or limit == given:
        return True
    return given in _GIVEN_BY.get(limit, set()) or limit in _GIVEN_BY.get(given, set())


def _population_fits(population: str | None, age: int | None) -> bool:
    adult = age is None or age >= 18
    if population is None or _ADULT.search(population):
        return adult
    if _CHILD.search(population):
        return not adult
    return bool(_OLDER.search(population)) and age is not None and age >= 65


def _for_older(limit: DoseLimit) -> bool:
    return limit.population is not None and _OLDER.search(limit.population) is not None


def _indication_words(drug: DraftedDrug, chart: Chart) -> set[str]:
    reason = drug.order.reason if drug.order else None
    if reason:
        return _content(reason)
    return _content(" ".join(condition.name for condition in chart.conditions))


def _content(text: str) -> set[str]:
    return {word for word in re.findall(r"[a-z]{4,}", text.lower()) if word not in _SMALL_WORDS}
