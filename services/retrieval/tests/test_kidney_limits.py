"""What labels say in sentences of doses below a kidney function, and what is passed over."""

# ruff: noqa: E501  a sentence or a row stands on one line

import pytest
from retrieval.labels.kidney_ranges import ranges
from retrieval.labels.kidneys import renal_limits
from retrieval.labels.text import LabelText

SECTION = "dosage_and_administration"


def read(text, section=SECTION):
    label = LabelText(
        "s1", "v1", "Testor: label", "maker", ("testadrine",), ("testor",), ("1",), ("oral",), {section: text}
    )
    found = renal_limits(label)
    assert all(where.text in text for _, where in found), "what is quoted stands in the section word for word"
    return [
        (one.measure, one.below.value, one.max_daily.value if one.max_daily else one.action, where.text)
        for one, where in found
    ]


@pytest.mark.parametrize(
    ("text", "measure", "below"),
    [
        ("CrCl 15 to 29 mL/min", "crcl", 30),
        ("creatinine clearance [CL cr ] 15 to < 30 mL/min (estimated by Cockcroft-Gault)", "crcl", 30),
        ("creatinine clearance ≥ 10 mL/min to < 50 mL/min", "crcl", 50),
        ("eGFR below 30 mL/min/1.73 m 2", "egfr", 30),
        ("creatinine clearance of ≤30 mL/min", "crcl", 30),
        ("CCr 10-30 mL/min", "crcl", 30),
        ("creatinine clearance 5 to 14 mL/min", "crcl", 15),
        ("Creatinine Clearance (CCr < 30 mL/min)", "crcl", 30),
        ("estimated glomerular filtration rate [eGFR*] 15 to 29 mL/min /1.73 m 2", "egfr", 30),
        ("creatinine clearance 50 to 31 mL/min", "crcl", 50),
        ("CrCl 20 mL/min or less", "crcl", 20),
    ],
)
def test_a_range_ends_where_the_next_one_begins(text, measure, below):
    assert [(one.measure, one.below) for one in ranges(text)] == [(measure, below)]


@pytest.mark.parametrize(
    "text", ["creatinine clearance above 30 mL/min", "eGFR ≥ 60 mL/min", "serum creatinine 1.5 mg/dL"]
)
def test_a_function_without_an_upper_end_is_no_range(text):
    assert list(ranges(text)) == []


@pytest.mark.parametrize(
    ("text", "measure", "below", "most"),
    [
        ("For patients with severe renal impairment (CrCl less than 30 mL/min), the recommended dose is 20 mg once daily.", "crcl", 30, 20),
        ("If eGFR is 15 to 29 mL/min/1.73 m2, not receiving dialysis, the recommended dose of Testor is 300 mg twice daily.", "egfr", 30, 600),
        ("With a creatinine clearance of 10 to 20 mL/min, a daily dosage of 200 mg is suitable.", "crcl", 20, 200),
        ("Severe renal impairment (CrCl 5-29 mL/min): reduce the dose by 50% to 50 mg/day (25 mg twice daily).", "crcl", 30, 50),
        ("Renal Impairment (CrCl < 60 mL/min): 12.5 mg once daily; raise to 25 mg once daily if tolerated.", "crcl", 60, 25),
        ("In hepatic impairment (Child-Pugh A) or severe renal impairment (CrCl 10-30 mL/min) the recommended dose is 2 mg once daily.", "crcl", 30, 2),
    ],
)  # fmt: skip
def test_a_dose_for_a_range_is_the_most_below_it(text, measure, below, most):
    assert read(text) == [(measure, below, most, text)]


def test_the_second_of_two_sentences_may_hold_the_most_and_both_are_quoted():
    first = "In severe renal impairment (CrCl below 30 mL/min), the recommended starting dose is 5 mg once daily."
    second = "The dose may then be raised to a maximum of 10 mg twice daily."
    text = f"Adults take 20 mg twice daily. {first} {second} Take it with food."
    assert read(text) == [("crcl", 30, 20, f"{first} {second}")]
    assert read(text.replace("In severe", "It is contraindicated in severe")) == []
    others = text.replace("The dose may", "In moderate renal impairment the dose may")
    assert read(others) == [], "the second sentence speaks of other patients"


