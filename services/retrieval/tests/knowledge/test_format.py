"""Every shipped file is in the format its header describes, and nothing in it is loose."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from retrieval.starter import starter_documents
from service_contracts.evidence import (
    ActivityProtocol,
    AllergyClass,
    DoseLimit,
    Fact,
    FollowUpInterval,
    Interaction,
    RenalLimit,
)
from service_contracts.model import Contract
from service_contracts.quantity import Quantity

from .conftest import Shipped

UNITS = {
    DoseLimit: {"mg", "g", "ug", "mL", "[iU]", "meq", "{puff}", "{tablet}"},
    RenalLimit: {"mg", "g", "mL/min", "mL/min/{1.73_m2}"},
    ActivityProtocol: {"[lb_av]", "kg", "d", "h"},
    FollowUpInterval: {"d", "h"},
}
ROUTES = {"oral", "inhaled", "subcutaneous", "intramuscular", "intravenous", "sublingual", "nasal", "topical", None}
ACTIVITIES = {
    "lifting", "driving", "bathing", "exercise", "sex", "work", "arm-raising", "bending", "weight-bearing", "flying",
    "climbing", "swimming",
}  # fmt: skip
SYSTEMS = {"http://www.ama-assn.org/go/cpt", "http://hl7.org/fhir/sid/icd-10-cm", "http://snomed.info/sct"}
PREFIXES = {
    "dose_limits.yaml": "dose/",
    "drug_interactions.yaml": "interaction/",
    "renal_limits.yaml": "renal/",
    "allergy_classes.yaml": "allergy/",
    "activity_protocols.yaml": "activity/",
    "follow_up_intervals.yaml": "follow-up/",
}


def _quantities(value: Any) -> Iterator[Quantity]:
    if isinstance(value, Quantity):
        yield value
    elif isinstance(value, Contract):
        for name in type(value).model_fields:
            yield from _quantities(getattr(value, name))
    elif isinstance(value, tuple):
        for one in value:
            yield from _quantities(one)


def _ingredients(fact: Fact) -> tuple[str, ...]:
    body = fact.body
    if isinstance(body, DoseLimit | RenalLimit):
        return (body.ingredient,)
    if isinstance(body, Interaction):
        return (body.a, body.b)
    return body.ingredients if isinstance(body, AllergyClass) else ()


def test_the_files_are_those_that_are_documented(shipped: tuple[Shipped, ...]) -> None:
    assert {file.name for file in shipped} == set(PREFIXES)
    for file in shipped:
        assert set(file.raw) == {"sources", "facts"}, file.name
        assert all(fact.id.startswith(PREFIXES[file.name]) for fact in file.facts), file.name


def test_every_entry_has_the_documented_words_and_no_others(shipped: tuple[Shipped, ...]) -> None:
    for file in shipped:
        for entry in file.raw["facts"]:
            assert set(entry) - {"verbatim"} == {"id", "source", "section", "statement", "body"}, entry["id"]
        for key, source in file.raw["sources"].items():
            assert set(source) == {
                "title", "publisher", "identifier", "version", "published", "effective_from", "superseded_on",
                "retrieved",
            }, key  # fmt: skip


def test_ids_are_unique_over_all_files(shipped: tuple[Shipped, ...]) -> None:
    counted = Counter(fact.id for file in shipped for fact in file.facts)
    assert [name for name, count in counted.items() if count > 1] == []


def test_every_source_is_used_and_told_apart_by_its_key(shipped: tuple[Shipped, ...]) -> None:
    for file in shipped:
        assert {entry["source"] for entry in file.raw["facts"]} == set(file.raw["sources"]), file.name
        identifiers = Counter(source["identifier"] for source in file.raw["sources"].values())
        assert [one for one, count in identifiers.items() if count > 1] == [], file.name


def test_a_source_says_where_it_was_read_and_when(facts: Mapping[str, Fact]) -> None:
    for fact in facts.values():
        source = fact.source
        assert source.title and source.publisher and source.identifier and source.version and source.section, fact.id
        assert source.retrieved is not None and date(2026, 1, 1) <= source.retrieved <= date(2026, 12, 31), fact.id
        for day in (source.published, source.effective_from):
            assert day is None or date(1990, 1, 1) <= day <= source.retrieved, fact.id
        assert source.superseded_on is None or source.superseded_on > (source.effective_from or date.min), fact.id


def test_statements_are_sentences(facts: Mapping[str, Fact]) -> None:
    for fact in facts.values():
        statement = " ".join(fact.statement.split())
        assert statement[0].isupper() or statement[0].isdigit(), fact.id
        assert 15 <= len(statement) <= 420, fact.id
        assert fact.verbatim or statement.endswith("."), fact.id


def test_units_are_ucum_codes_that_the_checks_compare(facts: Mapping[str, Fact]) -> None:
    for fact in facts.values():
        for quantity in _quantities(fact.body):
            assert quantity.unit in UNITS[type(fact.body)], fact.id
            assert quantity.value > 0, fact.id


def test_ingredients_are_plain_lower_case_names(facts: Mapping[str, Fact]) -> None:
    salts = {"hydrochloride", "sodium", "tartrate", "succinate", "maleate", "besylate", "mesylate"}
    for fact in facts.values():
        for name in _ingredients(fact):
            assert name == name.lower().strip(), fact.id
            assert not salts & set(name.split()), fact.id


def test_names_of_classes_are_known_to_the_table_of_names(facts: Mapping[str, Fact]) -> None:
    known = {one.name for document in starter_documents() for one in document.names}
    asked = {name for fact in facts.values() for name in _ingredients(fact) if name.startswith("class:")}
    assert asked <= known


def test_terms_are_lower_case_and_codes_are_of_known_systems(facts: Mapping[str, Fact]) -> None:
    for fact in facts.values():
        if isinstance(fact.body, ActivityProtocol | FollowUpInterval):
            assert fact.body.terms, fact.id
            assert all(term == term.lower().strip() for term in fact.body.terms), fact.id
            assert len(set(fact.body.terms)) == len(fact.body.terms), fact.id
            assert {code.system for code in fact.body.codes} <= SYSTEMS, fact.id


def test_a_dose_limit_limits_something_by_a_known_route(facts: Mapping[str, Fact]) -> None:
    for fact in facts.values():
        if isinstance(fact.body, DoseLimit):
            assert fact.body.max_daily or fact.body.max_single, fact.id
            assert fact.body.route in ROUTES, fact.id
            single, daily = fact.body.max_single, fact.body.max_daily
            if single and daily:
                assert single.unit == daily.unit and single.value <= daily.value, fact.id


def test_a_limit_is_stated_once_for_each_indication(facts: Mapping[str, Fact]) -> None:
    bodies = [fact.body for fact in facts.values() if isinstance(fact.body, DoseLimit)]
    counted = Counter((body.ingredient, body.route, body.population, body.indication) for body in bodies)
    assert [one for one, count in counted.items() if count > 1] == []


def test_a_renal_limit_compares_with_its_own_measure(facts: Mapping[str, Fact]) -> None:
    for fact in facts.values():
        if isinstance(fact.body, RenalLimit):
            unit = {"egfr": "mL/min/{1.73_m2}", "crcl": "mL/min"}[fact.body.measure]
            assert fact.body.below.unit == unit, fact.id
            assert fact.body.action == "limit" or fact.body.max_daily is None, fact.id


def test_worse_kidneys_never_allow_more(facts: Mapping[str, Fact]) -> None:
    limits: dict[tuple[str, str], list[RenalLimit]] = {}
    for fact in facts.values():
        if isinstance(fact.body, RenalLimit) and fact.body.max_daily:
            limits.setdefault((fact.body.ingredient, fact.body.max_daily.unit), []).append(fact.body)
    for bodies in limits.values():
        ordered = sorted(bodies, key=lambda body: body.below.value)
        amounts = [body.max_daily.value for body in ordered if body.max_daily]
        assert amounts == sorted(amounts)


def test_a_pair_of_medicines_is_judged_once(facts: Mapping[str, Fact]) -> None:
    pairs = Counter(frozenset((b.a, b.b)) for b in (fact.body for fact in facts.values()) if isinstance(b, Interaction))
    assert [pair for pair, count in pairs.items() if count > 1 or len(pair) != 2] == []


def test_cross_reactive_classes_are_classes(facts: Mapping[str, Fact]) -> None:
    bodies = [fact.body for fact in facts.values() if isinstance(fact.body, AllergyClass)]
    names = {body.name for body in bodies}
    assert {other for body in bodies for other in body.cross_reactive} <= names
    assert all(body.ingredients and body.name not in body.cross_reactive for body in bodies)


def test_restrictions_are_of_the_activities_that_drafts_are_read_for(facts: Mapping[str, Fact]) -> None:
    for fact in facts.values():
        if isinstance(fact.body, ActivityProtocol):
            assert fact.body.restrictions, fact.id
            for one in fact.body.restrictions:
                assert one.activity in ACTIVITIES, fact.id
                assert one.limit is None or one.activity in {"lifting", "weight-bearing"}, fact.id
                assert 1 <= one.lasts.value <= 180, fact.id


def test_visits_are_due_within_a_year(facts: Mapping[str, Fact]) -> None:
    for fact in facts.values():
        if isinstance(fact.body, FollowUpInterval):
            assert 1 <= fact.body.within.value <= 365 and fact.body.visit, fact.id
