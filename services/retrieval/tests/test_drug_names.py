"""What charts and drafts call a drug, and the ingredients that are understood."""

import pytest
from retrieval.documents import DrugName
from retrieval.drug_names import NameTable, class_key, ingredient_names
from retrieval.starter import starter_documents


@pytest.fixture(scope="module")
def table():
    documents = starter_documents()
    return NameTable([name for document in documents for name in document.names], known=["potassium iodide"])


@pytest.mark.parametrize(
    ("name", "ingredients"),
    [
        ("Metformin", ["metformin"]),
        ("metformin hydrochloride 500 MG Oral Tablet", ["metformin"]),
        ("Atorvastatin 40 MG Oral Tablet [Lipitor]", ["atorvastatin"]),
        ("Lipitor", ["atorvastatin"]),
        ("24 HR metoprolol succinate 50 MG Extended Release Oral Tablet", ["metoprolol"]),
        ("Salbutamol", ["albuterol"]),
        ("Paracetamol 1 g", ["acetaminophen"]),
        ("ASA 81 mg EC", ["aspirin"]),
        ("Amoxicillin/Clavulanate", ["amoxicillin", "clavulanate"]),
        ("amoxicillin 875 MG / clavulanate 125 MG Oral Tablet", ["amoxicillin", "clavulanate"]),
        ("Augmentin", ["amoxicillin", "clavulanate"]),
        ("Oxycodone-Acetaminophen 5-325 mg", ["acetaminophen", "oxycodone"]),
        ("lisinopril and hydrochlorothiazide", ["hydrochlorothiazide", "lisinopril"]),
        ("Fluticasone/Salmeterol", ["fluticasone", "salmeterol"]),
        ("Insulin glargine 100 UNT/ML", ["insulin glargine"]),
        ("Sliding scale insulin", ["insulin human"]),
        ("KCl", ["potassium chloride"]),
        ("Potassium chloride 20 mEq", ["potassium chloride"]),
        ("potassium iodide", ["potassium iodide"]),
        ("Sodium bicarbonate oral", ["sodium bicarbonate"]),
        ("Warfarin (Coumadin) 5 mg", ["warfarin"]),
        ("Calcium/Vitamin D", ["calcium", "vitamin d"]),
        # Not known, or known in part: nothing at all.
        ("wonderdrug", []),
        ("aspirin / wonderdrug", []),
        ("", []),
        ("tablet", []),
        ("20 mg", []),
        ("potassium", []),
    ],
)
def test_a_name_is_understood_as_its_ingredients_or_not_at_all(table, name, ingredients):
    assert list(table.resolve(name)) == ingredients


@pytest.mark.parametrize(
    ("name", "codes", "ingredients"),
    [
        ("home medicine 3", ["7646"], ["omeprazole"]),
        ("home medicine 3", ["no-such-code", "7646"], ["omeprazole"]),
        ("home medicine 3", ["no-such-code"], []),
        # The text is what a reader sees; a code that says something else does not overrule it.
        ("warfarin", ["7646"], ["warfarin"]),
    ],
)
def test_a_code_speaks_where_the_text_says_nothing(table, name, codes, ingredients):
    assert list(table.resolve(name, codes)) == ingredients


def test_the_first_source_of_a_name_keeps_it():
    names = [DrugName("brandex", ("aspirin",)), DrugName("brandex", ("ibuprofen",))]
    assert NameTable(names).resolve("Brandex") == ("aspirin",)


def test_an_ingredient_is_never_an_alias_of_another():
    names = [DrugName("aspirin", ("aspirin",)), DrugName("aspirin", ("acetaminophen",))]
    assert NameTable(names).resolve("aspirin") == ("aspirin",)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("PRASUGREL HYDROCHLORIDE", ["prasugrel"]),
        ("ISOSORBIDE MONONITRATE", ["isosorbide mononitrate"]),
        ("LITHIUM CARBONATE", ["lithium carbonate"]),
        ("FERROUS SULFATE", ["ferrous sulfate"]),
        ("olmesartan medoxomil 20 MG / amlodipine besylate 5 MG", ["olmesartan", "amlodipine"]),
        ("penicillin V potassium", ["penicillin v"]),
    ],
)
def test_salts_are_dropped_where_the_base_is_the_drug(name, parts):
    assert list(ingredient_names(name)) == parts


@pytest.mark.parametrize(
    ("one", "other"),
    [("class:ACE-Inhibitors", "ace inhibitor"), ("Penicillins", "class:penicillin"), ("beta_blockers", "Beta-Blocker")],
)
def test_classes_are_the_same_in_singular_and_plural_with_or_without_hyphen(one, other):
    assert class_key(one) == class_key(other)


def test_every_class_that_a_shipped_fact_speaks_of_has_members(table):
    documents = starter_documents()
    sides = {
        side
        for document in documents
        for fact in document.facts
        for side in (getattr(fact.body, "a", ""), getattr(fact.body, "b", ""))
        if side.startswith("class:")
    }
    assert sides
    assert [side for side in sides if not table.members(side)] == []
