"""What is found about the subjects of a query, and how each was understood."""

from datetime import date

import pytest
from retrieval.documents import DrugName
from retrieval.fact_base import FactBase
from retrieval.stored import StoredFact
from service_contracts.evidence import (
    ActivityProtocol,
    ActivityRestriction,
    EvidenceQuery,
    FactKind,
    FollowUpInterval,
    SubjectKind,
)
from service_contracts.quantity import Coding, Quantity

ICD = "http://hl7.org/fhir/sid/icd-10-cm"
CPT = "http://www.ama-assn.org/go/cpt"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
NAMES = [
    DrugName("warfarin", ("warfarin",), ("11289",)),
    DrugName("coumadin", ("warfarin",)),
    DrugName("aspirin", ("aspirin",)),
    DrugName("ibuprofen", ("ibuprofen",)),
    DrugName("tramadol", ("tramadol",)),
    DrugName("acetaminophen", ("acetaminophen",)),
    DrugName("paracetamol", ("acetaminophen",)),
    DrugName("ultracet", ("acetaminophen", "tramadol")),
    DrugName("amoxicillin", ("amoxicillin",)),
    DrugName("cephalexin", ("cephalexin",)),
    DrugName("sulfa drugs", ("class:sulfonamide",)),
    DrugName("class:nsaid", ("aspirin", "ibuprofen")),
    DrugName("class:opioid", ("tramadol", "morphine")),
]


@pytest.fixture
def base(make):
    def build(*facts):
        return FactBase([StoredFact(fact, None, None) for fact in facts], NAMES)

    return build


def ask(base, query):
    found = base.evidence(query, "v")
    return {fact.id for fact in found.facts}, {one.subject.text: one for one in found.resolved}, found


def test_a_drug_brings_the_limits_of_its_ingredients(base, make):
    facts, resolved, _ = ask(
        base(make.dose("tramadol"), make.dose("acetaminophen"), make.dose("aspirin")), make.query("Ultracet")
    )
    assert facts == {"dose/tramadol", "dose/acetaminophen"}
    assert resolved["Ultracet"].ingredients == ("acetaminophen", "tramadol")
    assert set(resolved["Ultracet"].fact_ids) == facts


def test_a_brand_and_a_code_are_understood_and_an_unknown_drug_is_not(base, make):
    coded = make.subject("blood thinner", codes=[(RXNORM, "11289")])
    facts, resolved, _ = ask(base(make.dose("warfarin")), make.query("Coumadin", coded, "wonderdrug"))
    assert facts == {"dose/warfarin"}
    assert [resolved[name].ingredients for name in ("Coumadin", "blood thinner", "wonderdrug")] == [
        ("warfarin",),
        ("warfarin",),
        (),
    ]
    assert resolved["wonderdrug"].fact_ids == ()


def test_facts_are_answered_under_the_name_that_queries_resolve_to(base, make):
    _, resolved, found = ask(base(make.dose("paracetamol")), make.query("acetaminophen"))
    assert found.facts[0].body.ingredient == resolved["acetaminophen"].ingredients[0] == "acetaminophen"


def test_an_interaction_needs_both_of_its_sides_in_the_query(base, make):
    known = base(make.interaction("warfarin", "aspirin"), make.interaction("aspirin", "warfarin"))
    assert ask(known, make.query("warfarin"))[0] == set()
    facts, resolved, _ = ask(known, make.query("aspirin", "Coumadin"))
    assert facts == {"interaction/warfarin/aspirin", "interaction/aspirin/warfarin"}
    assert set(resolved["Coumadin"].fact_ids) == set(resolved["aspirin"].fact_ids) == facts


@pytest.mark.parametrize("sides", [("warfarin", "class:nsaid"), ("class:NSAIDs", "warfarin")])
def test_a_class_stands_for_its_members_and_is_told_with_them(base, make, sides):
    known = base(make.interaction(*sides))
    facts, resolved, _ = ask(known, make.query("warfarin", "ibuprofen"))
    assert len(facts) == 1
    assert resolved["ibuprofen"].ingredients[0] == "ibuprofen"
    assert resolved["ibuprofen"].ingredients[1].startswith("class:nsaid")
    assert resolved["warfarin"].ingredients == ("warfarin",)
    assert ask(known, make.query("warfarin", "acetaminophen"))[0] == set()


