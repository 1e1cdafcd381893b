"""What every index does, whatever engine is behind it."""

import dataclasses
import random
from datetime import date

import pytest
from retrieval.index import Checkpoint, WriteCounts
from retrieval.meaning import embed
from service_contracts.evidence import FactKind, PassageQuery

pytestmark = pytest.mark.parametrize("engine", ["embedded", "opensearch"], indirect=True)


def passages_query(text, **more):
    return PassageQuery(text=text, budget_ms=1000, **more)


async def test_an_empty_index_knows_nothing_and_says_what_it_could_not_search(index, make):
    found = await index.evidence(make.query("metformin"))
    assert (found.facts, found.searched) == ((), ())
    assert found.resolved[0].ingredients == ()


async def test_what_is_written_is_found_after_a_refresh(index, make):
    before = index.version
    assert await index.write([make.document(facts=[make.dose()])]) == WriteCounts(added=1)
    assert (await index.evidence(make.query("metformin"))).facts == ()
    assert await index.refresh()
    found = await index.evidence(make.query("metformin"))
    assert [fact.id for fact in found.facts] == ["dose/metformin"]
    assert found.searched == (FactKind.DOSE_LIMIT,)
    assert found.index_version == index.version != before


async def test_another_reader_sees_it_too_without_opening_again(open_index, make):
    writer, reader = await open_index(), await open_index()
    await writer.write([make.document(facts=[make.dose()])])
    assert await reader.refresh()
    assert len((await reader.evidence(make.query("metformin"))).facts) == 1


async def test_nothing_new_is_no_refresh(index, make):
    await index.write([make.document(facts=[make.dose()])])
    await index.refresh()
    assert not await index.refresh()


async def test_the_same_document_again_changes_nothing(index, make):
    await index.write([make.document(facts=[make.dose()], passages=["one"])])
    await index.refresh()
    version = index.version
    assert await index.write([make.document(facts=[make.dose()], passages=["one"])]) == WriteCounts(unchanged=1)
    assert not await index.refresh()
    assert index.version == version


async def test_the_version_is_of_the_content_and_not_of_the_way_there(index, open_index, make):
    one, two = make.document("label/1", facts=[make.dose()]), make.document("label/2", facts=[make.dose("aspirin")])
    await index.write([one, two])
    await index.refresh()
    other = await open_index("other")
    await other.write([two])
    await other.write([one])
    await other.refresh()
    assert other.version == index.version


async def test_the_same_version_with_other_content_replaces_it(index, make):
    await index.write([make.document(facts=[make.dose(mg=2000)], passages=["old words"])])
    assert await index.write([make.document(facts=[make.dose(mg=2550)], passages=["new words"])]) == WriteCounts(
        replaced=1
    )
    await index.refresh()
    found = await index.evidence(make.query("metformin"))
    assert [fact.body.max_daily.value for fact in found.facts] == [2550]
    assert await index.passages(passages_query("old")) == []


@pytest.mark.parametrize(
    ("as_of", "mg"),
    [
        (date(2019, 12, 31), None),
        (date(2020, 1, 1), 2000),
        (date(2023, 6, 30), 2000),
        (date(2023, 7, 1), 2550),
        (date(2030, 1, 1), 2550),
    ],
)
async def test_evidence_is_what_was_in_force_on_the_day_asked_about(index, make, as_of, mg):
    older = make.document(version="1", facts=[make.dose(mg=2000)], effective_from=date(2020, 1, 1))
    newer = make.document(version="2", facts=[make.dose(mg=2550)], effective_from=date(2023, 7, 1))
    await index.write([newer, older])
    await index.refresh()
    found = await index.evidence(make.query("metformin", as_of=as_of))
    assert [fact.body.max_daily.value for fact in found.facts] == ([mg] if mg else [])
    if mg == 2000:
        assert found.facts[0].source.superseded_on == date(2023, 7, 1)


async def test_superseded_passages_are_never_current_however_well_they_match(index, make):
    older = make.document(
        version="1",
        kind="guideline",
        passages=["Opioids: ninety morphine equivalents"] * 1,
        effective_from=date(2016, 3, 1),
    )
    newer = make.document(
        version="2", kind="guideline", passages=["Use the lowest dose of opioids"], effective_from=date(2022, 11, 3)
    )
    await index.write([older, newer])
    await index.refresh()
    wanted = "ninety morphine equivalents opioids"
    assert [one.source.version for one in await index.passages(passages_query(wanted))] == ["2"]
    then = await index.passages(passages_query(wanted, as_of=date(2020, 1, 1)))
    assert [(one.source.version, one.source.superseded_on) for one in then] == [("1", date(2022, 11, 3))]
    assert await index.passages(passages_query(wanted, as_of=date(2015, 1, 1))) == []


