"""The sections of a Composition: told by title and code, read as lines; what is not understood is said."""

import pytest
from facade.operations.errors import InvalidParameters
from facade.operations.given_sections import sections_of_composition
from facade.operations.parameters import Given
from service_contracts.drafts import SectionKey


def read(*sections):
    return sections_of_composition(Given({"section": list(sections)}, "Parameters.parameter[1].resource"))


def section(title, div, code=None, system="http://loinc.org", **more):
    coded = {"code": {"coding": [{"system": system, "code": code}]}} if code else {}
    xhtml = f'<div xmlns="http://www.w3.org/1999/xhtml">{div}</div>'
    return {"title": title, "text": {"status": "generated", "div": xhtml}, **coded, **more}


@pytest.mark.parametrize(
    ("title", "code", "key"),
    [
        ("Your medicines", None, SectionKey.MEDICATIONS),
        ("YOUR MEDICINES ", None, SectionKey.MEDICATIONS),
        ("medications", None, SectionKey.MEDICATIONS),
        ("Discharge meds", "10183-2", SectionKey.MEDICATIONS),
        ("Activity", "69730-0", SectionKey.ACTIVITY),
        ("When to get help", "69730-0", SectionKey.WARNING_SIGNS),
        ("Plan", "18776-5", SectionKey.FOLLOW_UP),
    ],
)
def test_a_section_is_told_by_its_title_or_its_code(title, code, key):
    assert [one.key for one in read(section(title, "<p>Words.</p>", code)).given] == [key]


@pytest.mark.parametrize(
    ("div", "lines"),
    [
        ("<p>One.</p><p>Two.</p>", "One.\nTwo."),
        ("<ul><li>One</li><li>Two</li></ul>", "One\nTwo"),
        ("One.<br/>Two.", "One.\nTwo."),
        ("<table><tr><td>A</td><td>5 mg</td></tr></table>", "A\n5 mg"),
        ("<p>Take <b>5</b> mg\n a day &amp; rest.</p>", "Take 5 mg a day & rest."),
        ("<p>&lt;b&gt; 5 &lt; 7</p>", "<b> 5 < 7"),
    ],
)
def test_a_narrative_is_read_as_lines(div, lines):
    (one,) = read(section("Activity", div)).given
    assert one.text == lines


def test_nested_sections_are_read_and_what_is_not_understood_is_said():
    found = read(
        section("Hospital course", "<p>Better.</p>", section=[section("Your medicines", "<p>Take A.</p>")]),
        section("Your medicines", "<p>Take B.</p>"),
        section("Signature", ""),
        section("Checks", "<p>HIGH</p>", "checks", "https://preceptor.health/fhir/CodeSystem/section"),
    )
    assert [(one.key, one.text) for one in found.given] == [(SectionKey.MEDICATIONS, "Take A.\nTake B.")]
    assert found.unread == ("Hospital course", "Signature")


def test_a_document_without_a_section_we_check_is_refused():
    with pytest.raises(InvalidParameters):
        read(section("Hospital course", "<p>Better.</p>"))
