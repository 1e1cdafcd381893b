"""Formularies of many plans: CMS's marketplace files, FHIR bulk exports, and what a FHIR server gives page by page."""

import gzip
import io
import json
import resource
from datetime import date

import pytest
from retrieval.importers.formularies import FhirFormularies
from retrieval.importers.long_json import json_items
from retrieval.importers.qhp import QhpFormularies
from retrieval.importers.records import RecordRefused
from retrieval.importers.spool import Spool
from retrieval.ingest import count, ingest
from retrieval.starter import load_starter
from service_contracts.evidence import EvidenceQuery, Subject, SubjectKind
from service_contracts.quantity import Coding

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
USDF = "http://hl7.org/fhir/us/davinci-drug-formulary/StructureDefinition/usdf-"
FLAGS = ("prior_authorization", "step_therapy", "quantity_limit")
PLAN = "12345XX9876543"


def documents(importer, path):
    return [record.convert() for one in importer.inputs(path) for record in importer.records(one)]


def refusals(importer, path):
    found = []
    for one in importer.inputs(path):
        for record in importer.records(one):
            try:
                record.convert()
            except RecordRefused as refusal:
                found.append(f"{record.place}: {refusal}")
    return found


def drug(rxcui="209459", name="Acetaminophen 500 MG Oral Tablet", plan=PLAN, **more):
    entry = {
        "plan_id_type": "HIOS-PLAN-ID", "plan_id": plan, "drug_tier": "GENERIC", "prior_authorization": True,
        "step_therapy": False, "quantity_limit": True, "years": [2026],
    }  # fmt: skip
    return {"rxnorm_id": rxcui, "drug_name": name, "plans": [entry | more]}


def qhp(folder, *files, plans=(), index=True):
    folder.mkdir(exist_ok=True)
    named = {f"drugs-{n}.json": drugs for n, drugs in enumerate(files, start=1)}
    for name, drugs in named.items():
        (folder / name).write_text(json.dumps(drugs))
    (folder / "plans.json").write_text(
        json.dumps(list(plans) or [{"plan_id": PLAN, "marketing_name": "Gold", "years": [2026]}])
    )
    if index:
        urls = {
            "formulary_urls": [f"https://issuer.example/x/{name}" for name in named],
            "plan_urls": ["https://issuer.example/plans.json"],
            "provider_urls": ["https://issuer.example/providers.json"],
        }
        (folder / "index.json").write_text(json.dumps(urls))
    return folder


def test_every_entry_of_the_published_samples_is_read_exactly(open_data):
    folder = open_data("formulary") / "qhp"
    found = documents(QhpFormularies(), folder)
    facts = {
        (body.plan, body.rxcui, body.drug): (
            body.tier,
            body.prior_authorization,
            body.step_therapy,
            body.quantity_limit,
        )
        for document in found
        for body in (fact.body for fact in document.facts)
    }
    expected = {
        (plan["plan_id"], one["rxnorm_id"], one["drug_name"]): (
            plan["drug_tier"], *(plan[name] for name in FLAGS)
        )
        for file in ("drugs-1.json", "drugs-2.json")
        for one in json.loads((folder / file).read_text())
        for plan in one["plans"]
    }  # fmt: skip
    assert facts == expected and len(expected) > 5
    assert {document.source.title for document in found} >= {"Vandelay Insurance Gold Health Plan: drug formulary"}
    assert {(one.version, one.source.effective_from, one.source.superseded_on) for one in found} == {
        ("2020", date(2020, 1, 1), date(2021, 1, 1))
    }


