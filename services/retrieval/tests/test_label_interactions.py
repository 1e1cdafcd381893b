"""What labels say of two drugs: bans read narrowly, the rest widely and never as an interruption."""

# ruff: noqa: E501  sentences of labels are quoted whole

import pytest
from retrieval.drug_classes import label_classes, words_of_classes
from retrieval.labels.document import label_document
from retrieval.labels.interactions import Lexicon, interactions
from retrieval.labels.text import LabelText
from service_contracts.evidence import FactKind, Severity

LEXICON = Lexicon(
    [
        "itraconazole", "aliskiren", "cyclosporine", "gemfibrozil", "danazol", "rifampin", "pimozide", "lithium",
        "fluvoxamine", "digoxin", "warfarin", "potassium", "amlodipine",
    ]
)  # fmt: skip


def label(drug="testadrine", *, names=("Testor",), ingredients=None, **sections):
    return LabelText(
        set_id="s1", version="v1", title="Testor: label", publisher="maker", ingredients=ingredients or (drug,),
        names=names, rxcuis=(), routes=("oral",), sections=sections,
    )  # fmt: skip


def stated(sentence, section="drug_interactions", **more):
    found = interactions(label(**more, **{section: sentence}), LEXICON)
    return {(one.a, one.b, str(one.severity)) for one, _ in found}


def others(sentence, section="drug_interactions", **more):
    return {(b, severity) for _, b, severity in stated(sentence, section, **more)}


@pytest.mark.parametrize(
    ("section", "sentence", "expected"),
    [
        ("contraindications", "Concomitant use of cyclosporine, danazol or gemfibrozil [see DRUG INTERACTIONS ( 7.1 )].",
         {("cyclosporine", "high"), ("danazol", "high"), ("gemfibrozil", "high")}),
        ("contraindications", "( 4 ) Concomitant use of pimozide ( 4 ).", {("pimozide", "high")}),
        ("drug_interactions", "Concomitant use of testadrine and pimozide is contraindicated due to the risk of arrhythmia.",
         {("pimozide", "high")}),
        ("drug_interactions", "Intervention: Avoid concomitant use of gemfibrozil with testadrine.", {("gemfibrozil", "moderate")}),
        ("drug_interactions", "Rifampin: Avoid concomitant use with Testor.", {("rifampin", "moderate")}),
        ("drug_interactions", "Testadrine tablets should not be used in combination with fluvoxamine.", {("fluvoxamine", "moderate")}),
        ("drug_interactions", "Avoid concomitant use of NSAIDs with testadrine.", {("class:nsaid", "moderate")}),
        ("contraindications", "Testadrine is contraindicated in patients taking strong CYP3A4 inhibitors.",
         {("class:cyp3a-strong-inhibitor", "high")}),
    ],
)  # fmt: skip
def test_a_sentence_that_bans_a_pair_and_says_nothing_else_decides(section, sentence, expected):
    assert others(sentence, section) == expected


@pytest.mark.parametrize(
    ("section", "sentence", "expected"),
    [
        ("contraindications", "Do not co-administer aliskiren with testadrine in patients with diabetes.", {("aliskiren", "moderate")}),
        ("drug_interactions", "Avoid concomitant use of strong CYP3A4 inhibitors such as itraconazole.",
         {("class:cyp3a-strong-inhibitor", "moderate"), ("itraconazole", "moderate")}),
        ("drug_interactions", "If concomitant use of itraconazole cannot be avoided, reduce the dose.", {("itraconazole", "moderate")}),
        ("drug_interactions", "Coadministration with itraconazole increased exposure threefold.", {("itraconazole", "low")}),
        ("drug_interactions", "Avoid concomitant use of lithium unless the benefit outweighs the risk.", {("lithium", "moderate")}),
        ("warnings", "Avoid concomitant use of lithium.", {("lithium", "moderate")}),
        ("warnings", "Testadrine potentiates loop, potassium-sparing and thiazide diuretics.",
         {("class:loop-diuretic", "low"), ("class:potassium-sparing-diuretic", "low"), ("class:thiazide-diuretic", "low")}),
    ],
)  # fmt: skip
def test_a_sentence_with_conditions_or_effects_is_kept_and_never_interrupts(section, sentence, expected):
    assert others(sentence, section) == expected


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ("drug_interactions", "Concomitant use of lithium is not contraindicated."),
        ("drug_interactions", "Testadrine had no effect on the pharmacokinetics of digoxin."),
        ("drug_interactions", "No clinically significant interactions were seen with warfarin."),
        ("drug_interactions", "Testadrine did not alter the clearance of digoxin."),
        ("drug_interactions", "Digoxin: none of these drugs alters exposure to testadrine."),
        (
            "dosage_and_administration",
            "Testadrine is compatible with digoxin and may be given in the same intravenous line.",
        ),
        ("warnings", "Lithium is a drug."),
        ("warnings", "Hyperkalemia was seen; monitor serum potassium levels during treatment with testadrine."),
        ("indications_and_usage", "Testadrine may be used with digoxin to reduce the risk of stroke."),
    ],
)
def test_what_is_denied_measured_or_only_named_is_no_interaction(section, sentence):
    assert stated(sentence, section) == set()


