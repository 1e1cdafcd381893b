"""Inputs are read by the OperationDefinition: every fault is told at once, with its place and without its value."""

import json

import pytest
from facade.operations.errors import InvalidParameters
from facade.operations.parameters import read_parameters
from facade.operations.table import raw_definition

QUESTION = {"name": "question", "valueString": "When is metformin stopped?"}
ENCOUNTER = {"name": "encounter", "valueReference": {"reference": "Encounter/1"}}
MEDICATIONS = {"name": "code", "valueCode": "medications"}
WRONG_COMPOSITION = {"resourceType": "Composition", "title": ["Marked"]}
TEXT = {"name": "text", "valueString": "Take metformin."}


def body(*listed, **more):
    return json.dumps({"resourceType": "Parameters", "parameter": list(listed), **more}).encode()


def section(*parts):
    return {"name": "section", "part": list(parts)}


@pytest.mark.parametrize(
    ("operation", "sent", "faults"),
    [
        ("ask", b"{", [("invalid", "Parameters")]),
        ("ask", b"[]", [("structure", "Parameters")]),
        ("ask", b"null", [("structure", "Parameters")]),
        ("ask", b"\xff\xfe", [("invalid", "Parameters")]),
        ("ask", b"[" * 100_000, [("invalid", "Parameters")]),
        ("ask", b'{"resourceType": "Parameters", "x": "\\ud800"}', [("invalid", "Parameters")]),
        ("ask", b'{"resourceType": "Parameters", "x": NaN}', [("invalid", "Parameters")]),
        ("ask", b'{"x": ' * 200 + b"1" + b"}" * 200, [("too-costly", "Parameters")]),
        ("ask", b'{"resourceType": "Bundle"}', [("structure", "Parameters")]),
        ("ask", b'{"resourceType": "Parameters", "parameter": {}}', [("structure", "Parameters.parameter")]),
        ("ask", body(*[QUESTION] * 51), [("structure", "Parameters.parameter")]),
        ("ask", body(), [("required", "Parameters.parameter.where(name='question')")]),
        ("ask", body(QUESTION, QUESTION), [("structure", "Parameters.parameter.where(name='question')")]),
        ("ask", body(QUESTION, {"name": "Marked", "valueString": "x"}), [("not-supported", "Parameters.parameter[1]")]),
        ("ask", body(QUESTION, {"valueString": "x"}), [("not-supported", "Parameters.parameter[1]")]),
        ("ask", body(QUESTION, "Marked"), [("not-supported", "Parameters.parameter[1]")]),
        ("ask", body(QUESTION, {"name": ["question"]}), [("not-supported", "Parameters.parameter[1]")]),
        ("ask", body({"name": "question", "valueCode": "Marked"}), [("structure", "Parameters.parameter[0]")]),
        ("ask", body({"name": "question"}), [("structure", "Parameters.parameter[0]")]),
        ("ask", body(QUESTION | {"valueCode": "x"}), [("structure", "Parameters.parameter[0]")]),
        ("ask", body(QUESTION | {"part": []}), [("structure", "Parameters.parameter[0]")]),
        ("ask", body({"name": "question", "valueString": 7}), [("value", "Parameters.parameter[0].valueString")]),
        ("ask", body({"name": "question", "valueString": None}), [("value", "Parameters.parameter[0].valueString")]),
        ("ask", body(QUESTION, {"name": "asOf", "valueDate": "Marked"}), [
            ("structure", "Parameters.parameter[1].valueDate"),
        ]),
        ("ask", body(QUESTION, {"name": "answer", "part": []}), [("not-supported", "Parameters.parameter[1]")]),
        ("ask", body(QUESTION, Marked={"x": "Marked"}), [("structure", "Parameters")]),
        (
            "ask",
            body({"name": "Marked"}, {"name": "kind", "valueString": "x"}),
            [
                ("not-supported", "Parameters.parameter[0]"),
                ("structure", "Parameters.parameter[1]"),
                ("required", "Parameters.parameter.where(name='question')"),
            ],
        ),
        ("check", body(ENCOUNTER, section()), [
            ("required", "Parameters.parameter[1].part.where(name='code')"),
            ("required", "Parameters.parameter[1].part.where(name='text')"),
        ]),
        ("check", body(ENCOUNTER, section(MEDICATIONS, TEXT, TEXT)), [
            ("structure", "Parameters.parameter[1].part.where(name='text')"),
        ]),
        ("check", body(ENCOUNTER, section(MEDICATIONS, TEXT, {"name": "Marked", "valueString": "x"})), [
            ("not-supported", "Parameters.parameter[1].part[2]"),
        ]),
        ("check", body(ENCOUNTER, {"name": "section", "valueString": "x"}), [("structure", "Parameters.parameter[1]")]),
        ("check", body(ENCOUNTER, *[section(MEDICATIONS, TEXT)] * 7), [
            ("structure", "Parameters.parameter.where(name='section')"),
        ]),
        ("check", body(ENCOUNTER, {"name": "composition", "resource": {"resourceType": "Patient"}}), [
            ("structure", "Parameters.parameter[1].resource"),
        ]),
        ("check", body(ENCOUNTER, {"name": "composition", "resource": WRONG_COMPOSITION}), [
            ("structure", "Parameters.parameter[1].resource.title"),
        ]),
        ("check", body(ENCOUNTER, {"name": "whole", "valueBoolean": "Marked"}), [
            ("structure", "Parameters.parameter[1].valueBoolean"),
        ]),
        ("draft", body({"name": "encounter", "valueReference": {"reference": 7}}), [
            ("structure", "Parameters.parameter[0].valueReference.reference"),
        ]),
    ],
)  # fmt: skip
def test_every_fault_is_told_with_its_place(operation, sent, faults):
    with pytest.raises(InvalidParameters) as raised:
        read_parameters(raw_definition(operation), sent)
    issues = raised.value.outcome()["issue"]
    told = [(issue["code"], issue["expression"][0]) for issue in issues]
    assert [one for one in faults if not any(_is(one, other) for other in told)] == [], told
    assert "Marked" not in json.dumps(raised.value.outcome())


def _is(wanted, told):
    return wanted[0] == told[0] and told[1].startswith(wanted[1])


def test_what_is_right_is_read_in_its_order():
    inputs = read_parameters(
        raw_definition("check"), body(ENCOUNTER, section(MEDICATIONS, TEXT), {"name": "whole", "valueBoolean": True})
    )
    assert inputs.required("encounter").value == {"reference": "Encounter/1"}
    assert inputs["section"][0].value.text("code") == "medications"
    assert inputs.required("whole").expression == "Parameters.parameter[2].value"
    assert inputs.first("composition") is None
