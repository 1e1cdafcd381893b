"""What is read from the sentences of labels, and above all what is not. Sentences are quoted from US labels."""

# ruff: noqa: E501  sentences of labels are quoted whole

from dataclasses import replace

import pytest
from retrieval.labels.document import substance_names
from retrieval.labels.kidneys import renal_limits
from retrieval.labels.limits import dose_limits
from retrieval.labels.text import LabelText, passages, sentences


def label(
    drug="testadrine", *, names=("Testor",), ingredients=None, routes=("oral",), title="Testor: label", **sections
):
    return LabelText(
        set_id="s1", version="v1", title=title, publisher="maker", ingredients=ingredients or (drug,), names=names, rxcuis=(),
        routes=routes, sections=sections,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("sentence", "drug", "mg"),
    [
        ("The maximum daily dose is 40 mg.", "enalapril", 40),
        ("Maximum recommended dose is 8 mg once daily ( 2.1 ).", "glimepiride", 8),
        ("The maximal dosage should not exceed 100 mg/day.", "bromocriptine", 100),
        ("The maximum dose is 7.5 mg twice daily.", "ivabradine", 15),
        ("Total daily dosage should not exceed 3,200 mg.", "fenoprofen", 3200),
        ("The maximum daily dose should not exceed 30 mg in any 24-hour period.", "rizatriptan", 30),
        ("The maximum recommended dosage is 120 mg once daily.", "levomilnacipran", 120),
        ("The total daily dosage should not exceed 12 grams.", "cefoxitin", 12000),
        ("The maximum daily dosage of testadrine tablets is 60 mg.", "testadrine", 60),
        ("Do not exceed 75 mg per day.", "testadrine", 75),
    ],
)
def test_a_daily_maximum_that_stands_alone_is_read(sentence, drug, mg):
    ((limit, where),) = dose_limits(label(drug, dosage_and_administration=sentence))
    assert (limit.max_daily.value * {"g": 1000}.get(limit.max_daily.unit, 1), where.text) == (mg, sentence)


@pytest.mark.parametrize(
    "text",
    [
        # For some patients only.
        "The maximum daily dose for these populations should not exceed 120 mg.",
        "Renal impairment: do not exceed 600 mg once daily ( 2.3 ).",
        "Patients with moderate impairment take less. The maximum recommended daily dose is 37.5 mg.",
        "Geriatric patients: start low. The maximum recommended dosage is 0.25 mg once daily.",
        "Maximum dose is 0.6 mg/kg once daily.",
        "In patients taking rifampin, do not exceed 2 mg once daily.",
        # Of something else.
        "Dosage should be increased by no more than 0.25 mg every third day.",
        "If clinically indicated, the dose may be increased by a maximum of 600 mg/day at weekly intervals.",
        "Administration duration should not exceed 24 hours.",
        "Maximum antihypertensive effect is usually observed by 14 days of chronic therapy.",
        "Teriflunomide Do not exceed 10 mg once daily.",
        "The maximum daily dose of otherdrug is 60 mg.",
        "The initial total daily dose should not exceed 1375 mg.",
        "The maximum recommended dosing frequency is once per day.",
        # Something larger is spoken of: there may be another limit.
        "The maximum daily dose is 4 mg. Patients with panic disorder may need 10 mg daily.",
        # One time of giving, or what happened.
        "The maximum single dose is 20 mg once daily.",
        "The maximum daily dose administered in clinical trials was 40 mg.",
        "It is seldom necessary to exceed a dosage of 2 g/day.",
    ],
)
def test_a_sentence_that_needs_its_context_is_passed_over(text):
    assert dose_limits(label(dosage_and_administration=text)) == []


@pytest.mark.parametrize(
    "more",
    [
        {"ingredients": ("a", "b")},
        {"ingredients": ()},
        {"routes": ("oral", "intravenous")},
        {"routes": ()},
    ],
)
def test_a_label_that_is_not_of_one_ingredient_and_a_known_route_gives_no_dose(more):
    text = "The maximum daily dose is 40 mg."
    assert dose_limits(replace(label(dosage_and_administration=text), **more)) == []


