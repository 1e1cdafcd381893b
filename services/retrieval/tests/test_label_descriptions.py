"""Classes that labels describe, and words of labels that stand for others: each read by rule, none by its own words."""

import pytest
from retrieval.class_descriptions import parts_of_descriptions
from retrieval.drug_classes import label_classes
from retrieval.labels.back_references import pointed_back
from retrieval.labels.forms import NearNames, active_form_of
from retrieval.labels.lexicon import Lexicon
from retrieval.labels.words import keys_of, tokens_of, word_key

LEXICON = Lexicon(["digoxin", "warfarin", "rifampin", "erythromycin", "amiodarone", "ramipril", "hydrochlorothiazide"])


def named(text, before=""):
    return [one.name.removeprefix("class:") for one in LEXICON.mentions(text, before)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("drugs that inhibit CYP2C19", ["cyp2c19-inhibitor"]),
        ("medications which interfere with CYP2C19", ["cyp2c19-inhibitor"]),
        ("agents stimulating the synthesis of CYP3A", ["cyp3a-inducer"]),
        ("drugs that induce or inhibit PGP", ["p-gp-inducer", "p-gp-inhibitor"]),
        ("drugs that are primarily metabolized by CYP2D6 or CYP3A4", ["cyp2d6-substrate", "cyp3a-substrate"]),
        ("substrates, inhibitors or inducers of CYP3A", ["cyp3a-substrate", "cyp3a-inhibitor", "cyp3a-inducer"]),
        ("P-gp and strong CYP3A inhibitors", ["p-gp-inhibitor", "cyp3a-strong-inhibitor"]),
        ("strong or moderate CYP3A4 inhibitors", ["cyp3a-inhibitor"]),
        ("UGT1A1 inducers", ["ugt-inducer"]),
        ("agents that cause vasoconstriction", ["vasoconstricting"]),
        ("drugs that stimulate alpha-adrenergic receptors", ["alpha-agonist"]),
        ("agents with β-blocking properties", ["beta-blocker"]),
        ("calcium-blocking drugs", ["calcium-channel-blocker"]),
        ("potassium-wasting diuretics", ["potassium-lowering"]),
        ("other drugs known to cause hyperkalaemia", ["serum-potassium-raising"]),
        ("drugs that reduce the excretion of potassium", ["serum-potassium-raising"]),
        ("drugs that commonly lead to potassium loss", ["potassium-lowering"]),
        ("products with a known potential to prolong the QT interval", ["qt-prolonging"]),
        ("drugs that can lower blood pressure, reduce myocardial contractility, or interfere with sinus node function",
         ["antihypertensive", "myocardial-depressant", "av-node-depressant"]),
    ],
)  # fmt: skip
def test_a_description_is_put_together_of_what_acts_how_and_on_what(words, expected):
    assert named(words) == expected


@pytest.mark.parametrize(
    "words",
    [
        "These drugs increase the blood pressure",
        "drugs with no effect on CYP3A4",
        "The drugs may cause hyperkalemia",
        "blood pressure was lowered",
        "drugs that are taken in the morning, and QT was measured",
        "Monitor serum potassium",
        "the antihypertensive effect",
    ],
)
def test_what_a_sentence_says_of_medicines_is_no_class(words):
    assert named(words) == []


def test_substances_that_are_no_longer_sold_are_known_by_the_table():
    assert named("terfenadine, mibefradil and garlic") == ["terfenadine", "mibefradil", "garlic"]


def test_a_class_ends_with_its_sentence():
    text = "Avoid NSAIDs. Agents of other kinds may be given."
    (one,) = LEXICON.mentions(text)
    assert text[one.start : one.end] == "NSAIDs"


def test_of_two_things_side_by_side_only_the_last_is_acted_on():
    assert named("calcium ACE inhibitors") == ["ace-inhibitor"]
    assert named("alpha- and beta-blockers") == ["alpha-blocker", "beta-blocker"]