async def test_a_marketplace_plan_answers_by_its_id_and_the_rxnorm_code(index, tmp_path):
    folder = qhp(tmp_path / "issuer", [drug("1", "Acetaminophen 325 MG Oral Tablet")], [drug("209459")])
    report = await ingest(index, QhpFormularies(), folder)
    assert (report.counts.added, report.facts, report.refused) == (1, 2, [])
    await index.refresh()
    tylenol = Subject(kind=SubjectKind.DRUG, text="acetaminophen", codes=(Coding(system=RXNORM, code="209459"),))
    await load_starter(index)
    await index.refresh()
    for as_of, codes in ((date(2026, 6, 1), ["209459"]), (date(2027, 1, 1), [])):
        query = EvidenceQuery(subjects=(tylenol,), as_of=as_of, plan=PLAN, budget_ms=1000)
        evidence = await index.evidence(query)
        assert [one.body.rxcui for one in evidence.facts if one.body.kind == "formulary-status"] == codes
    assert (await ingest(index, QhpFormularies(), folder)).skipped == 1
    (folder / "drugs-1.json").write_text(json.dumps([]))
    assert (await ingest(index, QhpFormularies(), folder)).counts.replaced == 1


def test_a_drug_of_several_years_stands_in_the_document_of_each(tmp_path):
    folder = qhp(tmp_path / "issuer", [drug(years=[2026, 2027])])
    assert [(one.key, one.version) for one in documents(QhpFormularies(), folder)] == [
        (f"formulary/{PLAN}", "2026"),
        (f"formulary/{PLAN}", "2027"),
    ]


def test_the_same_code_with_other_words_is_said_twice(tmp_path):
    folder = qhp(tmp_path / "issuer", [drug(), drug(), drug(drug_tier="BRAND")])
    (document,) = documents(QhpFormularies(), folder)
    assert [(fact.id.rsplit("/", 1)[1], fact.body.tier) for fact in document.facts] == [
        ("209459", "GENERIC"),
        ("209459-2", "BRAND"),
    ]


def test_what_an_issuer_calls_a_drug_never_passes_for_an_ingredient(tmp_path):
    (document,) = documents(QhpFormularies(), qhp(tmp_path / "issuer", [drug(name="LIALDA 1.2 MG TABLET")]))
    assert document.names == ()


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (drug(rxcui=""), "no RxNorm id"),
        (drug(name=""), "without name or plans"),
        ({"rxnorm_id": "1", "drug_name": "x", "plans": 3}, "without name or plans"),
        (drug(plan="../x"), "a plan without id"),
        (drug(step_therapy="no"), "does not say all of"),
        (drug(plan="11111XX0000001", years=None), "for which years"),
    ],
)
def test_entries_that_do_not_say_all_are_left_out_and_reported(tmp_path, entry, why):
    folder = qhp(tmp_path / "issuer", [entry, drug()])
    (said,) = refusals(QhpFormularies(), folder)
    assert said.startswith("drugs-1.json: 1 entries: left out: ") and why in said


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda folder: (folder / "drugs-1.json").unlink(), "names drugs-1.json, which is not beside it"),
        (lambda folder: (folder / "index.json").write_text("{}"), r"index\.json without"),
        (lambda folder: (folder / "index.json").write_text('{"plan_urls": [], "formulary_urls": []}'), "no file of"),
        (
            lambda folder: (folder / "index.json").write_text(
                '{"plan_urls": [], "formulary_urls": ["https://a/drugs-1.json", "https://b/drugs-1.json"]}'
            ),
            "called the same",
        ),
        (
            lambda folder: (folder / "index.json").write_text('{"plan_urls": [], "formulary_urls": ["file:///../.."]}'),
            "not beside it",
        ),
        (lambda folder: (folder / "drugs-1.json").write_text('[{"rxnorm_id": '), "not JSON"),
        (lambda folder: (folder / "drugs-1.json").write_bytes(b'[{"drug_name": "\xff\xfe"}]'), "not JSON"),
        (lambda folder: (folder / "drugs-1.json").write_text("[1]"), "not a list of objects"),
        (lambda folder: (folder / "drugs-1.json").write_text('[{"a": ' + "[" * 100_000), "nested without end"),
        (lambda folder: (folder / "drugs-1.json").write_text('[{"]]]": ' + '["]",' * 100_000), "nested without end"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused_whole(tmp_path, spoil, why):
    folder = qhp(tmp_path / "issuer", [drug()])
    spoil(folder)
    with pytest.raises(RecordRefused, match=why):
        documents(QhpFormularies(), folder)


def test_a_file_of_drugs_alone_is_refused_with_what_to_do(tmp_path):
    folder = qhp(tmp_path / "issuer", [drug()])
    with pytest.raises(RecordRefused, match="name the folder"):
        QhpFormularies().count(folder / "drugs-1.json")
    assert QhpFormularies().inputs(folder / "index.json") == [folder]
    (folder / "index.json").unlink()
    assert len(documents(QhpFormularies(), tmp_path)) == 1


def test_a_long_list_is_read_without_holding_it(tmp_path):
    folder = qhp(tmp_path / "issuer", [])
    with (folder / "drugs-1.json").open("w") as out:
        pass
    (folder / "index.json").write_text(json.dumps({"formulary_urls": ["https://a.example/long.json"], "plan_urls": []}))
    entry = json.dumps(drug() | {"filler": "x" * 4000})
    with (folder / "long.json").open("w") as out:
        out.write("[" + ",".join([entry] * 8_000) + "]")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (document,) = documents(QhpFormularies(), folder)
    assert len(document.facts) == 1
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert (folder / "long.json").stat().st_size > 30_000_000 and grown_kb < 20_000


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1 << 16])
def test_brackets_in_texts_do_not_count_however_the_file_is_cut(size, monkeypatch):
    class Cut(io.BytesIO):
        def read(self, wanted=-1):
            return super().read(min(wanted, size) if wanted > 0 else size)

    rows = [{"a": '[[["' + "\\" * 3 + '"{{' * 40, "b": [[["]"]]]}, {"c": "\\"}, {"d": "]}" * 200}]
    assert list(json_items(Cut(json.dumps(rows).encode()), "item")) == rows
    with pytest.raises(RecordRefused, match="nested without end"):
        list(json_items(Cut(b'[{"]": ["]' + b"\\\\" + b'",' + b"[" * 200), "item"))