def test_one_drug_of_two_classes_does_not_interact_with_itself(base, make):
    known = base(make.interaction("class:nsaid", "class:nsaid"))
    assert ask(known, make.query("ibuprofen"))[0] == set()
    assert ask(known, make.query("ibuprofen", "ibuprofen 200 mg"))[0] == set()
    assert len(ask(known, make.query("ibuprofen", "aspirin"))[0]) == 1


def test_parts_of_one_combination_are_two_drugs(base, make):
    assert len(ask(base(make.interaction("tramadol", "acetaminophen")), make.query("Ultracet"))[0]) == 1


def test_an_allergen_is_no_drug_that_is_taken(base, make):
    known = base(make.interaction("warfarin", "aspirin"))
    assert ask(known, make.query("warfarin", make.subject("aspirin", SubjectKind.ALLERGEN)))[0] == set()


@pytest.mark.parametrize(
    "text", ["Penicillin", "Penicillins", "Substance with penicillin structure", "class:penicillin"]
)
def test_an_allergen_is_understood_as_a_class(base, make, text):
    known = base(
        make.allergy("penicillin", "amoxicillin"),
        make.allergy("cephalosporin", "cephalexin", cross=("penicillin",)),
        make.allergy("macrolide", "azithromycin"),
    )
    facts, resolved, _ = ask(known, make.query(make.subject(text, SubjectKind.ALLERGEN)))
    assert resolved[text].ingredients == ("class:penicillin",)
    assert facts == {"allergy/penicillin", "allergy/cephalosporin"}


def test_an_allergen_may_be_a_drug_or_another_word_for_a_class(base, make):
    known = base(make.allergy("nsaid", "aspirin", "ibuprofen"), make.allergy("sulfonamide", "sulfadiazine"))
    allergens = [make.subject(text, SubjectKind.ALLERGEN) for text in ("Aspirin", "Sulfa drugs", "latex")]
    facts, resolved, _ = ask(known, make.query(*allergens))
    assert resolved["Aspirin"].ingredients == ("aspirin",)
    assert resolved["Sulfa drugs"].ingredients == ("class:sulfonamide",)
    assert resolved["latex"].ingredients == ()
    assert facts == {"allergy/nsaid", "allergy/sulfonamide"}


def test_a_drug_brings_the_allergy_classes_it_belongs_to(base, make):
    known = base(make.allergy("penicillin", "amoxicillin"), make.allergy("macrolide", "azithromycin"))
    facts, resolved, _ = ask(known, make.query("amoxicillin"))
    assert facts == {"allergy/penicillin"}
    # Reconciliation tells classes of a drug from the facts; only those of interactions are told with it.
    assert resolved["amoxicillin"].ingredients == ("amoxicillin",)


def follow_up(make, *terms, codes=()):
    body = FollowUpInterval(
        subject=terms[0], terms=terms, codes=tuple(Coding(system=s, code=c) for s, c in codes), visit="clinic",
        within=Quantity(value=14, unit="d"),
    )  # fmt: skip
    return make.fact(f"follow-up/{terms[0]}", body)


@pytest.mark.parametrize(
    ("text", "codes", "found"),
    [
        ("Heart failure (CHF)", [], True),
        ("Acute on chronic HEART  FAILURE, systolic", [], True),
        ("Heart-failure clinic", [], True),
        ("chf", [], True),
        ("heart", [], False),
        ("failure of the heart", [], False),
        ("sweetheart failures", [], False),
        ("Hypertensive heart disease without heart failure", [], False),
        ("No heart failure", [], False),
        ("Family history of heart failure", [], False),
        ("(display unavailable)", [(ICD, "I50.9")], True),
        ("(display unavailable)", [(ICD, "I509")], True),
        ("(display unavailable)", [("http://hl7.org/fhir/sid/icd-10", "i50.23")], True),
        ("(display unavailable)", [(ICD, "I5")], False),
        ("(display unavailable)", [("http://snomed.info/sct", "I50.9")], False),
    ],
)
def test_a_condition_is_found_by_whole_words_or_the_beginning_of_its_code(base, make, text, codes, found):
    known = base(follow_up(make, "heart failure", "chf", codes=[(ICD, "I50")]))
    facts, resolved, _ = ask(known, make.query(make.subject(text, SubjectKind.CONDITION, codes=codes)))
    assert facts == ({"follow-up/heart failure"} if found else set())
    assert resolved[text].fact_ids == tuple(facts)