def test_what_is_not_compatible_is_no_denial():
    text = "Testadrine is not compatible with lithium and should not be mixed with it."
    assert others(text, "warnings") == {("lithium", "moderate")}


def test_of_two_drugs_one_denied_the_other_is_kept():
    assert others("Testadrine increased digoxin levels; however, it did not affect warfarin.") == {("digoxin", "low")}


def test_two_others_with_each_other_are_a_pair_of_their_own():
    assert stated("Concomitant use of rifampin with itraconazole is not recommended.") == {
        ("rifampin", "itraconazole", "moderate")
    }


def test_the_class_of_this_drug_stands_for_it_and_another_of_the_class_does_not():
    text = "The antihypertensive effect of ACE inhibitors, including lisinopril, may be attenuated by NSAIDs."
    assert stated(text, drug="lisinopril", names=()) == {("lisinopril", "class:nsaid", "low")}
    text = "Monitor blood pressure when lisinopril is given with other antihypertensive agents."
    assert stated(text, drug="lisinopril", names=()) == {("lisinopril", "class:antihypertensive", "low")}


def test_of_a_broad_class_a_sentence_warns_only_where_it_is_avoided():
    assert others("Monitor blood pressure with antihypertensive agents.") == {("class:antihypertensive", "low")}
    assert others("Monitor potassium with ACE inhibitors.") == {("class:ace-inhibitor", "moderate")}
    assert others("Testor should not be given in the hour after antihypertensive agents.") == {
        ("class:antihypertensive", "moderate")
    }


def test_a_ban_of_a_broad_class_does_not_interrupt():
    assert others("Concomitant use of antihypertensive agents with Testor is contraindicated.") == {
        ("class:antihypertensive", "moderate")
    }
    assert others("Concomitant use of nitrates with Testor is contraindicated.") == {("class:nitrate", "high")}


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Additive effects may occur when diltiazem is given with other calcium channel blockers.", True),
        ("Reductions in blood pressure may occur when diltiazem is given with calcium channel blockers.", True),
        ("Diltiazem is a calcium channel blocker and may cause hypotension.", False),
        ("Calcium channel blockers, including diltiazem, may cause hypotension.", False),
        ("Diltiazem, like other calcium channel blockers, may cause hypotension.", False),
    ],
)
def test_a_class_of_this_drug_is_another_where_it_is_given_with_it(sentence, expected):
    assert (("diltiazem", "class:calcium-channel-blocker", "low") in stated(sentence, drug="diltiazem")) == expected


def test_what_a_list_names_side_by_side_is_not_told_of_one_with_the_other():
    text = "Such drugs include lithium, certain older drugs like pimozide, and digoxin, which are given together."
    assert not any("testadrine" not in pair for pair in stated(text))
    assert ("lithium", "digoxin", "low") in stated("Lithium may increase the levels of digoxin.")


def test_what_is_listed_twice_is_not_told_of_each_other():
    text = "Lithium or Digoxin Treatment with lithium or digoxin may raise the levels of warfarin."
    pairs = {pair[:2] for pair in stated(text)}
    assert {("lithium", "warfarin"), ("digoxin", "warfarin")} < pairs
    assert not {("lithium", "digoxin"), ("digoxin", "lithium")} & pairs


def test_what_points_back_to_the_sentence_before_is_stated_with_this_drug():
    text = "Patients may receive lithium and digoxin. Testadrine should not be used with these drugs."
    assert others(text, "warnings") == {("lithium", "moderate"), ("digoxin", "moderate")}


def test_what_is_granted_does_not_deny_what_follows():
    text = "Although testadrine did not alter the clearance of digoxin, use of Testor with digoxin increases the risk."
    assert others(text) == {("digoxin", "low")}


