"""Sentences for orders: what the adapter is taught, and the guesses that save it passes."""

import pytest
from adapter_serving.items import Item, ItemKind
from adapter_serving.phrasing.conditions import reason_sentence, warning_sentence
from adapter_serving.phrasing.guess import guess
from adapter_serving.phrasing.names import plain_name
from adapter_serving.synthetic.stays import stays
from service_contracts.chart import ChartReference

SOURCE = ChartReference(reference="MedicationRequest/1")


@pytest.mark.parametrize(
    ("name", "values", "sentence"),
    [
        (
            "Metformin",
            {"change": "new", "order": "1500mg PO TID"},
            "Start taking metformin 1500 mg by mouth 3 times a day.",
        ),
        ("Ibuprofen", {"change": "stopped", "order": "400mg PO q6h PRN"}, "Stop taking ibuprofen."),
        (
            "Oxycodone/Acetaminophen",
            {"change": "new", "order": "5/325mg PO q4-6h PRN pain x 5 days"},
            "Start taking oxycodone/acetaminophen 5/325 mg by mouth every 4 to 6 hours as needed for pain for 5 days.",
        ),
        (
            "Tiotropium",
            {"change": "continued", "order": "18mcg INH DAILY"},
            "Keep using tiotropium 18 mcg by inhaler once a day.",
        ),
        (
            "Insulin glargine",
            {"change": "continued", "order": "Per established regimen", "route": "subcutaneous"},
            "Keep using insulin glargine under the skin as your doctor told you.",
        ),
        (
            "Furosemide",
            {
                "change": "changed",
                "dose": "40 mg",
                "route": "oral",
                "often": "2 times a day",
                "reason": "Heart failure (CHF)",
            },
            "Changed: take furosemide 40 mg by mouth 2 times a day for heart failure.",
        ),
        (
            "Alendronate",
            {"change": "new", "order": "70 mg by mouth once weekly"},
            "Start taking alendronate 70 mg by mouth once a week.",
        ),
        (
            "lisinopril 10 MG Oral Tablet",
            {"change": "new", "order": "1 tablet PO daily"},
            "Start taking lisinopril 10 mg, 1 tablet by mouth once a day.",
        ),
    ],
)
def test_an_order_for_a_medicine_is_guessed_as_ordered(name: str, values: dict[str, str], sentence: str) -> None:
    assert guess(Item(ItemKind.MEDICATION, name, SOURCE, values)) == sentence


@pytest.mark.parametrize(
    ("kind", "text", "values", "sentence"),
    [
        (ItemKind.ACTIVITY, "No lifting > 10 lbs x 2 wks", {}, "Do not lift more than 10 pounds for 2 weeks."),
        (ItemKind.ACTIVITY, "NWB RLE x 1 wk", {}, "Do not put weight on your right leg for 1 week."),
        (ItemKind.ACTIVITY, "Whistle for 4 minutes.", {}, "Whistle for 4 minutes."),
        (ItemKind.DIET, "2 g Na diet", {}, "Eat less than 2 grams of sodium a day."),
        (ItemKind.FOLLOW_UP, "F/u with cards in 4-6 weeks", {}, "See your heart doctor in 4 to 6 weeks."),
        (ItemKind.FOLLOW_UP, "Follow up with PCP.", {"within": "7 days"}, "See your family doctor within 7 days."),
        (ItemKind.FOLLOW_UP, "Follow up with podiatry in 1 week.", {}, "See the podiatry clinic in 1 week."),
    ],
)
def test_an_order_in_shorthand_is_spelled_out(kind: ItemKind, text: str, values: dict[str, str], sentence: str) -> None:
    assert guess(Item(kind, text, SOURCE, values)) == sentence


@pytest.mark.parametrize(
    ("name", "plain", "strength"),
    [
        ("Metformin", "metformin", None),
        ("metformin hydrochloride 500 MG Oral Tablet", "metformin hydrochloride", "500 mg"),
        ("Calcium/Vitamin D", "calcium/vitamin D", None),
        ("ICS/LABA inhaler", "ICS/LABA inhaler", None),
        ("acetaminophen 325 MG / oxycodone 5 MG Oral Tablet", "acetaminophen/oxycodone", None),
        ("IV normal saline", "IV normal saline", None),
    ],
)
def test_a_name_loses_its_form_and_keeps_its_abbreviations(name: str, plain: str, strength: str | None) -> None:
    assert plain_name(name) == (plain, strength)


def test_an_unknown_condition_is_named_as_the_chart_names_it() -> None:
    assert reason_sentence("Sarcoidosis of lung, unspecified") == "You were in the hospital for sarcoidosis of lung."
    assert warning_sentence("Sarcoidosis of lung") == "Call your doctor if you feel worse or have new signs of illness."


def test_nearly_all_guesses_on_synthetic_stays_are_right() -> None:
    pairs = [(guess(item), sentence) for stay in stays(60, 4) for item, sentence in stay.examples()]
    assert sum(guessed == sentence for guessed, sentence in pairs) / len(pairs) > 0.98
