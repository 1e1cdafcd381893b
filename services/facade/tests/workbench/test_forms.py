"""What a form may decide, and the text that may be signed."""

from datetime import UTC, datetime

import pytest
from facade.decisions import DecisionAction, InvalidDecision
from facade.workbench.forms import InvalidForm, changed_keys, decision_of, sections_of
from service_contracts.drafts import SectionKey
from service_contracts.reconciliation import Section

AT = datetime(2026, 1, 1, tzinfo=UTC)
SECTIONS = (
    Section(key=SectionKey.MEDICATIONS, title="Your medicines", text="Take a.\nTake b."),
    Section(key=SectionKey.DIET, title="Eating", text="Eat well."),
)


def decided(**form):
    return decision_of(form, who="Practitioner/dr-1", at=AT)


@pytest.mark.parametrize(
    ("form", "action", "reason", "replacement"),
    [
        ({"action": "accept"}, DecisionAction.ACCEPT, None, None),
        ({"action": "accept", "reason": "x", "replacement": "y"}, DecisionAction.ACCEPT, None, None),
        ({"action": "edit", "replacement": " new\r\nwords "}, DecisionAction.EDIT, None, "new words"),
        ({"action": "edit", "replacement": ""}, DecisionAction.EDIT, None, ""),
        ({"action": "override", "reason": " why ", "replacement": "y"}, DecisionAction.OVERRIDE, "why", None),
        ({"action": "override", "reason": "  "}, DecisionAction.OVERRIDE, None, None),
    ],
)
def test_a_decision_takes_only_what_its_action_needs(form, action, reason, replacement):
    decision = decided(flag="f", **form)

    assert (decision.action, decision.reason, decision.replacement) == (action, reason, replacement)
    assert (decision.who, decision.at) == ("Practitioner/dr-1", AT)


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"flag": "f"},
        {"flag": "f", "action": "sign"},
        {"flag": "f", "action": "edit"},
        {"action": "accept"},
        {"flag": "f", "action": "override", "reason": "x" * 4001},
    ],
)
def test_a_form_that_is_not_complete_or_too_long_decides_nothing(form):
    with pytest.raises(InvalidDecision):
        decided(**form)


def test_text_that_only_a_browser_changed_is_not_changed():
    form = {"section:medications": "Take a.\r\nTake b.\r\n\r\n", "section:diet": "Eat well.  "}

    assert sections_of(form, SECTIONS) is None


def test_typed_text_is_kept_by_section():
    form = {"section:medications": "Take a.", "section:diet": "Eat well."}

    typed = sections_of(form, SECTIONS)

    assert typed is not None
    assert [section.text for section in typed] == ["Take a.", "Eat well."]
    assert changed_keys(SECTIONS, typed) == {SectionKey.MEDICATIONS}


@pytest.mark.parametrize("form", [{"section:diet": "Eat well."}, {"section:medications": "", "section:diet": " \n "}])
def test_a_missing_section_or_an_empty_document_cannot_be_signed(form):
    with pytest.raises(InvalidForm):
        sections_of(form, SECTIONS)
