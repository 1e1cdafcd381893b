"""What is shipped is what the sources say: quotes are quotes, numbers are the label's, and known facts are there."""

import re
from collections.abc import Mapping

import pytest
from service_contracts.evidence import (
    ActivityProtocol,
    AllergyClass,
    DoseLimit,
    Fact,
    FollowUpInterval,
    Interaction,
    RenalLimit,
    Severity,
)

from .conftest import plain

# Numbers of our own words that the label gives in another form: a sum over a day, half of a dose, a share of it.
DERIVED = {
    "dose/clarithromycin": {"1500"},
    "renal/clarithromycin-30": {"750"},
}


def _numbers(text: str) -> set[str]:
    return set(re.findall(r"\d+(?:\.\d+)?", text.replace(",", "")))


def test_every_drug_fact_names_a_label_that_is_there(drug_facts: list[Fact], labels: Mapping[str, str]) -> None:
    assert {fact.source.identifier for fact in drug_facts} <= set(labels)


def test_verbatim_statements_stand_in_their_label_word_for_word(
    drug_facts: list[Fact], labels: Mapping[str, str]
) -> None:
    quoted = [fact for fact in drug_facts if fact.verbatim]
    assert len(quoted) > 50
    assert [fact.id for fact in quoted if plain(fact.statement) not in labels[fact.source.identifier]] == []


def test_numbers_in_our_words_stand_in_the_label(drug_facts: list[Fact], labels: Mapping[str, str]) -> None:
    for fact in drug_facts:
        missing = _numbers(fact.statement) - _numbers(labels[fact.source.identifier]) - DERIVED.get(fact.id, set())
        assert not missing, (fact.id, missing)


def test_the_medicine_of_a_fact_is_named_in_its_label(drug_facts: list[Fact], labels: Mapping[str, str]) -> None:
    for fact in drug_facts:
        body = fact.body
        names = {body.ingredient} if isinstance(body, DoseLimit | RenalLimit) else set()
        names |= set(body.ingredients) if isinstance(body, AllergyClass) else set()
        text = f"{fact.source.title} {labels[fact.source.identifier]}".lower()
        assert all(name in text for name in names), fact.id


def test_one_side_of_an_interaction_is_the_labels_own_medicine(drug_facts: list[Fact]) -> None:
    for fact in drug_facts:
        body = fact.body
        if isinstance(body, Interaction):
            title = fact.source.title.lower()
            of_label = any(side in title or title.split()[0] in side for side in (body.a, body.b))
            of_class = "class:" in body.a + body.b or "nsaid" in fact.statement.lower()
            assert of_label or of_class, fact.id


def test_pages_are_never_quoted(facts: Mapping[str, Fact]) -> None:
    pages = [fact for fact in facts.values() if isinstance(fact.body, ActivityProtocol | FollowUpInterval)]
    assert pages and not any(fact.verbatim for fact in pages)
    assert all(re.match(r"https?://", fact.source.identifier) for fact in pages)


@pytest.mark.parametrize(
    ("identifier", "daily", "unit"),
    [
        ("dose/metformin", 2550, "mg"),
        ("dose/acetaminophen", 4000, "mg"),
        ("dose/simvastatin", 40, "mg"),
        ("dose/atorvastatin", 80, "mg"),
        ("dose/amlodipine", 10, "mg"),
        ("dose/lisinopril", 80, "mg"),
        ("dose/losartan", 100, "mg"),
        ("dose/sertraline", 200, "mg"),
        ("dose/escitalopram", 20, "mg"),
        ("dose/citalopram", 40, "mg"),
        ("dose/zolpidem", 10, "mg"),
        ("dose/glipizide", 40, "mg"),
        ("dose/furosemide", 600, "mg"),
        ("dose/methyldopa", 3, "g"),
        ("dose/levetiracetam", 3000, "mg"),
        ("dose/allopurinol", 800, "mg"),
        ("dose/cephalexin", 4, "g"),
        ("dose/meloxicam", 15, "mg"),
        ("dose/apixaban-atrial-fibrillation", 10, "mg"),
        ("dose/carvedilol-hypertension", 50, "mg"),
        ("dose/carvedilol-heart-failure", 100, "mg"),
    ],
)
def test_known_daily_maximum(facts: Mapping[str, Fact], identifier: str, daily: float, unit: str) -> None:
    body = facts[identifier].body
    assert isinstance(body, DoseLimit) and body.max_daily is not None
    assert (body.max_daily.value, body.max_daily.unit) == (daily, unit)


