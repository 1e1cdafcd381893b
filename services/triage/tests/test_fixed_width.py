"""A fixed-width file is read by the SAS INPUT program of its year; what does not fit the program is refused."""

import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from triage.training.fixed_width import read_layout, read_records
from triage.training.nhamcs import VARIABLES, SurveyError, Tally, Visit, open_survey, read_visits

from .conftest import SURVEY
from .survey import LABELS, PLAIN, visits_of

WIDTHS = {
    "AGE": "3.", "AGEDAYS": "3.", "SEX": "1.", "TEMPF": "4.", "PULSE": "3.", "RESPR": "3.", "BPSYS": "3.",
    "BPDIAS": "3.", "POPCT": "3.", "HOSPCODE": "3.", "YEAR": "4.", "PATWT": "11.5", "REGION": "1.",
    **{f"RFV{number}": "5." for number in range(1, 6)},
}  # fmt: skip
INFORMATS = {"VMONTH": "2.", "ARRTIME": "$CHAR4.", **{name: WIDTHS.get(name, "2.") for name in VARIABLES}}
CHANGES: list[dict[str, Any]] = [{}, {"AGE": 3, "IMMEDR": 4, "RFV2": -9}, {"PULSE": 998}]


def program(informats: Mapping[str, str] = INFORMATS) -> str:
    """An INPUT program as CDC writes them: a comment in which the word INPUT stands, a label a line, broader codes."""
    lines, start, starts = [], 1, {}
    for name, informat in informats.items():
        starts[name] = start
        lines.append(f"@{start:<5} {name:<16} {informat:<9} /* What {name}'s value means - 1/2; see INPUT */")
        start += width(informat)
    lines += [f"@{starts[name]:<5} {name}3D{'':<11} 4.        /* Broader */" for name in starts if name[:3] == "RFV"]
    head = (
        "/*\nPROGRAM:   ED18INP\nPURPOSE:   INPUT STATEMENT; EXAMPLE: INFILE [file reference] MISSOVER LRECL=9999;\n*/"
    )
    return "\r\n".join(["", head, "", "INPUT", *lines, ";"])


def width(informat: str) -> int:
    found = re.search(r"\d+", informat)
    assert found
    return int(found[0])


def record(row: Mapping[str, Any], informats: Mapping[str, str] = INFORMATS, fill: str = "0") -> str:
    cells = []
    for name, informat in informats.items():
        value = row.get(name, 0)
        text = f"{value:.5f}" if informat == "11.5" else str(value)
        cell = text.zfill(width(informat)) if fill == "0" else text.rjust(width(informat))
        assert len(cell) == width(informat), (name, cell)
        cells.append(cell)
    return "".join(cells)


def written(folder: Path, rows: Sequence[Mapping[str, Any]], name: str = "ed2018", fill: str = "0") -> list[Path]:
    """The two files: the records, and the program beside them."""
    (folder / name).write_bytes("".join(record(row, fill=fill) + "\r\n" for row in rows).encode())
    (folder / "ed18inp.txt").write_bytes(program().encode())
    return [folder / name, folder / "ed18inp.txt"]


def read(files: Sequence[Path], *programs: Path) -> list[Visit]:
    return list(read_visits(files, LABELS, Tally(), programs))


@pytest.mark.parametrize("fill", ["0", " "])
@pytest.mark.parametrize("name", ["ed2018", "ED2018", "ed2018.txt", "ed18.txt"])
def test_a_fixed_width_file_says_the_same_as_its_rows(tmp_path: Path, name: str, fill: str) -> None:
    files = written(tmp_path, [{**PLAIN, **change} for change in CHANGES], name, fill)
    assert read(files) == visits_of(CHANGES)


def test_the_published_zip_is_read_by_the_program_beside_it(tmp_path: Path) -> None:
    data, _ = written(tmp_path, [{**PLAIN, **change} for change in CHANGES])
    with zipfile.ZipFile(tmp_path / "ed2018.zip", "w") as archive:
        archive.writestr("ed2018/", "")
        archive.write(data, "ed2018/ed2018")
    data.unlink()
    (tmp_path / "SOURCE.txt").write_text("where it is from")
    with open_survey(tmp_path) as files:
        assert [file.name for file in files] == ["ed18inp.txt", "ed2018.zip"]
        assert read(files) == visits_of(CHANGES)


def test_rows_of_the_survey_come_back_as_the_same_visits(tmp_path: Path) -> None:
    if not SURVEY.is_file():
        pytest.skip("the survey's files are not beside the repository")
    import duckdb

    with open_survey(SURVEY) as files:
        [parquet] = [file for file in files if "2020" in file.name]
        cursor = duckdb.execute("SELECT * FROM read_parquet(?) USING SAMPLE 1500 ROWS (reservoir, 7)", [str(parquet)])
        names = [str(column[0]) for column in cursor.description or ()]
        rows = [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]
    assert read(written(tmp_path, rows)) == visits_of(rows)


def test_a_program_can_be_named(tmp_path: Path) -> None:
    data, beside = written(tmp_path, [PLAIN])
    elsewhere = tmp_path / "columns.sas"
    beside.rename(elsewhere)
    with pytest.raises(SurveyError, match=r"ed2018 is a fixed-width file.*\(ed18inp\.txt\)"):
        read([data])
    assert read([data], elsewhere) == visits_of([{}])
    assert read([data], elsewhere.rename(tmp_path / "ed18inp.txt")) == visits_of([{}])