def test_ranges_in_one_sentence_have_each_the_dose_that_follows():
    text = (
        "Severe impairment (CrCl of 15 to 29 mL/min), the dosage should not exceed 40 mg once daily; moderate impairment "
        "(CrCl of 30 to 59 mL/min), the dosage should not exceed 80 mg once daily; mild (CrCl of 60 to 89 mL/min): no change."
    )
    assert [one[:3] for one in read(text)] == [("crcl", 60, 80), ("crcl", 30, 40)]


def test_of_two_amounts_to_choose_from_the_larger_is_the_most_whatever_comes_first():
    text = "GFR 10 to 30 mL/min 500 mg or 250 mg every 12 hours GFR less than 10 mL/min 250 mg or 500 mg every 24 hours"
    assert [one[:3] for one in read(text)] == [("egfr", 30, 1000), ("egfr", 10, 500)]


def test_of_several_amounts_below_one_function_the_largest_holds():
    text = "CrCl 30 to 50 mL/min: take 5 mg once daily. For ulcers with CrCl 30 to 50 mL/min: take 10 mg once daily."
    assert [one[:3] for one in read(text)] == [("crcl", 50, 10)]


@pytest.mark.parametrize(
    "text",
    [
        "Avoid use in patients with severe renal impairment, GFR <30 mL/minute.",
        "Renal impairment: Testor is contraindicated in patients with severe renal impairment (GFR < 30 mL/min).",
        "In patients with eGFR less than 30 mL/min, the use of Testor tablets is not recommended.",
        "Testor has not been studied in patients with GFR below 30 mL/min, and is not recommended in these patients.",
        "2.3 Dosage in Renal Impairment Do not use Testor in adult or pediatric patients with eGFR less than 30 mL/min.",
        "End stage renal disease (eGFR <30 mL/min): Testor is not recommended for use in patients with ESRD.",
    ],
)
def test_what_is_not_to_be_used_is_read(text):
    assert [one[:3] for one in read(text)] == [("egfr", 30, "avoid")]


@pytest.mark.parametrize(
    "text",
    [
        # A first dose, a caution, a share of a dose that is not named, nothing that limits.
        "In patients with CrCl below 30 mL/min the recommended starting dose is 5 mg once daily.",
        "With CrCl below 30 mL/min, increases above 20 mg/day should be carefully considered.",
        "Reduce the dose by 50% in patients with CrCl below 30 mL/min.",
        "The recommended dose is 60 mg once daily in patients with CrCl of 60 to 95 mL/min.",
        # A condition besides.
        "Initiation with Testor is not recommended in patients with eGFR less than 25 mL/min.",
        "In patients with CrCl below 30 mL/min taking cimetidine the recommended dose is 5 mg once daily.",
        "Testor for once daily use is not recommended in patients with CrCl less than 30 mL/min.",
        # Another statement about the same range allows more.
        "CrCl 30 to 60 mL/min: take 5 mg once daily. With CrCl of 30 to 60 mL/min those receiving rifampin take 10 mg once daily.",
    ],
)  # fmt: skip
def test_what_needs_more_than_the_sentence_is_passed_over(text):
    assert read(text) == []


def test_what_is_avoided_for_one_use_and_limited_for_another_is_not_to_be_avoided():
    text = "Avoid use of Testor in patients with CrCl below 30 mL/min. CrCl less than 30 mL/min: take 5 mg once daily."
    assert [one[:3] for one in read(text)] == [("crcl", 30, 5)]


def test_a_contraindication_holds_for_the_drug_and_all_else_for_the_products_of_the_label():
    def limit(text, section):
        label = LabelText("s1", "v", "t", "p", ("testadrine",), ("testor",), ("1",), ("oral",), {section: text})
        ((found, _),) = renal_limits(label)
        return found

    text = "Testadrine is contraindicated in patients with CrCl less than 30 mL/min."
    assert limit(text, "contraindications").products == ()
    assert limit(text, SECTION).products == ("1", "testor")
    assert limit("CrCl less than 30 mL/min: take 5 mg once daily.", SECTION).products == ("1", "testor")
