"""The decision framework reproduces every published choice and names the rule that decided."""

import pytest
from service_contracts.tasks import TASKS, Approach, Rule, choose, task

PUBLISHED = {
    "drug-interaction": (Approach.RETRIEVAL, Rule.VOLATILE_DATA),
    "guideline-question": (Approach.RETRIEVAL, Rule.CITATIONS),
    "literature-search": (Approach.RETRIEVAL, Rule.VOLATILE_DATA),
    "formulary": (Approach.RETRIEVAL, Rule.CITATIONS),
    "clinical-note": (Approach.ADAPTER, Rule.CONSISTENT_FORMAT),
    "coding": (Approach.ADAPTER, Rule.CONSISTENT_FORMAT),
    "triage": (Approach.ADAPTER, Rule.SUB_SECOND),
    "discharge-summary": (Approach.ADAPTER, Rule.CONSISTENT_FORMAT),
    "discharge-instructions": (Approach.HYBRID, Rule.FORMAT_AND_FACTS),
}


def test_the_nine_tasks_are_the_published_ones() -> None:
    assert {spec.name for spec in TASKS} == set(PUBLISHED)


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_choice_and_deciding_rule(name: str) -> None:
    assert choose(task(name)) == PUBLISHED[name]


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(KeyError):
        task("palm-reading")