@pytest.mark.parametrize(
    ("sentence", "value", "unit"),
    [
        ("The dose may be titrated upward to a maximum total daily dose of 40 mg.", 40, "mg"),
        ("Doses above 150 mg/day are not recommended.", 150, "mg"),
        ("Daily doses should not exceed 500 mg q.i.d.", 2000, "mg"),
        ("The dosage should not exceed 3 grams every 8 hours.", 9, "g"),
        ("The maximum dose is 2 mg three to four times daily.", 8, "mg"),
        ("The maximum recommended dose is 3.5 mcg once daily.", 3.5, "ug"),
        ("The total daily dose should not exceed 18,000 units.", 18_000, "[iU]"),
        ("The maximum daily dose is 40 mEq.", 40, "meq"),
        ("The maximum dose in a 24-hour period is 75 mg.", 75, "mg"),
    ],
)
def test_a_maximum_in_a_longer_sentence_is_read_in_the_units_of_ucum(sentence, value, unit):
    ((limit, where),) = dose_limits(label(dosage_and_administration=sentence))
    assert (limit.max_daily.value, limit.max_daily.unit, where.text) == (value, unit, sentence)


def test_a_limit_names_the_products_that_it_was_stated_for_and_the_substance():
    text = "The maximum daily dose is 160 mg. Take fenofibrate extended-release tablets with food."
    one = LabelText("set-1", "v", "t", "p", ("fenofibrate",), ("tricor", "fenofibrate"), ("200346", "577033"), ("oral",),
                    {"dosage_and_administration": text}, uniis=("U202363UOS",))  # fmt: skip
    ((limit, _),) = dose_limits(one)
    assert limit.products == ("200346", "577033", "tricor")
    assert (limit.code.code, limit.route) == ("U202363UOS", "oral")
    # A label without codes and brands is known by nothing that is ordered: its limit is never taken for the drug's.
    ((unnamed, _),) = dose_limits(replace(one, rxcuis=(), names=("fenofibrate",)))
    assert unnamed.products == ("set-1",)


@pytest.mark.parametrize(
    ("sentence", "measure", "below", "most"),
    [
        ("Do not exceed 5 mg once daily in patients with severe renal impairment (CL cr <30 mL/min/1.73 m 2 ).", "crcl", 30, 5),
        (
            "For patients with moderate to severe renal impairment (creatinine clearance 10 mL/min to < 50 mL/min), the "
            "maximum recommended dose of testadrine is 3 mg once daily.", "crcl", 50, 3,
        ),
        ("CrCl<60 mL/minute: Maximum dosage is 2 mg once daily for depression and 3 mg once daily for others.", "crcl", 60, 3),
        ("If eGFR is 15 to 29 mL/min/1.73 m2, the maximum recommended dosage is 30 mg twice daily.", "egfr", 30, 60),
    ],
)  # fmt: skip
def test_the_most_a_day_below_a_kidney_function_is_read(sentence, measure, below, most):
    ((limit, where),) = renal_limits(label(dosage_and_administration=sentence))
    assert (limit.measure, limit.below.value, limit.action, limit.max_daily.value) == (measure, below, "limit", most)
    assert limit.products and where.text == sentence


@pytest.mark.parametrize(
    "sentence",
    [
        "The maximum dose is 300 mg/day in patients with creatinine clearance of at least 60 mL/min.",
        "In children with creatinine clearance below 30 mL/min the maximum daily dose is 3 mg.",
        "With CrCl below 30 mL/min or CrCl below 60 mL/min and an inhibitor the maximum daily dose is 3 mg.",
    ],
)
def test_a_most_a_day_for_some_kidneys_that_needs_more_is_passed_over(sentence):
    assert renal_limits(label(dosage_and_administration=sentence)) == []


