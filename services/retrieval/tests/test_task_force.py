"""Editions of the Task Force become versions of topics: the older one holds for its days, and what is gone is gone."""

import json
from datetime import date

import pytest
from retrieval.importers.task_force import EDITIONS, TOPICS, TaskForceEditions
from retrieval.ingest import ingest
from service_contracts.evidence import PassageQuery

OLD, NEW = date(2021, 3, 15), date(2024, 5, 2)


def recommendation(number, general, title, text, grade="B"):
    return {"id": number, "general": general, "title": title, "grade": grade, "text": text}


OLDER = {
    "specificRecommendations": [
        recommendation(10, "1", "Sleep: Screening -- Adults aged 50 years or older", "Screen for sleep at 50."),
        recommendation(11, "2", "Glaucoma: Screening -- Adults", "Screen for glaucoma."),
        recommendation(12, "3", "Lead: Screening -- Children", "Screen for lead."),
        recommendation(13, "4", "Teeth: Screening -- Adults", "Look at the teeth."),
    ]
}
NARRATIVE = (
    "<h2>Considerations</h2><p>Sleep is <b>good</b>.<script>alert(1)</script></p>"
    "<table><tr><td>A cell</td></tr></table>"
    "<h3>Update of Previous USPSTF Recommendation</h3><p>In 2016 it was 50.</p>"
    "<h3>Recommendations of Others</h3><p>Others say 60.</p>"
)
NEWER = {
    "lastUpdated": "1714683195",
    "specificRecommendations": [
        recommendation(20, "7", "Sleep: Screening -- Adults aged 45 years or older", "Screen for<br><br>sleep at 45."),
        recommendation(21, "8", "Primary Open-Angle Glaucoma: Screening -- Adults", "Evidence is lacking.", "I"),
        recommendation(13, "4", "Teeth: Screening -- Adults", "Look at the teeth."),
    ],
    "generalRecommendations": {
        "7": {"title": "Screening for Sleep", "pubDate": "2022-06-01", "uspstfAlias": "sleep", "clinical": NARRATIVE},
        "8": {"title": "Primary Open-Angle Glaucoma: Screening", "pubDate": "2023-01-10"},
        "4": {"title": "Teeth: Screening", "pubDate": "2019-04-01"},
    },
}


@pytest.fixture
async def read(index, tmp_path):
    async def into_the_index(name, edition, day=None, **more):
        path = tmp_path / f"{name}.json"
        path.write_text(edition if isinstance(edition, str) else json.dumps(edition))
        known = [*await index.keys(TOPICS), *await index.keys(EDITIONS)]
        report = await ingest(index, TaskForceEditions(known, day), path, **more)
        await index.refresh()
        return report

    return into_the_index


async def said(index, text, day):
    query = PassageQuery(text=text, as_of=day, budget_ms=1000, source_kinds=("guideline",))
    return [(one.source.version, one.text) for one in await index.passages(query)]


async def test_each_day_has_the_statement_that_was_in_force(index, read):
    assert (await read("older", OLDER, OLD)).refused == []
    assert (await read("newer", NEWER)).refused == []
    for day, version, text in (
        (date(2022, 5, 31), "1", "Screen for sleep at 50."),
        (date(2022, 6, 1), "7", "Screen for sleep at 45."),
    ):
        found = await said(index, "screen for sleep", day)
        assert (version, text) in found
        assert {one for one, words in found if "sleep" in words.lower()} == {version}
    # Not said to have been in force before the day of the edition that shows it.
    assert await said(index, "sleep", date(2021, 3, 14)) == []
    listed = await index.passages(PassageQuery(text="screen sleep", as_of=NEW, budget_ms=1000))
    found = next(one for one in listed if one.id.endswith("#20"))
    assert found.source.section == "Adults aged 45 years or older (grade B)"
    assert (found.source.published, found.source.superseded_on) == (date(2022, 6, 1), None)
    assert found.source.identifier.endswith("/recommendation/sleep")


async def test_a_topic_under_another_title_is_ended_by_its_successor(index, read):
    await read("older", OLDER, OLD)
    await read("newer", NEWER)
    assert (await said(index, "glaucoma", date(2023, 1, 9)))[0][0] == "2"
    assert [version for version, _ in await said(index, "glaucoma", date(2023, 1, 10))] == ["8"]


async def test_a_topic_that_is_missing_ends_on_the_day_of_the_edition(index, read):
    await read("older", OLDER, OLD)
    await read("newer", NEWER)
    assert (await said(index, "lead", date(2024, 5, 1)))[0][0] == "3"
    assert await said(index, "lead", NEW) == []


async def test_a_statement_in_both_editions_is_one_version_with_the_day_that_is_known(index, read):
    await read("older", OLDER, OLD)
    assert (await read("newer", NEWER)).counts.replaced == 1
    assert await said(index, "teeth", date(2019, 4, 1)) == [("4", "Look at the teeth.")]


async def test_what_is_told_of_earlier_statements_of_others_and_in_tables_is_left_out(index, read):
    await read("newer", NEWER)
    told = [text for _, text in await said(index, "sleep good cell others 2016 50 60 alert", NEW)]
    assert "Sleep is good." in told
    assert not [text for text in told if "2016" in text or "Others" in text or "cell" in text or "alert" in text]


async def test_an_edition_again_changes_nothing_and_an_older_one_is_refused_after_a_newer_one(index, read):
    await read("older", OLDER, OLD)
    await read("newer", NEWER)
    version = index.version
    for name, edition in (("older", OLDER), ("newer", NEWER)):
        again = await read(name, edition, OLD)
        assert again.skipped > 0 and again.refused == []
    assert "read the older first" in (await read("older", OLDER, OLD, again=True)).refused[0].reason
    late = await read("late", {**OLDER, "note": "an edition between"}, date(2022, 1, 1))
    assert "read the older first" in late.refused[0].reason
    assert index.version == version


@pytest.mark.parametrize(
    ("edition", "day", "reason"),
    [
        ("{", OLD, "not JSON"),
        ("[" * 100_000, OLD, "not JSON"),
        ("[]", OLD, "not an edition"),
        ({"specificRecommendations": 3}, OLD, "not an edition"),
        ({"specificRecommendations": [{"id": 1}]}, OLD, "without topic, title or text"),
        (OLDER, None, "say it with --day"),
        (
            {
                "specificRecommendations": [
                    recommendation(1, "1", "A -- B", "One."),
                    recommendation(1, "1", "A -- B", "Two."),
                ]
            },
            OLD,
            "two recommendations with the same number",
        ),
    ],
)
async def test_what_is_no_edition_is_refused_with_its_reason(read, edition, day, reason):
    report = await read("edition", edition, day)
    assert reason in report.refused[0].reason


async def test_the_two_open_editions_leave_one_statement_in_force_of_each_topic(index, open_data):
    folder = open_data("guidelines") / "uspstf"
    for name in ("uspstf_2021_working.json", "prevention_taskforce_api_sample.json"):
        known = [*await index.keys(TOPICS), *await index.keys(EDITIONS)]
        assert (await ingest(index, TaskForceEditions(known, OLD), folder / name)).refused == []
    rows = index.store.file.all(
        "SELECT key, sum(superseded_on IS NULL), count(*) FROM document WHERE key LIKE ? GROUP BY key", f"{TOPICS}%"
    )
    assert {current for _, current, _ in rows} == {1}
    assert sum(versions > 1 for *_, versions in rows) == 34
    ended = index.store.file.all("SELECT key FROM document WHERE version LIKE 'none since%' AND superseded_on IS NULL")
    assert len(ended) == 2
