"""The importers on small inputs: every shape that is read, and what is refused with which words."""

# ruff: noqa: E501  small inputs are written as they come, a record a line

import json
import lzma
from datetime import date

import pytest
from retrieval.importers.dailymed_spl import DailyMedLabels, parse_spl
from retrieval.importers.formularies import FhirFormularies
from retrieval.importers.guidelines import GuidelinePages, Provenance
from retrieval.importers.openfda import OpenFdaLabels
from retrieval.importers.records import RecordRefused, read_limited

META = {
    "brand_name": ["Testor"],
    "generic_name": ["TESTADRINE HYDROCHLORIDE"],
    "substance_name": ["TESTADRINE HYDROCHLORIDE"],
    "manufacturer_name": ["Maker"],
    "route": ["ORAL"],
    "rxcui": ["1", "2"],
    "spl_id": ["doc-1"],
    "spl_set_id": ["set-1"],
}
TEXT = "The maximum daily dose is 40 mg."


def convert(importer, path):
    return [record.convert() for one in importer.inputs(path) for record in importer.records(one)]


def one_label(tmp_path, content, name="labels.jsonl"):
    path = tmp_path / name
    path.write_text(content)
    (document,) = convert(OpenFdaLabels(), path)
    return document


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "api.json",
            {"meta": {}, "results": [{"openfda": META, "dosage_and_administration": [TEXT], "set_id": "set-1"}]},
        ),
        ("lines.jsonl", {"openfda": META, "dosage_and_administration": [TEXT]}),
        ("lines.jsonl", {"query": "testadrine", "label": {"openfda": META, "dosage_and_administration": [TEXT]}}),
        ("lines.jsonl", {"drug_name": "T", "sections": {"dosage_and_administration": TEXT}, "openfda_meta": META}),
    ],
)
def test_a_label_is_read_in_each_of_its_shapes(tmp_path, name, content):
    document = one_label(tmp_path, json.dumps(content), name)
    assert (document.key, document.kind, document.source.publisher) == ("label/set-1", "label", "Maker")
    assert (document.source.identifier, document.source.title) == ("set-1", "Testor / Testadrine Hydrochloride: label")
    assert [(fact.body.ingredient, fact.statement) for fact in document.facts] == [("testadrine", TEXT)]
    assert {name.name: name.ingredients for name in document.names} == {
        "testor": ("testadrine",),
        "testadrine hydrochloride": ("testadrine",),
    }


def test_dates_and_version_of_a_label_are_its_own(tmp_path):
    raw = {"openfda": META, "dosage_and_administration": [TEXT], "effective_time": "20240115", "version": "7"}
    source = one_label(tmp_path, json.dumps(raw)).source
    assert (source.version, source.effective_from, source.published) == ("7", date(2024, 1, 15), date(2024, 1, 15))


def test_a_label_that_does_not_say_what_it_holds_has_passages_and_no_facts(tmp_path):
    document = one_label(tmp_path, json.dumps({"query": "testadrine", "label": {"dosage_and_administration": [TEXT]}}))
    assert (document.facts, document.names, len(document.passages)) == ((), (), 1)
    assert document.source.identifier == "openfda-label-query:testadrine"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "not JSON"),
        ("[]", "not a label"),
        ('{"label": 3}', "not a label"),
        ("{}", "not a label"),
        (json.dumps({"dosage_and_administration": [TEXT]}), "without set id"),
        (json.dumps({"openfda": [], "dosage_and_administration": [TEXT], "set_id": "x"}), "without"),
    ],
)
def test_a_line_that_is_no_label_is_refused_with_the_reason(tmp_path, line, why):
    path = tmp_path / "x.jsonl"
    path.write_text(line)
    if why == "without":
        assert convert(OpenFdaLabels(), path)[0].facts == ()
        return
    with pytest.raises(RecordRefused, match=why):
        convert(OpenFdaLabels(), path)


def test_compressed_lines_are_read_and_damaged_ones_refused(tmp_path):
    path = tmp_path / "labels.jsonl.xz"
    path.write_bytes(lzma.compress(json.dumps({"openfda": META, "warnings": ["w"]}).encode()))
    assert len(convert(OpenFdaLabels(), path)) == 1
    path.write_bytes(b"not xz")
    with pytest.raises(RecordRefused, match="damaged"):
        convert(OpenFdaLabels(), path)


