"""Which of the maxima that a label names is read as its products' most a day, and for which route."""

# ruff: noqa: E501  a sentence or a row stands on one line

import pytest
from retrieval.labels.limits import dose_limits
from retrieval.labels.text import LabelText

SECTION = "dosage_and_administration"


def read(text, routes=("oral",)):
    label = LabelText(
        "s1", "v1", "Testor: label", "maker", ("testadrine",), ("testor",), ("1",), routes, {SECTION: text}
    )
    found = dose_limits(label)
    assert all(where.text in text for _, where in found), "what is quoted stands in the section word for word"
    return {limit.route: (limit.max_daily.value, limit.max_daily.unit, where.text) for limit, where in found}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # Steps that lead to a maximum are none; the maximum is one.
        ("Increase in 15 mg increments up to a maximum of 45 mg once daily.", 45),
        ("Patients may benefit from dose increases up to a maximum of 200 mg/day.", 200),
        ("The maximum recommended dosage is testadrine tablets USP 40 mg once daily.", 40),
        ("The maximum recommended dose for heartburn is 8 mg once daily.", 8),
        ("The maximum dose recommended is 400 mg/day.", 400),
        ("Doses should be individualized but not exceeding 40 mg once daily.", 40),
        ("Testor is not indicated for use in doses above 20 mg/day.", 20),
        ("The maximum 24-hour dose is 360 mg.", 360),
        ("The total dose within 24 hours should not exceed 15 mg.", 15),
        ("A maximum of 4 mg should not be exceeded during a 24-hour period.", 4),
        ("The usefulness of dosages exceeding 480 mg/day has not been shown; this dosage should not be exceeded.", 480),
        ("Doses higher than 10 mg once daily have not been studied and are not recommended.", 10),
        ("A total daily dose of greater than 30 mg (15 mg twice daily) is not recommended.", 30),
        ("Take one tablet, not to exceed 6 tablets (24 mg) in 24 hours.", 24),
        ("The maximum recommended dose is 250 to 300 mg/day.", 300),
        ("The maximum dose is 10 milligrams every four hours.", 60),
        ("The maximum recommended dose is 100 mg 8 times daily.", 800),
        ("The maximum dose is 2 mg 3-4 times daily.", 8),
        # How far a dose may be raised, where nothing larger is named.
        ("The usual dose is 1 mg daily. The dose may be titrated as needed, up to 16 mg once daily.", 16),
        # How often is told elsewhere, and never otherwise than once a day.
        ("Take 5 mg once daily at bedtime. The maximum dose is 10 mg.", 10),
        ("The maximum recommended dosing frequency is once per day. The dose may go to a maximum of 20 mg. Take 10 mg.", 20),
        # Adults are meant too.
        ("Adults and pediatric patients 12 years and older: the maximum daily dose is 30 mg.", 30),
        # What was seen in a trial and what is taken beside it are no larger doses.
        ("The maximum daily dose is 40 mg. In clinical trials doses of 80 mg daily were given.", 40),
        ("The maximum daily dose is 40 mg. It was given with ketoconazole 400 mg daily.", 40),
        ("The maximum daily dose is 40 mg. Doses above 60 mg have not been studied.", 40),
    ],
)  # fmt: skip
def test_the_most_a_day_is_read(text, value):
    assert read(text)["oral"][0] == value


@pytest.mark.parametrize(
    "text",
    [
        # Of some patients only, by the heading, by the sentence before, by the group that was named last.
        "2.3 Hepatic Impairment Be careful. 2.4 Renal Impairment Start low. The maximum daily dose is 5 mg.",
        "Adults take 5 mg daily. Children: Start with 1 mg daily. Raise it slowly. The maximum daily dose is 5 mg.",
        "Hospitalized patients may have the dosage raised up to 600 mg daily.",
        # What was done, or seldom is needed, is not what is allowed.
        "Dosages up to 90 mg twice daily have been administered.",
        "Efficacy was demonstrated in doses up to 100 mg twice daily.",
        # A larger amount may be had: by others, as a first dose, in this very label.
        "The maximum daily dose is 20 mg. Start with a loading dose of 100 mg once daily for 3 days.",
        "The maximum dose is 400 mg per day. Some patients respond to 600 mg/day.",
        "The dose may be increased up to 40 mg daily. A dose of 80 mg was seen to work better in one study.",
        "Obesity: The usual dosage is up to 30 mg daily. Narcolepsy: 5 to 60 milligrams per day.",
        "The maximum daily dose is 400 mg. Although no clinical trial had one, a loading dose of 600 mg/day is recommended.",
        "Take 100 mg once daily. Doses up to 400 mg/day may be used. Doses exceeding 600 mg/day are not recommended in children.",
        # How often is not told, or not the same everywhere.
        "Take 5 mg twice daily. The maximum dose is 10 mg.",
        "The maximum dose is 10 mg every other day.",
        "The maximum daily dose is 10 mg every other day.",
        "Maximum dosage is 4.5 mg once weekly.",
        # Of another drug.
        "Start otheramide at 20 mg daily and ramp up (up to 400 mg daily).",
        "The maximum daily dose of otheramide is 60 mg.",
    ],
)
def test_what_might_be_too_low_for_someone_is_not_read(text):
    assert read(text) == {}


def test_a_limit_allowed_above_another_one_takes_its_place():
    text = "Maximum dose: 400 mg per day. Inpatients may be given up to but not in excess of 600 mg/day."
    assert read(text)["oral"][0] == 600


def test_what_follows_on_some_patients_counts_only_where_nothing_larger_is_told():
    text = "Take 10 mg daily. 2.2 Dosing Those taking cimetidine are watched. The maximum daily dose is 40 mg."
    assert read(text)["oral"][0] == 40
    assert read(text.replace("Take 10 mg", "Take 50 mg")) == {}
    # A usual dose must be told apart from it: else nothing shows that it is not theirs alone.
    assert read(text.removeprefix("Take 10 mg daily. ")) == {}


def test_each_route_of_a_label_has_the_limit_that_names_it():
    text = (
        "2.1 Oral Dosage Take 100 mg. The maximum daily dose is 320 mg. "
        "2.2 Intravenous Dosage Give 75 mg. The maximum daily dose is 150 mg."
    )
    found = read(text, routes=("intravenous", "oral"))
    assert {route: value for route, (value, _, _) in found.items()} == {"oral": 320, "intravenous": 150}


def test_a_limit_that_names_no_route_holds_for_all_ways_of_injecting_and_for_no_mix_of_ways():
    text = "Give 1 g. The total daily dose should not exceed 4 grams."
    assert {route: one[:2] for route, one in read(text, ("intramuscular", "intravenous")).items()} == {
        "intramuscular": (4, "g"), "intravenous": (4, "g"),
    }  # fmt: skip
    assert read(text, ("oral", "intravenous")) == {}
