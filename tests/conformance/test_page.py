"""The conformance page says what the tests check, and the tests quote what the standards say."""

import re

import pytest

from .lines import roles
from .page import PAGE, Check, checks_of, page, published_sentences


@pytest.fixture
def checks(request: pytest.FixtureRequest) -> tuple[Check, ...]:
    """What the tests of this run check; only a whole run can be compared with the page."""
    config = request.config
    if set(config.args) != set(config.getini("testpaths")) or config.option.keyword or config.option.markexpr:
        pytest.skip("only some tests were collected: the page is compared in a run of all of them")
    return checks_of(request.session.items)


def test_every_line_is_tested_and_every_mark_names_a_line(checks: tuple[Check, ...]) -> None:
    assert {check.line for check in checks} == {line for role in roles() for line in role.lines}


def test_the_page_is_what_the_tests_say(checks: tuple[Check, ...]) -> None:
    assert PAGE.read_text() == page(checks), "write it again: python -m tests.conformance"


def test_the_quotations_are_the_standards_words(checks: tuple[Check, ...]) -> None:
    published = published_sentences()
    if published is None:
        pytest.skip("the published requirement lists are not beside the checkout")
    wrong = [
        f"{check.test}: {check.id}"
        for check in checks
        if check.id and not any(_words(check.sentence) <= _words(one) for one in published.get(check.id, ()))
    ]
    assert wrong == []


def _words(sentence: str) -> set[str]:
    """Brackets and ellipses of the lists are editorial; quotations may leave them and parts of a sentence out."""
    return set(re.findall(r"[A-Za-z0-9_]+", sentence))
