"""What is read from the sentences of labels, and above all what is not. Sentences are quoted from US labels."""

# ruff: noqa: E501  sentences of labels are quoted whole

import pytest
from retrieval.labels.document import substance_names
from retrieval.labels.limits import dose_limit, renal_limits
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
    found = dose_limit(label(drug, dosage_and_administration=sentence))
    assert found is not None
    limit, where = found
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
        # Long-acting forms have limits of their own.
        "The maximum daily dose is 2000 mg. Take testadrine extended-release tablets with food.",
    ],
)
def test_a_sentence_that_needs_its_context_is_passed_over(text):
    assert dose_limit(label(dosage_and_administration=text)) is None


@pytest.mark.parametrize(
    "more",
    [
        {"ingredients": ("a", "b")},
        {"ingredients": ()},
        {"routes": ("oral", "intravenous")},
        {"routes": ()},
        {"title": "Testor XR"},
    ],
)
def test_a_label_that_is_not_of_one_plain_oral_drug_gives_no_dose(more):
    assert dose_limit(label(dosage_and_administration="The maximum daily dose is 40 mg.", **more) if "ingredients" not in more
                      else LabelText("s", "v", "t", "p", more["ingredients"], (), (), ("oral",),
                                     {"dosage_and_administration": "The maximum daily dose is 40 mg."})) is None  # fmt: skip


def test_of_several_maxima_the_largest_is_above_no_reading():
    text = "The maximum daily dose is 20 mg. Bipolar disorder: The maximum daily dose is 40 mg."
    limit, _ = dose_limit(label(dosage_and_administration=text.replace("Bipolar disorder: ", "")))
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
