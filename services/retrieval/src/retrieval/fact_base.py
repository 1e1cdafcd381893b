"""All facts of an index in memory, and the evidence about the subjects of a query; no I/O."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import chain

from service_contracts.evidence import (
    ActivityProtocol,
    AllergyClass,
    DoseLimit,
    Evidence,
    EvidenceQuery,
    FactKind,
    FollowUpInterval,
    FormularyStatus,
    Interaction,
    InteractionPair,
    RenalLimit,
    ResolvedSubject,
    Subject,
    SubjectKind,
)

from retrieval.documents import DrugName, in_force
from retrieval.drug_names import CLASS_PREFIX, RXNORM, NameTable, class_key, ingredient_names
from retrieval.interaction_pairs import InteractionPairs, Pair, fused_pairs
from retrieval.products import speaks_of
from retrieval.stored import StoredFact
from retrieval.subject_terms import TermIndex

__all__ = ["FactBase", "plan_key"]


def plan_key(plan: str) -> str:
    """Return how plan ids are compared: an ``InsurancePlan`` id and the id an insurer prints differ in a prefix."""
    return plan.strip().lower().rsplit("/", 1)[-1].removeprefix("formulary-")


@dataclass(frozen=True)
class _Plan:
    """The rows of one plan, by the ingredients of the drug and by its RxNorm code; and the periods they hold for."""

    by_parts: dict[frozenset[str], list[StoredFact]] = field(default_factory=dict)
    by_code: dict[str, list[StoredFact]] = field(default_factory=dict)
    periods: set[tuple[date | None, date | None]] = field(default_factory=set)


_NO_PLAN = _Plan()


class FactBase:
    """Answers evidence queries from facts that are in force on the day asked about."""

    def __init__(self, facts: Iterable[StoredFact], names: Iterable[DrugName]) -> None:
        found = list(facts)
        bodies = [one.fact.body for one in found]
        self._kinds = frozenset(body.kind for body in bodies)
        self.names = NameTable(chain(names, _class_names(bodies)), chain.from_iterable(_named(body) for body in bodies))
        self._by_ingredient: dict[str, list[StoredFact]] = {}
        self._pairs = InteractionPairs(self.names)
        self._allergy: list[tuple[StoredFact, AllergyClass, frozenset[str], frozenset[str]]] = []
        self._terms: TermIndex[StoredFact] = TermIndex()
        self._plans: dict[str, _Plan] = {}
        for one in found:
            self._enter(self._with_canonical_names(one))

    def _with_canonical_names(self, one: StoredFact) -> StoredFact:
        """Return the fact with its ingredients as queries resolve them: a reader of the answer compares names."""
        body = one.fact.body
        renamed: dict[str, object] = {}
        if isinstance(body, DoseLimit | RenalLimit):
            renamed = {"ingredient": self._name(body.ingredient)}
        elif isinstance(body, Interaction):
            renamed = {"a": self._name(body.a), "b": self._name(body.b)}
        elif isinstance(body, AllergyClass):
            renamed = {"ingredients": tuple(self._name(name) for name in body.ingredients)}
        if all(getattr(body, field) == value for field, value in renamed.items()):
            return one
        return replace(one, fact=one.fact.model_copy(update={"body": body.model_copy(update=renamed)}))

    def _name(self, name: str) -> str:
        return name if name.startswith(CLASS_PREFIX) else self.names.canonical(name)

    def _enter(self, one: StoredFact) -> None:
        body = one.fact.body
        if isinstance(body, DoseLimit | RenalLimit):
            self._by_ingredient.setdefault(self.names.canonical(body.ingredient), []).append(one)
        elif isinstance(body, Interaction):
            self._pairs.add(one, body)
        elif isinstance(body, AllergyClass):
            members = frozenset(self.names.canonical(name) for name in body.ingredients)
            cross = frozenset(class_key(name) for name in body.cross_reactive)
            self._allergy.append((one, body, members, cross))
        elif isinstance(body, ActivityProtocol | FollowUpInterval):
            self._terms.add(body.terms, body.codes, one)
        elif isinstance(body, FormularyStatus):
            parts = frozenset(self.names.canonical(name) for name in ingredient_names(body.drug))
            plan = self._plans.setdefault(plan_key(body.plan), _Plan())
            plan.periods.add((one.effective_from, one.superseded_on))
            plan.by_parts.setdefault(parts, []).append(one)
            if body.rxcui is not None:
                plan.by_code.setdefault(body.rxcui, []).append(one)

    def evidence(self, query: EvidenceQuery, index_version: str) -> Evidence:
        """Return the facts about the subjects, how each was understood, and the kinds that could be searched."""
        search = _Search(self, query)
        resolved = tuple(search.resolve(subject) for subject in query.subjects)
        searched = self._kinds - {FactKind.FORMULARY_STATUS}
        if query.plan is not None and search.plan_known():
            searched |= {FactKind.FORMULARY_STATUS}
        return Evidence(
            facts=tuple(one.fact for one in search.found.values()),
            resolved=resolved,
            searched=tuple(kind for kind in FactKind if kind in searched),
            index_version=index_version,
            interactions=search.interactions(),
        )


class _Search:
    """One query at work."""

    def __init__(self, base: FactBase, query: EvidenceQuery) -> None:
        self._base = base
        self._query = query
        self.found: dict[str, StoredFact] = {}
        self._ingredients: dict[Subject, tuple[str, ...]] = {
            subject: base.names.resolve_subject(subject)
            for subject in query.subjects
            if subject.kind in (SubjectKind.DRUG, SubjectKind.ALLERGEN)
        }
        self._drugs = frozenset(
            ingredient
            for subject, ingredients in self._ingredients.items()
            if subject.kind is SubjectKind.DRUG
            for ingredient in ingredients
        )
        self._pairs = base._pairs.between(self._drugs, query.as_of)
        self._pairs_of: dict[str, list[Pair]] = {}
        for pair, first, second in self._pairs:
            for ingredient in first | second:
                self._pairs_of.setdefault(ingredient, []).append(pair)

    def resolve(self, subject: Subject) -> ResolvedSubject:
        if subject.kind is SubjectKind.DRUG:
            return self._drug(subject)
        if subject.kind is SubjectKind.ALLERGEN:
            return self._allergen(subject)
        facts = [one for one in self._base._terms.find(subject.text, subject.codes) if self._current(one)]
        return ResolvedSubject(subject=subject, fact_ids=self._keep(facts))

    def _drug(self, subject: Subject) -> ResolvedSubject:
        ingredients = self._ingredients[subject]
        facts: list[StoredFact] = []
        classes: set[str] = set()
        for ingredient in ingredients:
            facts += [
                one
                for one in self._base._by_ingredient.get(ingredient, ())
                if self._current(one) and speaks_of(_products(one), subject)
            ]
            for pair in self._pairs_of.get(ingredient, ()):
                facts.append(pair.one)
                sides = (side for side in (pair.a, pair.b) if side.name.startswith(CLASS_PREFIX))
                classes |= {side.name for side in sides if ingredient in side.members}
        facts += self._allergy_facts(set(ingredients), set())
        facts += self._formulary(subject, frozenset(ingredients))
        return ResolvedSubject(
            subject=subject,
            ingredients=(*ingredients, *sorted(classes)),
            fact_ids=self._keep(facts),
            classes=self._base.names.classes_of(ingredients),
        )

    def interactions(self) -> tuple[InteractionPair, ...]:
        """Return what all sources together say of each pair of drugs."""
        return fused_pairs(self._pairs)

    def _allergen(self, subject: Subject) -> ResolvedSubject:
        found = self._ingredients[subject]
        ingredients = tuple(name for name in found if not name.startswith(CLASS_PREFIX))
        said = {class_key(subject.text), *(class_key(name) for name in found if name.startswith(CLASS_PREFIX))}
        bodies = [body for one, body, _, _ in self._base._allergy if self._current(one)]
        meant = [body.name for body in bodies if any(_same_class(class_key(body.name), key) for key in said)]
        facts = self._allergy_facts(set(ingredients), {class_key(name) for name in meant})
        classes = [CLASS_PREFIX + name.lower().removeprefix(CLASS_PREFIX) for name in meant]
        known = (*ingredients, *dict.fromkeys(classes))
        return ResolvedSubject(subject=subject, ingredients=known, fact_ids=self._keep(facts))

    def _allergy_facts(self, ingredients: set[str], classes: set[str]) -> list[StoredFact]:
        current = [
            (one, class_key(body.name), members, cross)
            for one, body, members, cross in self._base._allergy
            if self._current(one)
        ]
        touched = {key for _, key, members, _ in current if key in classes or members & ingredients}
        return [one for one, key, _, cross in current if key in touched or cross & touched]

    def _formulary(self, subject: Subject, ingredients: frozenset[str]) -> list[StoredFact]:
        if self._query.plan is None:
            return []
        plan = self._base._plans.get(plan_key(self._query.plan), _NO_PLAN)
        codes = [coding.code for coding in subject.codes if coding.system == RXNORM]
        exact = [one for code in codes for one in plan.by_code.get(code, ()) if self._current(one)]
        if exact or not ingredients:
            # A kit has a code of its own and no ingredients that could be told from its name.
            return exact
        return [one for one in plan.by_parts.get(ingredients, ()) if self._current(one)]

    def plan_known(self) -> bool:
        plan = self._base._plans.get(plan_key(self._query.plan or ""), _NO_PLAN)
        return any(in_force(start, end, self._query.as_of) for start, end in plan.periods)

    def _current(self, one: StoredFact) -> bool:
        return in_force(one.effective_from, one.superseded_on, self._query.as_of)

    def _keep(self, facts: Iterable[StoredFact]) -> tuple[str, ...]:
        ids = []
        for one in facts:
            self.found[one.fact.id] = one
            ids.append(one.fact.id)
        return tuple(dict.fromkeys(ids))


def _products(one: StoredFact) -> tuple[str, ...]:
    body = one.fact.body
    return body.products if isinstance(body, DoseLimit | RenalLimit) else ()


def _same_class(name: str, said: str) -> bool:
    """Whether what is said names a class: the words of one stand in the other ("penicillin structure")."""
    return f" {name} " in f" {said} " or f" {said} " in f" {name} "


def _class_names(bodies: Iterable[object]) -> list[DrugName]:
    classes = [body for body in bodies if isinstance(body, AllergyClass)]
    return [DrugName(CLASS_PREFIX + class_key(body.name), tuple(body.ingredients)) for body in classes]


def _named(body: object) -> tuple[str, ...]:
    if isinstance(body, DoseLimit | RenalLimit):
        return (body.ingredient,)
    if isinstance(body, Interaction):
        return (body.a, body.b)
    return body.ingredients if isinstance(body, AllergyClass) else ()