SPL = """<?xml version="1.0"?>
<document xmlns="urn:hl7-org:v3"><id root="d1"/><effectiveTime value="20240301"/><setId root="set-9"/>
<versionNumber value="4"/><author><assignedEntity><representedOrganization><name>Maker</name></representedOrganization>
</assignedEntity></author><component><structuredBody>
<component><section><subject><manufacturedProduct><manufacturedProduct><name>Testor</name>
<asEntityWithGeneric><genericMedicine><name>testadrine hydrochloride</name></genericMedicine></asEntityWithGeneric>
<ingredient classCode="ACTIB"><ingredientSubstance><name>TESTADRINE HYDROCHLORIDE</name><activeMoiety><activeMoiety>
<name>TESTADRINE</name></activeMoiety></activeMoiety></ingredientSubstance></ingredient>
<ingredient classCode="IACT"><ingredientSubstance><name>STARCH</name></ingredientSubstance></ingredient>
</manufacturedProduct><consumedIn><substanceAdministration><routeCode code="C38288" displayName="ORAL"/>
</substanceAdministration></consumedIn></manufacturedProduct></subject></section></component>
<component><section><code code="34068-7"/><title>2 DOSAGE</title><text><paragraph>{text}</paragraph>
<list><item>One</item><item>Two</item></list></text><component><section><code code="42229-5"/><text>More.</text></section>
</component></section></component></structuredBody></component></document>"""


def test_spl_tells_product_ingredient_version_and_sections():
    label = parse_spl(SPL.format(text=TEXT).encode())
    assert (label.set_id, label.version, label.effective_from) == ("set-9", "4", date(2024, 3, 1))
    assert (label.ingredients, label.names) == (("testadrine",), ("testor", "testadrine hydrochloride"))
    assert (label.publisher, label.routes) == ("Maker", ("oral",))
    assert label.sections == {"dosage_and_administration": f"2 DOSAGE {TEXT} • One • Two More."}


def test_spl_makes_a_document_with_facts(tmp_path):
    (tmp_path / "a.xml").write_text(SPL.format(text=TEXT + " Take it with food."))
    (document,) = convert(DailyMedLabels(), tmp_path)
    assert document.key == "label/set-9"
    assert [name.name for name in document.names] == ["testor", "testadrine hydrochloride"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (
            b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><document xmlns="urn:hl7-org:v3">&e;</document>',
            "DTD",
        ),
        (b"<document", "not well-formed"),
        (b"<html/>", "not an SPL document"),
        (b'<document xmlns="urn:hl7-org:v3"/>', "without set id"),
        (b'<document xmlns="urn:hl7-org:v3"><setId root="x"/></document>', "without any section"),
    ],
)
def test_xml_that_is_no_label_or_reaches_outside_is_refused(data, why):
    with pytest.raises(RecordRefused, match=why):
        parse_spl(data)


def test_xml_nested_without_end_is_refused():
    deep = b"<document xmlns='urn:hl7-org:v3'>" + b"<a>" * 5000 + b"</a>" * 5000 + b"</document>"
    with pytest.raises(RecordRefused):
        parse_spl(deep)


def test_a_file_beyond_the_limit_is_refused_unread(tmp_path):
    path = tmp_path / "big"
    path.write_bytes(b"x" * 100)
    with pytest.raises(RecordRefused, match="100 bytes are more than the limit of 10"):
        read_limited(path, 10)
    with pytest.raises(RecordRefused, match="cannot be read"):
        read_limited(tmp_path / "none")


USDF = "http://hl7.org/fhir/us/davinci-drug-formulary/StructureDefinition/usdf-"


def formulary(folder, *, status="active", drug="Drug-1", **flags):
    folder.mkdir(exist_ok=True)
    plan = {
        "resourceType": "InsurancePlan", "id": "Formulary-P1", "name": "Plan One", "meta": {"lastUpdated": "2022-02-09"},
        "type": [{"coding": [{"code": "DRUGPOL"}]}], "period": {"start": "2022-01-01", "end": "2022-12-31"},
    }  # fmt: skip
    name = "acetaminophen 325 MG / oxycodone hydrochloride 5 MG Oral Tablet [Percocet]"
    code = {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "1049640", "display": name}]}
    item = {
        "resourceType": "Basic", "id": "item-1", "subject": {"reference": f"MedicationKnowledge/{drug}"},
        "extension": [
            {"url": f"{USDF}FormularyReference-extension", "valueReference": {"reference": "InsurancePlan/Formulary-P1"}},
            {"url": f"{USDF}AvailabilityStatus-extension", "valueCode": status},
            {"url": f"{USDF}DrugTierID-extension", "valueCodeableConcept": {"coding": [{"display": "Generic"}]}},
            *({"url": f"{USDF}{key}-extension", "valueBoolean": value} for key, value in flags.items()),
        ],
    }  # fmt: skip
    drugs = {"resourceType": "MedicationKnowledge", "id": "Drug-1", "code": code}
    for name, resource in (("InsurancePlan", plan), ("MedicationKnowledge", drugs), ("Basic", item)):
        (folder / f"{name}.ndjson").write_text(json.dumps(resource) + "\n")
    return {"resourceType": "Bundle", "entry": [{"resource": one} for one in (item, drugs, plan)]}