def test_of_several_maxima_the_largest_is_above_no_reading():
    text = "The maximum daily dose is 20 mg. Bipolar disorder: The maximum daily dose is 40 mg."
    ((limit, _),) = dose_limits(label(dosage_and_administration=text.replace("Bipolar disorder: ", "")))
    assert limit.max_daily.value == 40


@pytest.mark.parametrize(
    ("section", "sentence", "drug", "measure", "below"),
    [
        ("contraindications", "Severe renal impairment (eGFR below 30 mL/min/1.73 m 2 ) [see Warnings (5.1)] .", "metformin", "egfr", 30),
        (
            "contraindications",
            "4 CONTRAINDICATIONS Fondaparinux sodium injection is contraindicated in the following conditions: Severe renal "
            "impairment (creatinine clearance [CrCl] <30 mL/min).",
            "fondaparinux", "crcl", 30,
        ),
        (
            "contraindications",
            "Desmopressin acetate tablets are contraindicated in patients with moderate to severe renal impairment (defined "
            "as a creatinine clearance below 50mL/min).",
            "desmopressin", "crcl", 50,
        ),
        (
            "dosage_and_administration",
            "Avoid use of phentermine hydrochloride in patients with eGFR less than 15 mL/min/1.73m 2 or end-stage renal "
            "disease requiring dialysis.",
            "phentermine", "egfr", 15,
        ),
    ],
)  # fmt: skip
def test_a_kidney_limit_that_stands_alone_is_read(section, sentence, drug, measure, below):
    found = renal_limits(label(drug, **{section: sentence}))
    assert [(one.measure, one.below.value, one.action, where.text) for one, where in found] == [
        (measure, below, "avoid", sentence)
    ]


@pytest.mark.parametrize(
    "sentence",
    [
        "FARXIGA is not recommended for use to improve glycemic control in patients with an eGFR less than 45 mL/min/1.73 m 2 .",
        "Maraviroc tablets are contraindicated in patients with severe renal impairment (CrCl less than 30 mL per minute) who "
        "are concomitantly taking potent CYP3A inhibitors.",
        "Doses greater than 600 mg are not recommended in patients with mild renal impairment (CrCL = 40 to 59 mL/min).",
        "Do not use SAVAYSA in patients with CrCL > 95 mL/min.",
        "Avoid concomitant use with ARBs particularly in patients with renal impairment [creatinine clearance (CrCl) <60 mL/min].",
        "Otherdrug is contraindicated in patients with eGFR below 30 mL/min/1.73 m2.",
    ],
)
def test_a_kidney_limit_with_a_condition_is_passed_over(sentence):
    text = dict.fromkeys(("contraindications", "warnings_and_cautions", "dosage_and_administration"), sentence)
    assert renal_limits(label(**text)) == []


def test_sentences_keep_their_place_and_do_not_end_at_abbreviations():
    text = "Avoid potent inhibitors, e.g., ketoconazole. St. John's wort too. 2.1 Adults Take one. • First • Second"
    found = [one.text for one in sentences("s", text)]
    assert found == [
        "Avoid potent inhibitors, e.g., ketoconazole.", "St. John's wort too.", "2.1 Adults Take one.", "• First", "• Second",
    ]  # fmt: skip
    assert all(one in text for one in found)


def test_passages_hold_all_words_of_a_section_in_order_and_none_is_endless():
    text = " ".join(f"Sentence number {n} is here." for n in range(200)) + " " + "x" * 5000
    found = [one.text for one in passages("k", {"warnings": text})]
    assert "".join("".join(found).split()) == "".join(text.split())
    assert max(len(one) for one in found) <= 1800


def test_substances_of_a_label_are_named_without_salts():
    assert substance_names(["METFORMIN HYDROCHLORIDE", "SITAGLIPTIN PHOSPHATE"]) == ("metformin", "sitagliptin")