def test_a_procedure_brings_its_protocols_and_intervals(base, make):
    body = ActivityProtocol(
        procedure="laparoscopic cholecystectomy",
        terms=("laparoscopy, surgical; cholecystectomy",),
        codes=(Coding(system=CPT, code="47562"),),
        restrictions=(ActivityRestriction(activity="lifting", lasts=Quantity(value=7, unit="d")),),
    )
    known = base(make.fact("activity/lap-chole", body), follow_up(make, "cholecystectomy"))
    named = make.subject("Laparoscopy, surgical; cholecystectomy", SubjectKind.PROCEDURE)
    assert ask(known, make.query(named))[0] == {"activity/lap-chole", "follow-up/cholecystectomy"}
    coded = make.subject("gallbladder out", SubjectKind.PROCEDURE, codes=[(CPT, "47562")])
    assert ask(known, make.query(coded))[0] == {"activity/lap-chole"}


def test_formulary_facts_come_only_for_the_plan_that_is_asked_for(base, make):
    known = base(
        make.formulary("Formulary-P1", "warfarin sodium 5 MG Oral Tablet", "855332"),
        make.formulary("Formulary-P1", "warfarin sodium 1 MG Oral Tablet [Coumadin]", "855290"),
        make.formulary("Formulary-P1", "acetaminophen 325 MG / tramadol hydrochloride 37.5 MG Oral Tablet", "836395"),
        make.formulary("Formulary-P2", "warfarin sodium 5 MG Oral Tablet", "855332"),
    )
    assert ask(known, make.query("warfarin"))[0] == set()
    facts, _, found = ask(known, make.query("warfarin", plan="P1"))
    assert len(facts) == 2 and all("/Formulary-P1/warfarin" in one for one in facts)
    assert FactKind.FORMULARY_STATUS in found.searched
    # Neither part of a combination is the combination.
    assert ask(known, make.query("tramadol", plan="P1"))[0] == set()
    assert len(ask(known, make.query("Ultracet", plan="Formulary-P1"))[0]) == 1
    exact = make.subject("warfarin", codes=[(RXNORM, "855332")])
    assert {one.rsplit("/", 1)[1] for one in ask(known, make.query(exact, plan="P1"))[0]} == {
        "warfarin sodium 5 MG Oral Tablet"
    }


def test_a_plan_that_is_not_there_or_not_in_force_was_not_searched(make):
    fact = make.formulary("P1", "warfarin sodium 5 MG Oral Tablet")
    base = FactBase(
        [StoredFact(fact, date(2022, 1, 1), date(2023, 1, 1)), StoredFact(make.dose("warfarin"), None, None)], NAMES
    )
    for plan, as_of, searched in (
        ("P1", date(2022, 6, 1), True),
        ("P1", date(2026, 6, 1), False),
        ("P9", date(2022, 6, 1), False),
    ):
        found = base.evidence(make.query("warfarin", as_of=as_of, plan=plan), "v")
        assert (FactKind.FORMULARY_STATUS in found.searched) is searched
        assert FactKind.DOSE_LIMIT in found.searched


def test_only_kinds_of_which_something_is_known_were_searched(base, make):
    _, _, found = ask(base(make.dose()), make.query("warfarin"))
    assert found.searched == (FactKind.DOSE_LIMIT,)


def test_an_answer_goes_over_the_wire_and_back_as_it_is(base, make):
    _, _, found = ask(base(make.interaction("warfarin", "class:nsaid")), make.query("warfarin", "aspirin"))
    assert type(found).model_validate(found.model_dump(mode="json")) == found
    assert EvidenceQuery.model_validate(make.query("x").model_dump(mode="json")) == make.query("x")