def test_a_text_without_end_is_refused():
    with pytest.raises(RecordRefused, match="a text of more than"):
        list(json_items(io.BytesIO(b'[{"a": "' + b'\\"' * 20_000_000), "item"))


def test_a_spool_gives_rows_back_by_key_in_their_order():
    with Spool() as spool:
        for number in range(12_000):
            spool.put(f"k{number % 3}", number)
        assert spool.keys() == ["k0", "k1", "k2"]
        assert list(spool.rows("k1")) == list(range(1, 12_000, 3))


def plan(number, **more):
    return {
        "resourceType": "InsurancePlan", "id": f"F{number}", "name": f"Plan {number}", "status": "active",
        "type": [{"coding": [{"code": "DRUGPOL"}]}], "period": {"start": "2026-01-01", "end": "2026-12-31"},
    } | more  # fmt: skip


def item(number, of, about="D1"):
    reference = {"reference": f"InsurancePlan/{of}"}
    return {
        "resourceType": "Basic", "id": f"I{number}", "subject": {"reference": f"MedicationKnowledge/{about}"},
        "extension": [{"url": f"{USDF}FormularyReference-extension", "valueReference": reference}] if of else [],
    }  # fmt: skip


def medication(number=1):
    coding = {"system": RXNORM, "code": str(number), "display": "metformin hydrochloride 500 MG Oral Tablet"}
    return {"resourceType": "MedicationKnowledge", "id": f"D{number}", "code": {"coding": [coding]}}


def lines(*resources):
    return "".join(json.dumps(one) + "\n" for one in resources)


def export(folder, plans, items, drugs=None):
    folder.mkdir(exist_ok=True)
    payer = {"resourceType": "InsurancePlan", "id": "payer", "type": [{"coding": [{"code": "mandpol"}]}]}
    (folder / "InsurancePlan-0001.ndjson").write_text(lines(payer, *plans))
    (folder / "1.MedicationKnowledge.ndjson").write_text(lines(*(drugs or [medication()])))
    (folder / "Basic.000.ndjson").write_text(lines(*items[:1]))
    (folder / "Basic.001.ndjson.gz").write_bytes(gzip.compress(lines(*items[1:]).encode()))
    (folder / "Patient.ndjson").write_text("not read")
    return folder