@pytest.mark.parametrize(
    ("a", "b", "severity"),
    [
        ("simvastatin", "clarithromycin", Severity.HIGH),
        ("simvastatin", "gemfibrozil", Severity.HIGH),
        ("simvastatin", "amlodipine", Severity.MODERATE),
        ("clopidogrel", "omeprazole", Severity.HIGH),
        ("warfarin", "amiodarone", Severity.MODERATE),
        ("warfarin", "fluconazole", Severity.MODERATE),
        ("class:nitrate", "sildenafil", Severity.HIGH),
        ("class:benzodiazepine", "class:opioid", Severity.HIGH),
        ("tizanidine", "ciprofloxacin", Severity.HIGH),
        ("ticagrelor", "clarithromycin", Severity.HIGH),
        ("levothyroxine", "ferrous sulfate", Severity.MODERATE),
        ("spironolactone", "class:ace-inhibitor", Severity.MODERATE),
        ("capecitabine", "warfarin", Severity.HIGH),
        ("aspirin", "ibuprofen", Severity.MODERATE),
    ],
)
def test_known_interaction(facts: Mapping[str, Fact], a: str, b: str, severity: Severity) -> None:
    bodies = [fact.body for fact in facts.values() if isinstance(fact.body, Interaction)]
    assert [body.severity for body in bodies if {body.a, body.b} == {a, b}] == [severity]


@pytest.mark.parametrize(
    ("identifier", "measure", "below", "action", "daily"),
    [
        ("renal/metformin-30", "egfr", 30, "avoid", None),
        ("renal/nitrofurantoin-60", "crcl", 60, "avoid", None),
        ("renal/gabapentin-30", "crcl", 30, "limit", 700),
        ("renal/pregabalin-60", "crcl", 60, "limit", 300),
        ("renal/oseltamivir-60", "crcl", 60, "limit", 60),
        ("renal/canagliflozin-60", "egfr", 60, "limit", 100),
    ],
)
def test_known_renal_limit(
    facts: Mapping[str, Fact], identifier: str, measure: str, below: float, action: str, daily: float | None
) -> None:
    body = facts[identifier].body
    assert isinstance(body, RenalLimit)
    assert (body.measure, body.below.value, body.action) == (measure, below, action)
    assert (body.max_daily.value if body.max_daily else None) == daily


@pytest.mark.parametrize(
    ("name", "members"),
    [
        ("penicillin", {"amoxicillin", "dicloxacillin"}),
        ("cephalosporin", {"cephalexin", "ceftriaxone", "cefdinir"}),
        ("sulfonamide", {"sulfamethoxazole", "sulfasalazine"}),
        ("nsaid", {"aspirin", "ibuprofen", "naproxen", "ketorolac"}),
        ("macrolide", {"azithromycin", "clarithromycin", "erythromycin"}),
        ("fluoroquinolone", {"levofloxacin", "moxifloxacin"}),
        ("tetracycline", {"doxycycline", "minocycline"}),
    ],
)
def test_known_members_of_an_allergy_class(facts: Mapping[str, Fact], name: str, members: set[str]) -> None:
    bodies = [fact.body for fact in facts.values() if isinstance(fact.body, AllergyClass)]
    assert members <= {one for body in bodies if body.name == name for one in body.ingredients}


def test_a_penicillin_allergy_touches_the_cephalosporins(facts: Mapping[str, Fact]) -> None:
    bodies = [fact.body for fact in facts.values() if isinstance(fact.body, AllergyClass)]
    assert any(body.name == "cephalosporin" and "penicillin" in body.cross_reactive for body in bodies)


def test_a_new_pacemaker_restricts_lifting_the_arm_and_driving(facts: Mapping[str, Fact]) -> None:
    bodies = [fact.body for fact in facts.values() if isinstance(fact.body, ActivityProtocol)]
    found = {
        one.activity: (one.limit.value if one.limit else None, one.lasts.value)
        for body in bodies
        if "pacemaker implantation" in body.terms
        for one in body.restrictions
    }
    assert found["lifting"] == (10, 42)
    assert found["arm-raising"] == (None, 28)
    assert found["driving"] == (None, 7)


def test_heart_failure_is_seen_within_two_weeks(facts: Mapping[str, Fact]) -> None:
    body = facts["follow-up/heart-failure"].body
    assert isinstance(body, FollowUpInterval)
    assert (body.within.value, body.within.unit) == (14, "d")


def test_there_is_enough_to_start_with(facts: Mapping[str, Fact], drug_facts: list[Fact]) -> None:
    drugs: set[str] = set()
    for fact in drug_facts:
        body = fact.body
        if isinstance(body, DoseLimit | RenalLimit):
            drugs.add(body.ingredient)
        elif isinstance(body, Interaction):
            drugs |= {side for side in (body.a, body.b) if not side.startswith("class:")}
        elif isinstance(body, AllergyClass):
            drugs |= set(body.ingredients)
    bodies = [fact.body for fact in facts.values()]
    assert len(drugs) >= 60
    assert len({body.procedure for body in bodies if isinstance(body, ActivityProtocol)}) >= 15
    assert len({body.subject for body in bodies if isinstance(body, FollowUpInterval)}) >= 20
    assert all(any(isinstance(body, kind) for body in bodies) for kind in (RenalLimit, AllergyClass, Interaction))
