"""The evidence that was found, arranged for checks, and what is known about why something is missing."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from service_contracts.chart import ChartAllergy, ChartCondition, ChartMedication, ChartProcedure
from service_contracts.evidence import (
    ActivityProtocol,
    AllergyClass,
    DoseLimit,
    Evidence,
    Fact,
    FactKind,
    FollowUpInterval,
    FormularyStatus,
    Interaction,
    RenalLimit,
    SubjectKind,
)
from service_contracts.quantity import Coding
from service_contracts.reconciliation import NotCheckedReason

__all__ = ["CLASS_PREFIX", "Knowledge", "Resolved"]

CLASS_PREFIX = "class:"

ChartItem = ChartMedication | ChartCondition | ChartProcedure | ChartAllergy
_Body = TypeVar("_Body")


@dataclass(frozen=True)
class Resolved:
    """What a name was understood as; ``reason`` says why ``ingredients`` is empty when it is.

    ``classes`` are those that facts speak of, ``pharmacological`` those a drug is of by its ingredients.
    """

    ingredients: tuple[str, ...] = ()
    classes: frozenset[str] = frozenset()
    pharmacological: frozenset[str] = frozenset()
    fact_ids: frozenset[str] = frozenset()
    reason: NotCheckedReason | None = None


class Knowledge:
    """Answers of retrieval (one, and a second for what only the draft names) as one body of evidence.

    ``absent`` says why a query was not answered (deadline or service-down), None when every query was.
    What was not answered is never read as "nothing found".
    """

    def __init__(self, answers: Iterable[Evidence], absent: NotCheckedReason | None = None) -> None:
        self._answers = tuple(answers)
        self.absent = absent
        self.facts: dict[str, Fact] = {fact.id: fact for answer in self._answers for fact in answer.facts}
        self._classes: dict[str, set[str]] = {}
        for _, body in self._bodies(AllergyClass):
            for ingredient in body.ingredients:
                self._classes.setdefault(ingredient.lower(), set()).add(_bare(body.name))
        self._resolved: dict[tuple[SubjectKind, str], Resolved] = {}
        self._coded: dict[tuple[SubjectKind, str, tuple[Coding, ...]], Resolved] = {}
        for answer in self._answers:
            for one in answer.resolved:
                key = (one.subject.kind, one.subject.text.strip().lower())
                names = [name.lower() for name in one.ingredients]
                ingredients = tuple(name for name in names if not name.startswith(CLASS_PREFIX))
                classes = {_bare(name) for name in names if name.startswith(CLASS_PREFIX)}
                for ingredient in ingredients:
                    classes |= self._classes.get(ingredient, set()) if one.subject.kind is SubjectKind.DRUG else set()
                found = bool(ingredients or classes)
                self._resolved[key] = self._coded[*key, one.subject.codes] = Resolved(
                    ingredients,
                    frozenset(classes),
                    frozenset(one.classes),
                    frozenset(one.fact_ids) & self.facts.keys(),
                    None if found else NotCheckedReason.UNRESOLVED,
                )
        self._dose: dict[str, list[tuple[Fact, DoseLimit]]] = {}
        for fact, limit in self._bodies(DoseLimit):
            self._dose.setdefault(limit.ingredient.lower(), []).append((fact, limit))
        self._renal: dict[str, list[tuple[Fact, RenalLimit]]] = {}
        for fact, renal in self._bodies(RenalLimit):
            self._renal.setdefault(renal.ingredient.lower(), []).append((fact, renal))
        # By each side that a fact names, an ingredient or a class: most pairs of drugs have no fact to look at.
        self._interactions: dict[str, list[tuple[int, Fact, Interaction, str, str]]] = {}
        for number, (fact, pair) in enumerate(self._bodies(Interaction)):
            sides = pair.a.lower(), pair.b.lower()
            for side in {*sides}:
                self._interactions.setdefault(side, []).append((number, fact, pair, *sides))
        self._class_sides = tuple(side for side in self._interactions if side.startswith(CLASS_PREFIX))

    @property
    def answered(self) -> bool:
        """Whether any evidence came at all."""
        return bool(self._answers)

    @property
    def version(self) -> str | None:
        """The version of the index, or all of them where the queries met different ones."""
        return ", ".join(dict.fromkeys(answer.index_version for answer in self._answers)) or None

    def unsearched(self, kind: FactKind) -> NotCheckedReason | None:
        """Why facts of ``kind`` could not be looked for, None when they were."""
        if not self._answers:
            return self.absent or NotCheckedReason.SERVICE_DOWN
        return None if all(kind in answer.searched for answer in self._answers) else NotCheckedReason.SERVICE_DOWN

    def resolve(self, kind: SubjectKind, *names: str) -> Resolved:
        """Return what the first of ``names`` that retrieval knows was understood as."""
        answers = [self._resolved.get((kind, name.strip().lower())) for name in names]
        known = [answer for answer in answers if answer is not None]
        for answer in known:
            if answer.reason is None or answer.fact_ids:
                return answer
        if known and len(known) == len(names):
            return known[0]
        return Resolved(reason=self.absent or NotCheckedReason.UNRESOLVED)

    def resolve_item(self, kind: SubjectKind, item: ChartItem) -> Resolved:
        """Return what an item of the chart was understood as: by its codes, where several are called the same."""
        coded = self._coded.get((kind, item.name.strip().lower(), item.codes))
        return coded if coded is not None else self.resolve(kind, item.name)

    def dose_limits(self, ingredient: str) -> list[tuple[Fact, DoseLimit]]:
        """Return the dose limits of one ingredient."""
        return self._dose.get(ingredient, [])

    def renal_limits(self, ingredient: str) -> list[tuple[Fact, RenalLimit]]:
        """Return the renal limits of one ingredient."""
        return self._renal.get(ingredient, [])

    def interactions(self, a: Resolved, b: Resolved) -> list[tuple[Fact, Interaction]]:
        """Return the interactions between two drugs, also those stated for a class that retrieval resolved."""
        found: dict[int, tuple[Fact, Interaction]] = {}
        for named in (*a.ingredients, *self._class_sides):
            for number, fact, body, one, other in self._interactions.get(named, ()):
                if number not in found and (
                    self._between(fact, one, other, a, b) or self._between(fact, other, one, a, b)
                ):
                    found[number] = (fact, body)
        return [found[number] for number in sorted(found)]

    def classes_of(self, ingredient: str) -> set[str]:
        """Return the allergy classes that list ``ingredient``."""
        return self._classes.get(ingredient, set())

    def allergy_classes(self) -> list[tuple[Fact, AllergyClass]]:
        """Return every allergy class in the evidence."""
        return list(self._bodies(AllergyClass))

    def protocols(self, resolved: Resolved) -> list[tuple[Fact, ActivityProtocol]]:
        """Return the activity protocols of a resolved procedure or condition."""
        return [(fact, body) for fact, body in self._bodies(ActivityProtocol) if fact.id in resolved.fact_ids]

    def follow_ups(self, resolved: Resolved) -> list[tuple[Fact, FollowUpInterval]]:
        """Return the follow-up intervals of a resolved condition or procedure."""
        return [(fact, body) for fact, body in self._bodies(FollowUpInterval) if fact.id in resolved.fact_ids]

    def formulary(self, resolved: Resolved) -> list[tuple[Fact, FormularyStatus]]:
        """Return how the plan covers a resolved drug."""
        return [(fact, body) for fact, body in self._bodies(FormularyStatus) if fact.id in resolved.fact_ids]

    def _between(self, fact: Fact, side: str, other: str, a: Resolved, b: Resolved) -> bool:
        """Whether ``a`` stands on ``side`` of a fact and ``b`` on the other."""
        return self._is(side, a, fact, other_named=other in b.ingredients) and self._is(
            other, b, fact, other_named=side in a.ingredients
        )

    def _is(self, side: str, drug: Resolved, fact: Fact, *, other_named: bool) -> bool:
        if side in drug.ingredients:
            return True
        if not side.startswith(CLASS_PREFIX):
            return False
        # Retrieval lists a class fact with each member of the class. Where the other side is the named ingredient,
        # being listed means being of the class; where both sides are classes, membership must be known.
        return _bare(side) in drug.classes or (other_named and fact.id in drug.fact_ids)

    def _bodies(self, of: type[_Body]) -> Iterable[tuple[Fact, _Body]]:
        return [(fact, fact.body) for fact in self.facts.values() if isinstance(fact.body, of)]


def _bare(name: str) -> str:
    return name.lower().removeprefix(CLASS_PREFIX)
