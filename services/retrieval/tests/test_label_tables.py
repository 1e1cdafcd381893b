"""Tables of labels: their cells, where they stand in the text, and the limits that they tell. All are made up."""

# ruff: noqa: E501  a sentence or a row stands on one line

import json

import pytest
from retrieval.importers.dailymed_spl import parse_spl
from retrieval.importers.openfda import OpenFdaLabels
from retrieval.labels.kidneys import renal_limits
from retrieval.labels.limits import dose_limits
from retrieval.labels.tables import html_tables, placed
from retrieval.labels.text import LabelText

SECTION = "dosage_and_administration"


def markup(*rows, caption=""):
    cells = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>{f'<caption>{caption}</caption>' if caption else ''}<tbody>{cells}</tbody></table>"


def escaped(*rows):
    return [[cell.replace("<", "&lt;").replace(">", "&gt;") for cell in row] for row in rows]


def label(*rows, caption="", before="Take it with food.", after="", told=""):
    """A label whose section holds a table in its text, as openFDA gives it: run together."""
    text = " ".join([before, caption, *(" ".join(row) for row in rows), after])
    tables = placed(html_tables(SECTION, told or markup(*escaped(*rows), caption=caption)), text)
    return LabelText(
        "s1",
        "v1",
        "Testor: label",
        "maker",
        ("testadrine",),
        ("testor",),
        ("1",),
        ("oral",),
        {SECTION: text},
        tables=tables,
    )


def kidneys(one):
    found = renal_limits(one)
    assert all(where.text in one.sections[SECTION] for _, where in found), "what is quoted stands in the section"
    return {
        (limit.measure, limit.below.value): limit.max_daily.value if limit.max_daily else limit.action
        for limit, _ in found
    }


def test_cells_over_several_rows_and_columns_are_repeated_where_they_hold():
    told = (
        "<table><tr><td rowspan='2'>Indication</td><td colspan='2'>Dose</td></tr>"
        "<tr><td>First</td><td>Later <sup>a</sup></td></tr><tr><td>Pain</td><td>1 mg</td><td>2 mg</td></tr></table>"
    )
    (table,) = html_tables(SECTION, told)
    assert [row.cells for row in table.rows] == [
        ("Indication", "Dose", "Dose"), ("Indication", "First", "Later a"), ("Pain", "1 mg", "2 mg"),
    ]  # fmt: skip
    assert [row.words for row in table.rows] == ["Indication Dose", "First Later a", "Pain 1 mg 2 mg"]


def test_a_cell_over_three_rows_is_in_all_of_them():
    told = "<table><tr><td rowspan='3'>a</td><td>1</td></tr><tr><td>2</td></tr><tr><td>3</td></tr><tr><td>4</td></tr></table>"
    (table,) = html_tables(SECTION, told)
    assert [row.cells for row in table.rows] == [("a", "1"), ("a", "2"), ("a", "3"), ("4",)]


def test_of_a_long_table_the_row_alone_is_quoted():
    rows = [["CrCl", "Dose"], *([f"use {n}", "word " * 9] for n in range(20)), ["30", "5 mg"]]
    text = " ".join(" ".join(row) for row in rows)
    (table,) = placed(html_tables(SECTION, markup(*rows)), text)
    assert table.quoted(text, 2).startswith("CrCl Dose use 0")
    assert table.quoted(text, len(rows) - 1) == "30 5 mg"


@pytest.mark.parametrize(
    "told", ["", "no table", "<p>x</p>", "<table></table>", "<table><tr><td colspan='9999999'>x</td></tr></table>"]
)
def test_markup_that_is_no_proper_table_is_no_error(told):
    assert all(len(row.cells) <= 40 for table in html_tables(SECTION, told) for row in table.rows)


def test_rows_are_found_in_the_text_whatever_its_spaces_and_others_are_not_quoted():
    (table,) = html_tables(
        SECTION, markup(["CrCl", "Dose"], ["30&#160;mL/min/1.73&#160;m<sup>2</sup>", "5 mg"], ["other", "row"])
    )
    text = "Before. CrCl  Dose 30 mL/min/1.73 m 2 5 mg. After."
    (table,) = placed([table], text)
    assert [text[row.place[0] : row.place[1]] if row.place else None for row in table.rows] == [
        "CrCl  Dose", "30 mL/min/1.73 m 2 5 mg", None,
    ]  # fmt: skip
    assert table.quoted(text, 1) == "CrCl  Dose 30 mL/min/1.73 m 2 5 mg"
    assert table.quoted(text, 2) is None