def test_a_program_of_another_year_is_not_used(tmp_path: Path) -> None:
    data, beside = written(tmp_path, [PLAIN])
    with pytest.raises(SurveyError, match=r"\(ed18inp\.txt\)"):
        read([data, beside.rename(tmp_path / "ed19inp.txt")])


def test_what_a_layout_lacks_is_named(tmp_path: Path) -> None:
    data, beside = written(tmp_path, [PLAIN])
    beside.write_text(program({name: informat for name, informat in INFORMATS.items() if name not in ("OSA", "HPE")}))
    with pytest.raises(SurveyError, match=r"ed18inp\.txt lacks the variables HPE, OSA"):
        read([data, beside])


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda lines: [lines[0], lines[1][:-3], lines[2], lines[3][:9]], "2 of 4 lines .* line 2, with {short}"),
        (lambda lines: [*lines[:3], lines[3] + "7"], "1 of 4 lines .* line 4, with {long}"),
        (lambda lines: [*lines[:2], "", *lines[2:]], "1 of 5 lines .* line 3, with 0"),
        (lambda lines: [line[:-1] for line in lines], "4 of 4 lines have not the {length} characters that ed18inp"),
        (lambda lines: ["x" * 6 + lines[0][6:].replace("1004", "1 04"), *lines[1:]], r"line 1: TEMPF \(columns .* num"),
        (lambda lines: [*lines[:3], lines[3].replace("02480.50000", "02,80.50000")], r"line 4: PATWT .* is not a num"),
        (lambda lines: [], "ed2018 is empty"),
    ],
)  # fmt: skip
def test_damaged_lines_are_refused_and_counted(tmp_path: Path, damage: Any, told: str) -> None:
    length = len(record(PLAIN))
    data, beside = written(tmp_path, [PLAIN] * 4)
    data.write_text("".join(line + "\n" for line in damage(data.read_text().splitlines())))
    with pytest.raises(SurveyError, match=told.format(length=length, short=length - 3, long=length + 1)):
        read([data, beside])


def test_blanks_after_the_last_column_are_no_damage(tmp_path: Path) -> None:
    data, beside = written(tmp_path, [PLAIN])
    data.write_text(data.read_text().rstrip("\n") + "   \n")
    assert read([data, beside]) == visits_of([{}])


@pytest.mark.parametrize(
    ("cell", "informat", "value"),
    [
        ("02480.50000", "11.5", 2480.5),
        ("  248050000", "11.5", 2480.5),
        ("-09", "3.", -9),
        (" -9", "3.", -9),
        ("  7", "3.", 7),
        ("   ", "3.", None),
        ("  .", "3.", None),
        ("0815", "$CHAR4.", "0815"),
        ("    ", "$4.", None),
    ],
)
def test_a_cell_is_what_sas_reads(tmp_path: Path, cell: str, informat: str, value: object) -> None:
    (tmp_path / "columns.sas").write_text(f"data a; infile b; input @ 2 thing {informat};")
    (tmp_path / "ed2018").write_text(f"x{cell}\n")
    layout = read_layout(tmp_path / "columns.sas")
    assert list(read_records(tmp_path / "ed2018", layout, ["THING"])) == [{"THING": value}]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("LABEL AGE='Age';", "holds no SAS INPUT statement"),
        ("/* INPUT @1 AGE 3.; */", "holds no SAS INPUT statement"),
        ("INPUT @1 AGE 3.", "holds no SAS INPUT statement"),
        ("INPUT ;", "lays out no columns"),
        ("INPUT @1 AGE 3. @4 SEX 1 @5 YEAR 4.;", "'@4 SEX 1 @5 YEAR 4.' is no column"),
        ("INPUT AGE 1-3;", "'AGE 1-3' is no column"),
        ("INPUT @1 DAY MMDDYY8.;", "'@1 DAY MMDDYY8.' is no column"),
        ("INPUT @0 AGE 3.;", "'@0 AGE 3.' is no column"),
        ("INPUT @1 AGE 3. #2 @1 SEX 1.;", "'#2 @1 SEX 1.' is no column"),
    ],
)
def test_a_program_that_is_not_understood_is_refused(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "ed18inp.txt").write_text(text)
    with pytest.raises(SurveyError, match=re.escape(told)):
        read_layout(tmp_path / "ed18inp.txt")


def test_a_year_in_two_files_is_refused(tmp_path: Path) -> None:
    """CDC publishes each year in several formats; a folder that holds two of them would count its visits twice."""
    data, beside = written(tmp_path, [PLAIN])
    (tmp_path / "ED2018.txt").write_bytes(data.read_bytes())
    with pytest.raises(SurveyError, match=r"ed2018 and ED2018\.txt hold visits of the same year"):
        read([data, tmp_path / "ED2018.txt", beside])
    (tmp_path / "ed19inp.txt").write_bytes(beside.read_bytes())
    (tmp_path / "ed2019").write_text(record({**PLAIN, "YEAR": 2019}) + "\n")
    assert [visit.year for visit in read([data, tmp_path / "ed2019", beside, tmp_path / "ed19inp.txt"])] == [2018, 2019]


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ed2018.csv").write_text("AGE,SEX\n")
    with pytest.raises(SurveyError, match=r"ed2018\.csv has none of the formats"):
        read([tmp_path / "ed2018.csv"])