async def test_a_document_that_ends_by_itself_is_not_current_after_its_last_day(index, make):
    await index.write([make.document(facts=[make.dose()], passages=["words"], superseded_on=date(2023, 1, 1))])
    await index.refresh()
    assert len((await index.evidence(make.query("metformin", as_of=date(2022, 12, 31)))).facts) == 1
    assert (await index.evidence(make.query("metformin", as_of=date(2023, 1, 1)))).facts == ()
    assert await index.passages(passages_query("words")) == []


async def test_passages_come_with_their_source_best_first_and_limited(index, make):
    texts = [
        "Metformin is contraindicated in severe renal impairment.",
        "Store metformin at room temperature.",
        "Aspirin",
    ]
    await index.write([make.document(passages=texts)])
    await index.refresh()
    found = await index.passages(passages_query("metformin renal impairment", limit=2))
    assert found[0].text == texts[0]
    assert found[0].source.publisher == "A maker"
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert len(found) == 2


async def test_passages_are_filtered_by_kind(index, make):
    await index.write(
        [
            make.document("label/1", passages=["metformin"]),
            make.document("policy/1", kind="policy", passages=["metformin"]),
        ]
    )
    await index.refresh()
    found = await index.passages(passages_query("metformin", source_kinds=("policy", "guideline")))
    assert [one.id for one in found] == ["policy/1#0"]


@pytest.mark.parametrize("text", ['"', "a AND (", "text:metformin OR *", "[1 TO", "\\", "", "metformin^1e9"])
async def test_a_text_that_looks_like_a_query_language_is_only_text(index, make, text):
    await index.write([make.document(passages=["metformin"])])
    await index.refresh()
    assert isinstance(await index.passages(passages_query(text)), list)


async def test_removed_documents_are_gone_with_all_versions(index, make):
    await index.write(
        [make.document(version="1", facts=[make.dose()]), make.document(version="2", facts=[make.dose()])]
    )
    assert await index.remove(["label/1", "label/none"]) == 2
    await index.refresh()
    assert (await index.evidence(make.query("metformin"))).facts == ()
    assert await index.keys() == []


async def test_keys_are_found_by_their_beginning_literally(index, make):
    await index.write([make.document(key) for key in ("starter/a", "starter_b", "site/a%")])
    assert await index.keys("starter/") == ["starter/a"]
    assert await index.keys("site/a%") == ["site/a%"]


async def test_documents_and_their_checkpoint_are_kept_together_or_not_at_all(index, make):
    def failing():
        yield make.document("label/1", facts=[make.dose()])
        raise RuntimeError("the input broke")

    with pytest.raises(RuntimeError):
        await index.write(failing(), Checkpoint("input", 2))
    assert (await index.keys(), await index.checkpoint("input")) == ([], None)
    await index.write([make.document("label/1")], Checkpoint("input", 2))
    await index.write([], Checkpoint("input", 3, finished=True))
    assert await index.checkpoint("input") == Checkpoint("input", 3, finished=True)


async def test_it_is_all_there_when_it_is_opened_again(open_index, make):
    first = await open_index()
    await first.write([make.document(facts=[make.dose()], passages=["words"], names=[("glucophage", ("metformin",))])])
    await first.refresh()
    version = first.version
    second = await open_index()
    assert second.version == version
    assert len((await second.evidence(make.query("Glucophage"))).facts) == 1
    assert await second.ingredients() == {"metformin"}


async def test_publishers_and_versions_are_filtered_inside_the_search(index, make):
    many = [make.document(f"label/{n}", version=str(n), passages=["metformin " * 5]) for n in range(60)]
    rare = make.document(
        "label/rare", version="rare", passages=["metformin and other words that make it a worse match"]
    )
    other = rare.source.model_copy(update={"publisher": "Another maker"})
    await index.write([*many, dataclasses.replace(rare, source=other)])
    await index.refresh()
    for wanted in ({"publishers": ("Another maker",)}, {"version": "rare"}):
        found = await index.passages(passages_query("metformin", limit=1, **wanted))
        assert [one.id for one in found] == ["label/rare#0"]
    both = passages_query("metformin", publishers=("Another maker",), version="7")
    assert await index.passages(both) == []