def test_what_is_listed_with_this_drug_shares_what_is_said():
    text = "Diltiazem or amlodipine may increase levels of digoxin."
    assert stated(text, drug="diltiazem", names=()) == {
        ("diltiazem", "digoxin", "low"),
        ("amlodipine", "digoxin", "low"),
        ("diltiazem", "amlodipine", "low"),
    }


def test_a_product_of_several_speaks_of_the_one_that_a_sentence_names_else_of_all_together():
    product = {"ingredients": ("benazepril", "hydrochlorothiazide"), "names": ("lotensin hct",)}
    assert stated("Thiazides reduce the clearance of lithium.", **product) == {
        ("hydrochlorothiazide", "lithium", "low")
    }
    assert stated("Lotensin HCT may increase the toxicity of lithium.", **product) == {
        ("class:product of: benazepril + hydrochlorothiazide", "lithium", "low")
    }


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("angiotensin converting enzyme (ACE) inhibitors", ["class:ace-inhibitor"]),
        ("non-steroidal anti-inflammatory agents", ["class:nsaid"]),
        ("monoamine oxidase (MAO) inhibitors", ["class:maoi"]),
        ("Beta-Adrenergic Blocking Agents", ["class:beta-blocker"]),
        ("inhibitors of cytochrome P450 3A4", ["class:cyp3a-inhibitor"]),
        ("moderate CYP3A inhibitors", ["class:cyp3a-moderate-inhibitor"]),
        ("moderate or strong CYP3A inhibitors", ["class:cyp3a-inhibitor"]),
        ("inhibitors or inducers of CYP2C9", ["class:cyp2c9-inhibitor", "class:cyp2c9-inducer"]),
        ("drugs that prolong the QT interval", ["class:qt-prolonging"]),
        ("potassium-containing salt substitutes", ["class:potassium-raising"]),
        ("these agents", []),
    ],
)
def test_words_of_labels_are_classes(words, names):
    assert [one.name for one in LEXICON.mentions(words)] == names


def test_every_class_has_members_and_those_without_a_row_of_names_say_where_they_were_read():
    named = {"nsaid", "maoi"}
    for one in label_classes().values():
        assert one.members, one.name
        assert all(member == member.lower() for member in one.members)
    assert all(label_classes()[name].source is None for name in named)
    assert label_classes()["cyp3a-strong-inhibitor"].source.startswith("FDA")
    assert set(words_of_classes().values()) <= set(label_classes())


def test_an_included_class_is_part_of_the_larger():
    classes = {name: set(one.members) for name, one in label_classes().items()}
    assert classes["cyp3a-strong-inhibitor"] < classes["cyp3a-inhibitor"]
    assert classes["loop-diuretic"] < classes["diuretic"] < classes["antihypertensive"]


def test_the_stronger_of_two_statements_about_a_pair_stands():
    text = {
        "contraindications": "Concomitant use of pimozide.",
        "drug_interactions": "Avoid concomitant use of pimozide.",
    }
    assert [one.severity for one, _ in interactions(label(**text), LEXICON)] == [Severity.HIGH]


def test_the_reason_is_kept_as_the_effect():
    text = "Concomitant use of testadrine and pimozide is contraindicated due to the risk of arrhythmia."
    ((found, _),) = interactions(label(drug_interactions=text), LEXICON)
    assert found.effect.endswith("due to the risk of arrhythmia")


def test_a_fact_quotes_the_sentence_of_its_label_word_for_word():
    text = "7 DRUG INTERACTIONS • Rifampin: Avoid concomitant use with Testor ( 7.1 ). • Other."
    document = label_document(label(drug_interactions=text), LEXICON)
    (fact,) = document.facts
    assert fact.verbatim and fact.statement in text
    assert (fact.body.kind, fact.source.section, fact.source.identifier) == (
        FactKind.INTERACTION,
        "drug interactions",
        "s1",
    )
    assert fact.id.startswith("label/s1/")


def test_each_fact_of_a_label_has_an_id_of_its_own():
    text = "Lotensin HCT may increase the toxicity of lithium. Thiazides reduce the clearance of lithium. " * 2
    product = {"ingredients": ("benazepril", "hydrochlorothiazide"), "names": ("lotensin hct",)}
    ids = [fact.id for fact in label_document(label(drug_interactions=text, **product), LEXICON).facts]
    assert len(ids) == len(set(ids)) == 2