def test_a_range_in_each_row_has_the_dose_beside_it():
    one = label(
        ["Creatinine Clearance (mL/min)", "Dose"], ["above 50", "20 mg twice daily"], ["30 to 50", "10 mg twice daily"],
        ["15 to 29", "10 mg once daily"], ["<15", "Not recommended"],
    )  # fmt: skip
    assert kidneys(one) == {("crcl", 50): 20, ("crcl", 30): 10, ("crcl", 15): "avoid"}


def test_a_range_in_each_column_has_the_largest_dose_below_it():
    one = label(
        ["Use", "Creatinine clearance 30 to 60 mL/min", "Creatinine clearance less than 30 mL/min"],
        ["Ulcer", "20 mg once daily", "20 mg every other day"], ["Reflux", "20 mg twice daily", "10 mg once daily"],
    )  # fmt: skip
    assert kidneys(one) == {("crcl", 60): 40, ("crcl", 30): 20}


@pytest.mark.parametrize(
    ("head", "row", "most"),
    [
        (["eGFR (mL/min/1.73 m2)", "Total Daily Dose (mg/day)", "Regimen"], ["30 to 59", "400 to 1400", "BID"], 1400),
        (["eGFR (mL/min/1.73 m2)", "Dosage (mg)", "Frequency"], ["30 to 59", "250 to 750", "Every 12 hours"], 1500),
        (["eGFR (mL/min/1.73 m2)", "Dose (mg)", "Dose (mg)"], ["30 to 59", "200 BID", "300 BID"], 600),
        (["eGFR (mL/min/1.73 m2)", "Starting Dose", "Maximum Daily Dose"], ["30 to 59", "25 mg", "50 mg"], 50),
        (["eGFR (mL/min/1.73 m2)", "Dose"], ["30 to 59", "No change; maximum daily dose should not exceed 1 g"], 1),
    ],
)
def test_units_and_frequency_may_stand_in_the_head_or_in_another_column(head, row, most):
    assert kidneys(label(head, row, ["below 30", *["Avoid use"] * (len(row) - 1)])) == {
        ("egfr", 60): most,
        ("egfr", 30): "avoid",
    }


@pytest.mark.parametrize(
    ("head", "row"),
    [
        (["Creatinine Clearance (mL/min)", "Starting Dose"], ["30 to 50", "10 mg once daily"]),
        (["Creatinine Clearance (mL/min)", "Dose"], ["30 to 50", "4 mg/kg once daily"]),
        (["Creatinine Clearance (mL/min)", "Dose"], ["30 to 50", "75% of the usual dose"]),
        (["Creatinine Clearance (mL/min)", "Dose"], ["30 to 50", "10 mg"]),
        (["Creatinine Clearance (mL/min)", "100 mg/5 mL, Dose/Day (mL)"], ["30 to 50", "13"]),
        (["Creatinine Clearance (mL/min)", "Dosing interval (hours)"], ["30 to 50", "24 to 36"]),
        (["Serum creatinine (mg/dL)", "Dose"], ["2 to 3", "10 mg once daily"]),
        (["Beside", "Creatinine Clearance (mL/min)", "Dose"], ["a strong inhibitor", "30 to 50", "10 mg once daily"]),
    ],
)
def test_cells_that_do_not_tell_the_most_a_day_are_not_read(head, row):
    assert kidneys(label(head, row, [*row[:-2], "below 30", row[-1]])) == {}


def test_a_range_of_which_anything_cannot_be_read_has_no_limit():
    head = ["Use", "Creatinine Clearance (mL/min)", "Dose"]
    rows = [
        ["Ulcer", "30 to 50", "10 mg once daily"],
        ["Reflux", "30 to 50", "see below"],
        ["Any", "below 30", "5 mg once daily"],
    ]
    assert kidneys(label(head, *rows)) == {("crcl", 30): 5}


@pytest.mark.parametrize(
    "more",
    [
        {"caption": "Table 2: Doses for pediatric patients"},
        {"caption": "Table 2: Starting doses"},
        {"before": "These are the recommended starting doses:"},
        {"after": "The doses in the table above may be increased by 50%."},
        {"before": "Given with rifampin, those with CrCl 30 to 50 mL/min take 40 mg daily."},
    ],
)
def test_a_table_that_is_for_some_or_not_the_last_word_is_not_read(more):
    rows = (
        ["Creatinine Clearance (mL/min)", "Dose"],
        ["30 to 50", "10 mg once daily"],
        ["below 30", "5 mg once daily"],
    )
    assert kidneys(label(*rows)) == {("crcl", 50): 10, ("crcl", 30): 5}
    assert ("crcl", 50) not in kidneys(label(*rows, **more))


