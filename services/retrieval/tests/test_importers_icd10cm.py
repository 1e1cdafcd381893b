"""ICD-10-CM's tabular list: every code with its notes, its year and its days; and what is not the list."""

# ruff: noqa: E501  the list is written as it comes

import gzip
import lzma
import re
from datetime import date
from zipfile import ZipFile

import pytest
from retrieval.importers.icd10cm import Icd10CmTabular
from retrieval.importers.records import RecordRefused
from retrieval.ingest import ingest
from service_contracts.evidence import PassageQuery

TABULAR = """<?xml version="1.0" encoding="utf-8"?><ICD10CM.tabular><version>{year}</version>
<introduction><introSection><title>Title</title></introSection></introduction>
<chapter><name>4</name><desc>Endocrine diseases (E00-E89)</desc><excludes1><note>neonatal disorders (P70-P74)</note></excludes1>
<sectionIndex><sectionRef first="E08" last="E13" id="E08-E13">Diabetes mellitus</sectionRef></sectionIndex>
<section id="E08-E13"><desc>Diabetes mellitus (E08-E13)</desc>
<diag><name>E11</name><desc>Type 2 diabetes mellitus</desc><includes><note>diabetes NOS</note></includes>
<useAdditionalCode><note>code to identify control using:</note><note>insulin (Z79.4)</note></useAdditionalCode>
<excludes1><note>type 1 diabetes mellitus (E10.-)</note></excludes1>
<diag><name>E11.2</name><desc>Type 2 diabetes with kidney complications</desc>
<diag><name>E11.21</name><desc>Type 2 diabetes with nephropathy</desc>
<inclusionTerm><note>Kimmelstiel-Wilson disease</note></inclusionTerm></diag></diag></diag>
<diag><name>E12</name><desc>Other</desc><codeFirst><note>cause</note></codeFirst><codeAlso><note>more</note></codeAlso>
<excludes2><note>E14</note></excludes2><notes><note>Mind this.</note></notes>
<sevenChrNote><note>one is needed</note></sevenChrNote>
<sevenChrDef><extension char="A">initial</extension><extension char="D">later</extension></sevenChrDef></diag>
</section></chapter></ICD10CM.tabular>"""


def written(folder, name="icd10cm-tabular-April-1-2026.xml", year="2026"):
    path = folder / name
    data = TABULAR.format(year=year).encode()
    pack = {".xz": lzma.compress, ".gz": gzip.compress}.get(path.suffix, bytes)
    path.write_bytes(pack(data))
    return path


def documents(path, **dates):
    importer = Icd10CmTabular(**dates)
    return {one.key: one for one in (record.convert() for record in importer.records(path))}


def test_each_code_is_a_passage_with_its_notes(tmp_path):
    found = documents(written(tmp_path))
    assert list(found) == ["icd-10-cm/E11", "icd-10-cm/E12", "icd-10-cm/block-E08-E13", "icd-10-cm/chapter-4"]
    category = found["icd-10-cm/E11"]
    assert (category.kind, category.source.title) == ("code-system", "ICD-10-CM: E11 Type 2 diabetes mellitus")
    assert [(one.id, one.section, one.text) for one in category.passages] == [
        (
            "icd-10-cm/E11",
            "E11",
            "E11 Type 2 diabetes mellitus\nIncludes: diabetes NOS\n"
            "Use additional code: code to identify control using:; insulin (Z79.4)\n"
            "Excludes1 (not coded here): type 1 diabetes mellitus (E10.-)",
        ),
        ("icd-10-cm/E11.2", "E11.2", "E11.2 Type 2 diabetes with kidney complications"),
        (
            "icd-10-cm/E11.21",
            "E11.21",
            "E11.21 Type 2 diabetes with nephropathy\nInclusion terms: Kimmelstiel-Wilson disease",
        ),
    ]
    assert found["icd-10-cm/E12"].passages[0].text.split("\n")[1:] == [
        "Code first: cause",
        "Code also: more",
        "Excludes2 (not included here, may be coded as well): E14",
        "Note: Mind this.",
        "7th character: one is needed",
        "7th character is one of: A initial; D later",
    ]
    assert found["icd-10-cm/chapter-4"].passages[0].text == (
        "Endocrine diseases (E00-E89)\nExcludes1 (not coded here): neonatal disorders (P70-P74)"
    )


