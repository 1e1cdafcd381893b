"""The reading grade."""

import pytest
from adapter_serving.reading_level import grade, syllables


@pytest.mark.parametrize(
    ("word", "count"),
    [("take", 1), ("medicine", 3), ("table", 2), ("hospital", 3), ("day", 1), ("moved", 1), ("needed", 2), ("doses", 2),
     ("because", 2), ("free", 1), ("500", 1), ("asthma", 2)],
)  # fmt: skip
def test_syllables_are_counted(word: str, count: int) -> None:
    assert syllables(word) == count


def test_the_formula_is_that_of_1975() -> None:
    # 6 words, 1 sentence, 6 syllables: 0.39 * 6 + 11.8 * 1 - 15.59
    assert grade("The cat sat on the mat.") == pytest.approx(-1.45)


def test_names_count_as_two_syllables() -> None:
    assert grade("Take hydrochlorothiazide.", ["Hydrochlorothiazide"]) < grade("Take hydrochlorothiazide.") - 10


def test_hard_words_are_graded_hard() -> None:
    assert grade("Administer antihypertensive medication intermittently notwithstanding contraindications.") > 15