def test_a_formulary_is_one_document_in_force_for_its_plan_year(tmp_path):
    formulary(tmp_path / "plan", PriorAuthorization=True, StepTherapyLimit=False, QuantityLimit=True)
    (document,) = convert(FhirFormularies(), tmp_path)
    assert (document.key, document.source.effective_from) == ("formulary/Formulary-P1", date(2022, 1, 1))
    assert document.source.superseded_on == date(2023, 1, 1)
    (fact,) = document.facts
    body = fact.body
    assert (body.plan, body.rxcui, body.tier, body.covered) == ("Formulary-P1", "1049640", "Generic", True)
    assert (body.prior_authorization, body.step_therapy, body.quantity_limit) == (True, False, True)
    assert fact.statement.startswith("Plan One lists acetaminophen 325 MG") and "prior authorization" in fact.statement
    assert ("percocet", ("acetaminophen", "oxycodone")) in [(one.name, one.ingredients) for one in document.names]


def test_a_drug_that_is_not_available_is_not_covered(tmp_path):
    formulary(tmp_path / "plan", status="inactive")
    (document,) = convert(FhirFormularies(), tmp_path)
    assert not document.facts[0].body.covered
    assert "does not list" in document.facts[0].statement


def test_a_formulary_may_come_as_a_bundle_in_any_order(tmp_path):
    (tmp_path / "bundle.json").write_text(json.dumps(formulary(tmp_path / "unused")))
    (document,) = convert(FhirFormularies(), tmp_path / "bundle.json")
    assert len(document.facts) == 1


def test_a_formulary_that_is_incomplete_is_refused_whole(tmp_path):
    formulary(tmp_path / "plan", drug="Drug-2")
    with pytest.raises(RecordRefused, match="a drug that is not there"):
        convert(FhirFormularies(), tmp_path)
    (tmp_path / "plan" / "Basic.ndjson").unlink()
    with pytest.raises(RecordRefused, match=r"Basic\.ndjson is missing"):
        convert(FhirFormularies(), tmp_path)


CDC = Provenance("CDC", version="2022", effective_from=date(2022, 11, 3))


def test_html_is_read_by_its_headings_without_scripts(tmp_path):
    (tmp_path / "page.html").write_text(
        "<html><head><title>Opioids</title><script>alert('x')</script></head><body><nav>Menu</nav><h1>Start</h1>"
        "<p>Use the <b>lowest</b> dose.</p><h2>Then</h2><ul><li><p>Taper</p> slowly.</li></ul></body></html>"
    )
    (document,) = convert(GuidelinePages(CDC), tmp_path)
    assert [(one.section, one.text) for one in document.passages] == [
        ("Start", "Use the lowest dose."),
        ("Then", "Taper slowly."),
    ]
    source = document.source
    assert (source.title, source.publisher, source.version) == ("Opioids", "CDC", "2022")
    assert source.effective_from == date(2022, 11, 3)


def test_text_is_read_by_its_headings_and_without_line_numbers(tmp_path):
    (tmp_path / "page.md").write_text("Intro.\n\n# First\n\nOne.\n\n## Second\n\nTwo.")
    (tmp_path / "draft.txt").write_text(" 1      Use the lowest dose.\n 2      Taper slowly.\n")
    draft, page = convert(GuidelinePages(CDC), tmp_path)
    assert [one.text for one in draft.passages] == ["Use the lowest dose. Taper slowly."]
    assert [(one.section, one.text) for one in page.passages] == [
        ("page", "Intro."),
        ("First", "One."),
        ("Second", "Two."),
    ]


def plan_definition(**more):
    return json.dumps(
        {"resourceType": "PlanDefinition", "url": "http://x/1", "version": "3", "title": "Rec 1", "status": "active",
         "publisher": "Own", "effectivePeriod": {"start": "2020-01-01", "end": "2024-12-31"}, "description": "About.",
         "action": [{"title": "Ask", "description": "Ask first", "action": [{"description": "Then act"}]}]} | more
    )  # fmt: skip


def test_a_plan_definition_says_its_own_version_and_dates(tmp_path):
    (tmp_path / "p.json").write_text(plan_definition())
    (document,) = convert(GuidelinePages(CDC), tmp_path)
    source = document.source
    assert (source.publisher, source.version, source.identifier) == ("Own", "3", "http://x/1")
    assert (source.effective_from, source.superseded_on) == (date(2020, 1, 1), date(2024, 12, 31))
    assert [one.text for one in document.passages] == ["About.", "Ask. Ask first", "Then act"]


def test_a_retired_plan_definition_is_superseded_or_refused(tmp_path):
    path = tmp_path / "p.json"
    path.write_text(plan_definition(status="retired", effectivePeriod={}, date="2023-05-01"))
    assert convert(GuidelinePages(CDC), tmp_path)[0].source.superseded_on == date(2023, 5, 1)
    path.write_text(plan_definition(status="retired", effectivePeriod={}))
    with pytest.raises(RecordRefused, match="since when"):
        convert(GuidelinePages(CDC), tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"resourceType": "Patient"}'])
def test_json_that_is_no_plan_definition_is_refused(tmp_path, content):
    (tmp_path / "p.json").write_text(content)
    with pytest.raises(RecordRefused, match="JSON"):
        convert(GuidelinePages(CDC), tmp_path)