@pytest.mark.parametrize(
    ("name", "year", "dates", "version", "begins", "ends"),
    [
        ("icd10cm-tabular-April-1-2026.xml", "2026", {}, "2026, from 2026-04-01", (2026, 4, 1), (2026, 10, 1)),
        ("icd10c-tabular-April-1-2026.xml.xz", "2026", {}, "2026, from 2026-04-01", (2026, 4, 1), (2026, 10, 1)),
        ("icd10cm_tabular_2025.xml.gz", "2025", {}, "2025, from 2024-10-01", (2024, 10, 1), (2025, 10, 1)),
        (
            "tabular.xml", "2026", {"effective_from": date(2026, 1, 1), "superseded_on": date(2028, 1, 1)},
            "2026, from 2026-01-01", (2026, 1, 1), (2028, 1, 1),
        ),
    ],
)  # fmt: skip
def test_a_year_of_codes_holds_from_october_or_from_the_day_of_its_update(
    tmp_path, name, year, dates, version, begins, ends
):
    source = documents(written(tmp_path, name, year), **dates)["icd-10-cm/E11"].source
    assert (source.version, source.publisher, source.identifier) == (
        version, "CDC/NCHS", "http://hl7.org/fhir/sid/icd-10-cm"
    )  # fmt: skip
    assert (source.effective_from, source.superseded_on) == (date(*begins), date(*ends))


def test_other_dates_are_another_reading():
    assert Icd10CmTabular().name == "icd-10-cm" != Icd10CmTabular(date(2026, 1, 1)).name


def test_the_zip_that_is_offered_is_read(tmp_path):
    with ZipFile(tmp_path / "icd10cm-table-index-April-1-2026.zip", "w") as made:
        made.writestr("Table and Index/icd10cm-tabular-April-1-2026.xml", TABULAR.format(year="2026"))
        made.writestr("Table and Index/icd10cm-index-April-1-2026.xml", "<ICD10CM.index/>")
    (path,) = Icd10CmTabular().inputs(tmp_path)
    assert documents(path)["icd-10-cm/E11"].source.effective_from == date(2026, 4, 1)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("<ICD10CM.index><version>2026</version><letter/></ICD10CM.index>", "not ICD-10-CM's tabular list"),
        (TABULAR.replace("ICD10CM.tabular", "tabular").format(year="2026"), "not ICD-10-CM's tabular list"),
        (TABULAR.format(year="next"), "not a year"),
        (TABULAR.format(year="2026").replace("<diag>", "<diag", 1), "not well-formed"),
        (TABULAR.format(year="2026")[:700], "not well-formed"),
        ("", "not well-formed"),
        ('<!DOCTYPE x [<!ENTITY e "e">]>' + TABULAR.format(year="2026").split("?>")[1], "entities"),
    ],
)
def test_what_is_not_the_list_is_refused(tmp_path, content, why):
    path = tmp_path / "tabular.xml"
    path.write_text(content)
    with pytest.raises(RecordRefused, match=why):
        documents(path)


async def test_every_code_of_the_real_list_is_there_and_found_by_its_words(index, open_data):
    folder = open_data("coding") / "icd10cm_2026"
    (path,) = Icd10CmTabular().inputs(folder)
    raw = lzma.decompress(path.read_bytes()).decode()
    codes = re.findall(r"<diag[^>]*>\s*<name>([^<]+)</name>", raw)
    report = await ingest(index, Icd10CmTabular(), path)
    assert report.refused == [] and report.counts.replaced == 0 and len(codes) > 40_000
    assert {one.section for one in index.store.passages()} >= set(codes)
    await index.refresh()

    async def first(text, as_of=date(2026, 5, 1)):
        query = PassageQuery(text=text, as_of=as_of, limit=1, budget_ms=5000, source_kinds=("code-system",))
        return [(one.source.section, one.source.version) for one in await index.passages(query)]

    assert await first("Kimmelstiel-Wilson disease type 2") == [("E11.21", "2026, from 2026-04-01")]
    assert await first("gestational diabetes in childbirth insulin controlled") == [
        ("O24.424", "2026, from 2026-04-01")
    ]
    # No year's codes are used before it begins, or after the next one has.
    assert await first("diabetes", date(2026, 3, 31)) == await first("diabetes", date(2026, 10, 1)) == []
    assert (await ingest(index, Icd10CmTabular(), path)).skipped > 2000
