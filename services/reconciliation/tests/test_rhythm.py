"""How often a day: the spellings that orders and instructions really use."""

import pytest
from reconciliation.condition_words import concepts
from reconciliation.rhythm import frequency


@pytest.mark.parametrize(
    ("text", "times_a_day"),
    [
        ("1x/day", 1),
        ("2 times/day", 2),
        ("BD", 2),
        ("tds", 3),
        ("qds", 4),
        ("q24h", 1),
        ("q 12 hrs", 2),
        ("q day", 1),
        ("1 tab qAM", 1),
        ("q morning", 1),
        ("qam and qpm", 2),
        ("nocte", 1),
        ("q3days", 1 / 3),
        ("q week", 1 / 7),
        ("q2 weeks", 1 / 14),
        ("5x/wk", 5 / 7),
        ("every 28 days", 1 / 28),
    ],
)
def test_a_spelling_is_read_as_times_a_day(text: str, times_a_day: float) -> None:
    rhythm = frequency(text)
    assert rhythm is not None
    assert rhythm.low == pytest.approx(times_a_day)
    assert rhythm.high == pytest.approx(times_a_day)


@pytest.mark.parametrize("text", ["stat", "1-0-1", "od", "one tablet", "as directed"])
def test_what_gives_no_rhythm_or_two_meanings_is_not_guessed(text: str) -> None:
    assert frequency(text) is None


@pytest.mark.parametrize(
    ("chart", "draft"),
    [
        ("Fracture of neck of right femur", "You broke your hip."),
        ("Intertrochanteric fracture of left femur", "You had a broken hip."),
        ("Acute cystitis without hematuria", "You had a bladder infection."),
    ],
)
def test_a_condition_is_known_by_its_plain_name(chart: str, draft: str) -> None:
    assert concepts(chart) & concepts(draft)


def test_a_bladder_that_is_not_infected_is_not_called_infected() -> None:
    assert concepts("Interstitial cystitis") == set()