def test_an_export_of_many_plans_is_a_document_each(tmp_path):
    folder = export(tmp_path / "export", [plan(1), plan(2)], [item(1, "F2"), item(2, "F1"), item(3, "F2")])
    assert FhirFormularies().count(folder) == 2
    found = documents(FhirFormularies(), tmp_path)
    assert [(one.key, [fact.id for fact in one.facts]) for one in found] == [
        ("formulary/F1", ["formulary/F1/I2"]),
        ("formulary/F2", ["formulary/F2/I1", "formulary/F2/I3"]),
    ]


def test_items_of_no_formulary_are_reported(tmp_path):
    folder = export(tmp_path / "export", [plan(1), plan(2)], [item(1, "F2"), item(2, None), item(3, "F9")])
    assert refusals(FhirFormularies(), folder) == [
        "export: items of no formulary: the formulary they belong to is not there",
        "export: items of F9: the formulary they belong to is not there",
    ]


@pytest.mark.parametrize(
    ("more", "until", "why"),
    [
        ({"status": "retired", "meta": {"lastUpdated": "2026-05-06T00:00:00Z"}}, date(2026, 5, 6), None),
        ({"status": "retired", "meta": {"lastUpdated": "2028-05-06T00:00:00Z"}}, date(2027, 1, 1), None),
        ({"status": "retired"}, None, "since when"),
        ({"status": "retired", "period": {}, "meta": {"lastUpdated": "2026-05-06T00:00:00Z"}}, date(2026, 5, 6), None),
        ({"status": "retired", "period": {}}, None, "since when"),
        ({"status": "draft"}, None, "its status is draft"),
        ({"id": ""}, None, "without id"),
    ],
)
def test_a_formulary_that_is_not_active_is_not_current(tmp_path, more, until, why):
    folder = export(tmp_path / "export", [plan(1, **more)], [item(1, None)])
    if why is None:
        assert documents(FhirFormularies(), folder)[0].source.superseded_on == until
    else:
        assert why in refusals(FhirFormularies(), folder)[0]


@pytest.mark.parametrize(
    ("more", "drug"),
    [
        ({"type": "DRUGPOL"}, {}),
        ({"type": [3]}, {}),
        ({"period": "2026"}, {}),
        ({"period": {"start": 20260101}}, {}),
        ({"name": {"a": 1}, "meta": []}, {}),
        ({"meta": 7}, {}),
        ({}, {"code": []}),
        ({}, {"code": {"coding": [{"display": 3}]}}),
        ({}, {"code": {"coding": "x"}}),
    ],
)
async def test_what_is_of_another_shape_is_refused_or_read_and_never_ends_the_run(index, tmp_path, more, drug):
    folder = export(tmp_path / "export", [plan(1, **more)], [item(1, "F1")], [medication() | drug])
    try:
        count(FhirFormularies(), folder)
    except RecordRefused as refusal:
        assert "not of the shape" in str(refusal)
    report = await ingest(index, FhirFormularies(), folder)
    assert report.counts.added + len(report.refused) == 1


def test_a_drug_without_a_name_is_refused_with_its_plans_alone(tmp_path):
    nameless = {"resourceType": "MedicationKnowledge", "id": "D2", "code": {}}
    items = [item(1, "F1", "D2"), item(2, "F2")]
    folder = export(tmp_path / "export", [plan(1), plan(2)], items, [medication(), nameless])
    assert refusals(FhirFormularies(), folder) == [
        "export: F1: item I1 is about a drug that is not there, or has no name"
    ]


@pytest.mark.parametrize(
    ("content", "why"),
    [("[1]\n", "not a resource"), ("{\n", "not JSON"), ("[" * 200_000 + "\n", "not JSON"), ("", "0 formularies")],
)
def test_an_export_that_is_damaged_is_refused_with_the_line(tmp_path, content, why):
    folder = export(tmp_path / "export", [plan(1)], [item(1, "F1")])
    (folder / "InsurancePlan-0001.ndjson").write_text(content)
    with pytest.raises(RecordRefused, match=why):
        documents(FhirFormularies(), folder)
