"""The demonstration shows what the EHR holds, with each flag at the sentence it is about."""

import io
from typing import Any

from preceptor.demo.document import read_document
from preceptor.demo.show import show_document
from rich.console import Console

KIND = "https://preceptor.health/fhir/CodeSystem/claim-kind"


def div(*paragraphs: str) -> dict[str, str]:
    inside = "".join(f"<p>{one}</p>" for one in paragraphs)
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{inside}</div>'}


def issue(kind: str, severity: str, *paragraphs: str) -> dict[str, Any]:
    code = {"coding": [{"system": "other", "code": "DOSE"}, {"system": KIND, "code": kind}]}
    return {"code": code, "severity": severity, "text": div(*paragraphs)}


COMPOSITION: dict[str, Any] = {
    "title": "Discharge instructions",
    "status": "preliminary",
    "section": [
        {"title": "Your medicines", "text": div("Take simvastatin 40 mg once a day.", "Take metformin &amp; eat.")},
        {"title": "Activity", "text": div("You may lift up to 50 lb.")},
        {"title": "Follow-up visits", "text": div("See your doctor.")},
        {"title": "Checks", "text": div("HIGH: metformin 1500 mg Too much.", "No evidence found: x.")},
    ],
}
ISSUES = [
    issue("dose", "high", "metformin 1500 mg", "Too much.", '"No more than 2550 mg." Label, version 3'),
    issue("activity", "moderate", "lift up to 50 lb", "Too early.", '"Do not lift." Guide, version 1'),
    issue("follow-up", "low", "no follow-up visit", "One is needed."),
]


def test_each_flag_stands_at_the_sentence_it_is_about() -> None:
    document = read_document(COMPOSITION, ISSUES)
    medicines, activity, follow_up = document.sections
    assert [(line, [flag.kind for flag in flags]) for line, flags in medicines.lines] == [
        ("Take simvastatin 40 mg once a day.", []),
        ("Take metformin & eat.", ["dose"]),
    ]
    assert [flag.kind for _, flags in activity.lines for flag in flags] == ["activity"]
    assert [flag.kind for flag in (*follow_up.flags, *follow_up.lines[0][1])] == ["follow-up"]


def test_results_that_are_no_flags_are_kept() -> None:
    assert read_document(COMPOSITION, ISSUES).notes == ("No evidence found: x.",)


def test_what_is_printed_in_a_pipe_has_all_of_it_and_no_colours() -> None:
    output = io.StringIO()
    show_document(Console(file=output, width=100), read_document(COMPOSITION, ISSUES))
    text = output.getvalue()
    for words in ("HIGH  dose", "metformin 1500 mg", "Too much.", '"No more than 2550 mg." Label, version 3'):
        assert words in text
    assert "the patient's chart" in text, "a flag without a fact rests on the chart"
    assert "\x1b" not in text