async def embedded(index, encoder):
    """Give every passage its vector and let the index use them."""
    await embed(index, encoder, ["label", "guideline"])
    index.use_encoder(encoder)
    await index.refresh()


async def test_meaning_finds_what_words_do_not_once_there_are_vectors(index, make, topics):
    await index.write([make.document(passages=["renal function", "sleep hygiene"])])
    await index.refresh()
    assert await index.passages(passages_query("kidney")) == []
    await embedded(index, topics())
    assert [one.text for one in await index.passages(passages_query("kidney", limit=1))] == ["renal function"]
    assert (await index.counts())["vector"] == 2


async def test_dates_and_kinds_hold_inside_the_search_by_meaning(index, make, topics):
    many = [make.document(f"label/{n}", passages=["renal"], superseded_on=date(2020, 1, 1)) for n in range(60)]
    current = make.document("guideline/1", kind="guideline", passages=["renal and more, so that it is further away"])
    await index.write([*many, current])
    await embedded(index, topics())
    for more in ({}, {"source_kinds": ("guideline",), "as_of": date(2019, 1, 1)}):
        found = await index.passages(passages_query("kidney", limit=1, **more))
        assert [one.id for one in found] == ["guideline/1#0"]


async def test_another_encoder_takes_the_place_of_the_first(index, open_index, make, topics):
    await index.write([make.document(passages=["renal function", "sleep hygiene"])])
    await embedded(index, topics())
    wider = topics("wider", dimension=8)
    await embedded(index, wider)
    assert [one.text for one in await index.passages(passages_query("kidney", limit=1))] == ["renal function"]
    assert await index.without_vector("wider", ["label"], 10) == []
    again = await open_index()
    again.use_encoder(wider)
    await again.refresh()
    assert len(await again.passages(passages_query("kidney"))) == 2


async def test_a_document_keeps_its_vectors_when_a_later_version_ends_it(index, make, topics):
    await index.write([make.document(version="1", passages=["renal"], effective_from=date(2020, 1, 1))])
    await embedded(index, topics())
    await index.write([make.document(version="2", passages=["sleep"], effective_from=date(2024, 1, 1))])
    await index.refresh()
    then = await index.passages(passages_query("kidney", as_of=date(2023, 1, 1)))
    assert [(one.source.version, one.source.superseded_on) for one in then] == [("1", date(2024, 1, 1))]
    assert await index.passages(passages_query("kidney")) == []


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_reader_that_kept_up_and_one_that_came_later_see_the_same(index, open_index, make, topics, seed):
    chance = random.Random(seed)
    reader = await open_index()
    await embedded(index, topics())
    reader.use_encoder(topics())
    for _ in range(8):
        keys = [f"label/{chance.randrange(5)}" for _ in range(2)]
        if chance.random() < 0.3:
            await index.remove(keys)
        else:
            version = str(chance.randrange(3))
            words = chance.sample(["renal", "cardiac", "sleep", "words"], 2)
            facts = [make.dose(mg=float(chance.randrange(1, 4)))] if chance.random() < 0.5 else []
            start = date(2020 + int(version), 1, 1)
            documents = [
                make.document(key, version=version, passages=words, facts=facts, effective_from=start)
                for key in dict.fromkeys(keys)
            ]
            await index.write(documents)
            await embed(index, topics(), ["label"])
        await reader.refresh()
    later = await open_index()
    later.use_encoder(topics())
    await later.refresh()
    assert later.version == reader.version
    for day in (date(2020, 6, 1), date(2021, 6, 1), date(2026, 1, 1)):
        query = passages_query("kidney heart words", limit=50, as_of=day)
        both = [await one.passages(query) for one in (reader, later)]
        seen = [sorted((one.id, one.text, one.source.version) for one in found) for found in both]
        assert seen[0] == seen[1]
        facts = [(await one.evidence(make.query("metformin", as_of=day))).facts for one in (reader, later)]
        assert sorted(one.model_dump_json() for one in facts[0]) == sorted(one.model_dump_json() for one in facts[1])