def test_drugs_that_have_an_effect_are_a_class_and_the_effect_alone_is_none():
    assert named("drugs with hypotensive effects") == ["antihypertensive"]
    assert named("the hypotensive effects of digoxin") == ["digoxin"]


def test_the_verb_of_the_sentence_ends_a_description():
    text = "Drugs that inhibit CYP3A4 may increase the heart rate"
    (one,) = LEXICON.mentions(text)
    assert text[one.start : one.end] == "Drugs that inhibit CYP3A4"


def test_this_enzyme_is_the_one_named_before():
    assert named("Drugs that inhibit this enzyme should be avoided.", "It is metabolized by CYP2C19.") == [
        "cyp2c19-inhibitor"
    ]
    assert named("It is a substrate for CYP3A and CYP2C8, and inducers of these isoenzymes")[-2:] == [
        "cyp3a-inducer",
        "cyp2c8-inducer",
    ]
    assert named("Drugs that inhibit this enzyme should be avoided.") == []


def test_these_agents_are_those_of_the_sentence_before():
    before = "Nothing is known. Digoxin and warfarin were given. "
    assert [one.name for one in pointed_back("These agents need care.", before, LEXICON)] == ["digoxin", "warfarin"]
    assert pointed_back("Other agents need care.", before, LEXICON) == []
    assert pointed_back("These agents need care.", "Nothing is known.", LEXICON) == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Excessive potassium intake", ["potassium-raising"]),
        ("the absorption of iron", ["iron-salt"]),
        ("Calcium, particularly when administered rapidly", ["calcium-supplement"]),
        ("a fall in potassium", []),
        ("calcium channels", []),
    ],
)
def test_a_mineral_is_meant_where_it_is_taken(words, expected):
    assert named(words) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("ramiprilat", "ramipril"),
        ("desethylamiodarone", "amiodarone"),
        ("hydrochlorothiazde", "hydrochlorothiazide"),
        ("erythromycine", "erythromycin"),
        ("amiodaronic", None),
        ("digoxine", None),
        ("normal", None),
    ],
)
def test_active_forms_and_one_wrong_letter_stand_for_the_drug(word, expected):
    assert (
        NearNames(["ramipril", "amiodarone", "hydrochlorothiazide", "erythromycin", "digoxin"]).meant(word) == expected
    )


def test_words_of_every_label_are_no_slips_of_a_name():
    text = (
        "secretion excretion protein creatinine histamine concentration administration hypotension hypertension "
        "interaction therapeutic patients treatment clearance metabolite absorption bilirubin prothrombin"
    )
    assert named(text) == []


def test_a_word_as_near_to_two_names_is_neither():
    assert NearNames(["testadrina", "testadrins"]).meant("testadrine") is None
    assert NearNames(["testadrina"]).meant("testadrine") == "testadrina"


def test_an_active_form_of_nothing_known_is_nothing():
    assert active_form_of("normalization") is not None
    assert NearNames(["amiodarone"]).meant("normalization") is None


def test_british_words_and_greek_letters_are_compared_as_american_ones():
    pairs = (("hypokalaemia", "hypokalemia"), ("anaesthetics", "anesthetic"), ("sulphonylureas", "sulfonylurea"))
    assert all(word_key(british) == american for british, american in pairs)
    assert keys_of("α-blockers") == ("alpha", "blocker")
    assert keys_of("a recently given -blocking drug")[-3:] == ("beta", "blocking", "drug")


def test_every_class_that_a_description_names_is_one_that_has_members():
    parts = parts_of_descriptions()
    classes = {
        name for target in parts.meanings() if target.target for _, names in target.target.classes for name in names
    }
    assert "cyp3a-inhibitor" in classes and "serum-potassium-raising" in classes
    assert classes <= {name for name, one in label_classes().items() if one.members}


def test_the_longest_phrase_at_a_place_is_taken():
    assert parts_of_descriptions().at(tokens_of("cytochrome P450 3A4 inhibitors"), 0)[1] == 2