def test_a_column_of_maxima_gives_the_largest_for_adults():
    one = label(
        ["Use", "Starting Dose", "Maximum Dose"], ["Mania in adults", "15 mg/day", "30 mg/day"],
        ["Depression", "2 mg/day", "15 mg/day"], ["Children with tics", "2 mg/day", "20 mg/day"],
    )  # fmt: skip
    ((limit, where),) = dose_limits(one)
    assert limit.max_daily.value == 30
    assert where.text == "Use Starting Dose Maximum Dose Mania in adults 15 mg/day 30 mg/day"


@pytest.mark.parametrize(
    "more",
    [{"rows": (["Depression", "2 mg/day", "see below"],)}, {"caption": "Doses in renal impairment"}],
)
def test_a_column_of_maxima_that_may_hold_more_or_is_for_some_gives_none(more):
    rows = [["Use", "Starting Dose", "Maximum Dose"], ["Mania", "15 mg/day", "30 mg/day"]]
    assert len(dose_limits(label(*rows))) == 1
    assert dose_limits(label(*rows, *more.get("rows", ()), caption=more.get("caption", ""))) == []


@pytest.mark.parametrize(
    ("head", "cell"),
    [
        ("Maximum Dose", "10 mg"),
        ("Maximum Single Dose", "10 mg/day"),
        ("Maximum Dose", "1 mg/kg/day"),
        ("Dose", "10 mg/day"),
    ],
)
def test_a_column_that_is_not_the_most_a_day_gives_none(head, cell):
    assert dose_limits(label(["Use", head], ["Pain", cell])) == []


@pytest.mark.parametrize(("caption", "found"), [("Table 1: Doses for children", 0), ("Table 1: Doses", 1)])
def test_a_clause_in_a_table_for_children_is_not_the_adults_limit_however_far_down_it_stands(caption, found):
    care = [[f"Use number {n}", "is treated with care and with much patience."] for n in range(20)]
    one = label(["Use", "Advice"], *care, ["Last use.", "The maximum daily dose is 20 mg."], caption=caption)
    assert len(dose_limits(one)) == found


KIDNEYS = markup(*escaped(["CrCl (mL/min)", "Dose"], ["30 to 50", "10 mg once daily"], ["<30", "Do not use"]))
TEXT = "Adults take 20 mg daily. CrCl (mL/min) Dose 30 to 50 10 mg once daily <30 Do not use"


def test_tables_of_openfda_are_read_with_the_text_of_their_section(tmp_path):
    meta = {"spl_set_id": ["s"], "substance_name": ["TESTADRINE"], "route": ["ORAL"], "rxcui": ["1"]}
    raw = {"set_id": "s", "openfda": meta, SECTION: [TEXT], f"{SECTION}_table": [KIDNEYS]}
    path = tmp_path / "one.jsonl"
    path.write_text(json.dumps(raw))
    (one,) = OpenFdaLabels().labels(path)
    assert kidneys(one) == {("crcl", 50): 10, ("crcl", 30): "avoid"}
    assert list(one.sections) == [SECTION], "markup is not kept as text"


def test_tables_of_spl_are_read_with_the_text_of_their_section():
    spl = f"""<document xmlns="urn:hl7-org:v3"><setId root="s"/><versionNumber value="1"/><component><structuredBody>
      <component><section><code code="34068-7"/><title>Dosage</title><text><paragraph>Adults take 20 mg.</paragraph></text>
      <component><section><code code="42229-5"/><text>{KIDNEYS}</text></section></component></section></component>
      <component><section><subject><manufacturedProduct><manufacturedProduct><name>Testor</name>
      <ingredient classCode="ACTIB"><ingredientSubstance><name>TESTADRINE</name></ingredientSubstance></ingredient>
      </manufacturedProduct></manufacturedProduct></subject></section></component></structuredBody></component></document>"""
    one = parse_spl(spl.encode())
    assert one.sections[SECTION].endswith("30 to 50 10 mg once daily <30 Do not use")
    assert kidneys(one) == {("crcl", 50): 10, ("crcl", 30): "avoid"}
