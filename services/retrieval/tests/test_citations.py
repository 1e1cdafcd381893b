"""What an answer cites is read again, out of the version it names; what does not stand there is dropped."""

from datetime import date

import pytest
from retrieval.answering import supported_sentences
from retrieval.service import RetrievalService
from service_contracts.answers import Abstention, AnswerQuery, QuestionKind
from service_contracts.evidence import Passage, PassageQuery

TODAY = date(2026, 11, 1)
ASKED = "Should screening for colorectal cancer begin at 45?"
TEXT = "Screening for colorectal cancer should begin at 45 years. It ends at 75 years of age."
ENGINES = pytest.mark.parametrize("engine", ["embedded", "opensearch"], indirect=True)


def query(question=ASKED, as_of=TODAY):
    return AnswerQuery(question=question, kind=QuestionKind.GUIDELINE, as_of=as_of, budget_ms=20_000)


async def service_on(index):
    async def opened():
        return index

    service = RetrievalService(opened, refresh_every_s=60)
    await service._open()
    return service


def guideline(make, key="guideline/x", text=TEXT, version="1", **dates):
    return make.document(key, kind="guideline", passages=(text, "Another passage of it."), version=version, **dates)


async def found_in(index, text="colorectal cancer"):
    return (await index.passages(PassageQuery(text=text, budget_ms=5_000, as_of=TODAY)))[0]


@ENGINES
async def test_a_passage_is_read_again_from_what_is_kept(index, make):
    await index.write([guideline(make), guideline(make, "guideline/y", "Something of another document.")])
    await index.refresh()
    found = await found_in(index)
    assert await index.quoted(found) == found
    other = found.model_copy(update={"source": found.source.model_copy(update={"version": "2"})})
    assert await index.quoted(other) is None
    assert await index.quoted(found.model_copy(update={"id": "guideline/x#7"})) is None


@ENGINES
async def test_a_passage_read_again_bears_the_last_day_that_its_version_has_by_now(index, make):
    await index.write([guideline(make, effective_from=date(2020, 1, 1))])
    await index.refresh()
    found = await found_in(index)
    await index.write([guideline(make, version="2", text="Screening begins at 40.", effective_from=date(2026, 10, 1))])
    await index.refresh()
    kept = await index.quoted(found)
    assert (kept.text, kept.source.superseded_on) == (TEXT, date(2026, 10, 1))
    await index.remove(["guideline/x"])
    await index.refresh()
    assert await index.quoted(found) is None


@pytest.mark.parametrize("engine", ["opensearch"], indirect=True)
async def test_a_row_that_was_changed_in_the_cluster_takes_its_whole_version_with_it(index, make):
    await index.write([guideline(make), guideline(make, "guideline/y", "Something else.", version="2")])
    await index.refresh()
    found, other = await found_in(index), await found_in(index, "something else")
    rows = [hit async for hit in index._cluster.rows(index._names.passages, {"term": {"version": "1"}})]
    changed = next(hit for hit in rows if hit["_source"]["text"] != found.text)
    body = {"doc": {"text": "Another text."}}
    await index._cluster.client.update(index=index._names.passages, id=changed["_id"], body=body, refresh=True)
    assert await index.quoted(found) is None
    assert await index.quoted(other) == other


async def test_what_was_changed_in_the_index_after_it_came_in_is_not_cited(index, make, capsys):
    other = "Colorectal cancer screening should begin at age 45 in most people."
    await index.write([guideline(make), guideline(make, "guideline/y", other)])
    service = await service_on(index)
    assert {one.passage_id for one in (await service.answers_for(query())).sentences} == {
        "guideline/x#0",
        "guideline/y#0",
    }
    index.store.file.run("UPDATE passage SET text = replace(text, 'ends', 'never ends') WHERE id = 'guideline/x#0'")
    # The sentence that is cited stands as it was; the version it names does not, so nothing of it is cited.
    answer = await service.answers_for(query())
    assert [one.passage_id for one in answer.sentences] == ["guideline/y#0"]
    assert [one.id for one in answer.passages] == ["guideline/y#0"]
    index.store.file.run("UPDATE passage SET text = 'Screening should begin at 45 years.' WHERE id = 'guideline/y#1'")
    capsys.readouterr()
    nothing = await service.answers_for(query())
    assert (nothing.sentences, nothing.passages, nothing.abstained) == ((), (), Abstention.NOT_VERIFIED)
    logged = capsys.readouterr().out
    assert "citations.dropped" in logged and "count=2" in logged and "colorectal" not in logged


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one.model_copy(update={"text": one.text.replace("45", "30").replace("begin", "begin at 45, or")}),
        lambda one: one.model_copy(update={"source": one.source.model_copy(update={"section": "Another section"})}),
        lambda one: one.model_copy(update={"source": one.source.model_copy(update={"title": "Another title"})}),
        lambda one: one.model_copy(update={"source": one.source.model_copy(update={"version": "3"})}),
        lambda one: one.model_copy(update={"id": "guideline/x#1"}),
    ],
    ids=["text", "section", "title", "version", "passage"],
)
async def test_a_search_that_returns_what_is_not_kept_is_not_believed(index, make, monkeypatch, change):
    await index.write([guideline(make)])
    service = await service_on(index)
    real = type(index).passages

    async def wrong(self, query):
        return [change(one) if one.id == "guideline/x#0" else one for one in await real(self, query)]

    assert (await service.answers_for(query())).sentences
    monkeypatch.setattr(type(index), "passages", wrong)
    answer = await service.answers_for(query())
    assert (answer.sentences, answer.abstained) == ((), Abstention.NOT_VERIFIED)


async def test_a_version_that_is_superseded_while_the_answer_is_made_is_not_cited(index, make, monkeypatch):
    await index.write([guideline(make, effective_from=date(2020, 1, 1))])
    service = await service_on(index)
    real = type(index).passages

    async def late(self, query):
        found = await real(self, query)
        await self.write([guideline(make, version="2", text="It begins at 40.", effective_from=date(2026, 10, 1))])
        return found

    monkeypatch.setattr(type(index), "passages", late)
    assert (await service.answers_for(query())).abstained is Abstention.NOT_VERIFIED
    before = await service.answers_for(query(as_of=date(2026, 9, 30)))
    assert [one.text for one in before.sentences] == [TEXT.split(". ")[0] + "."]


def passage(make, text, *, title="A guideline", section="", **dates):
    source = make.source(**dates).model_copy(update={"title": title, "section": section})
    return Passage(id="g#0", text=text, source=source, score=1.0)


ASPIRIN = "The use of low-dose aspirin (81 mg/day) is recommended to prevent preeclampsia in those at high risk."
MEN = "The use of ultrasonography to screen for aortic aneurysm is recommended in men aged 65 to 75 years."
BV = "Screening for bacterial vaginosis (BV) is recommended in pregnant persons. BV needs treatment when found."


@pytest.mark.parametrize(
    ("text", "question", "supported"),
    [
        (ASPIRIN, "Should aspirin be used to prevent preeclampsia in those at high risk?", True),
        (ASPIRIN, "Should clopidogrel be used to prevent preeclampsia in those at high risk?", False),
        (ASPIRIN, "Should acetylsalicylic acid or aspirin prevent preeclampsia in those at high risk?", False),
        (ASPIRIN, "Should 81 mg of aspirin be used to prevent preeclampsia?", True),
        (ASPIRIN, "Should 325 mg of aspirin be used to prevent preeclampsia?", False),
        (MEN, "Should a 70-year-old man be screened for aortic aneurysm with ultrasonography?", True),
        (MEN, "Should a 30-year-old man be screened for aortic aneurysm with ultrasonography?", False),
        (MEN, "Should women be screened for aortic aneurysm with ultrasonography?", False),
        (MEN, "Should persons be screened for aortic aneurysm with ultrasonography?", True),
        (BV, "Should pregnant women be screened for BV?", True),
        (
            "Screening for bacteriuria is recommended in nonpregnant adults.",
            "Is bacteriuria screened in pregnancy?",
            False,
        ),
        ("Screening for anxiety is recommended in adolescents.", "Should adults be screened for anxiety?", False),
        ("In 2009, the task force recommended screening for anxiety.", "Should anxiety be screened for?", False),
        (
            "This replaces the previous recommendation on screening for anxiety.",
            "Should anxiety be screened for?",
            False,
        ),
        ("Since 2024, screening for anxiety is a recommendation.", "Should anxiety be screened for?", True),
        ("Screening for anxiety helps (Smith, 2009) and is recommended.", "Should anxiety be screened for?", True),
    ],
)
def test_a_sentence_supports_only_what_it_says_of_those_it_speaks_of(make, text, question, supported):
    drugs = frozenset({"aspirin", "clopidogrel", "acetylsalicylic acid"})
    found = supported_sentences(question, [passage(make, text, effective_from=date(2024, 1, 1))], drugs)
    assert bool(found) is supported


@pytest.mark.parametrize(
    ("age", "section", "supported"),
    [
        (45, "Women aged 40 to 49 years (grade B)", True),
        (50, "Women aged 40 to 49 years (grade B)", False),
        (80, "Women 75 years or older (grade I)", True),
        (75, "Women younger than 75 years", False),
        (12, "Girls 12 years or younger", True),
        (45, "", False),
    ],
)
def test_the_age_that_is_asked_about_stands_inside_the_ages_of_the_heading(make, age, section, supported):
    one = passage(make, "The task force recommends biennial screening mammography.", section=section)
    found = supported_sentences(f"Should screening mammography be offered at age {age}?", [one])
    assert bool(found) is supported


def test_a_recommendation_comes_before_what_is_told_about_it(make):
    told = passage(make, "Screening for anxiety in adults was studied in many trials.")
    says = passage(make, "Screening for anxiety is recommended in adults.", section="Adults (grade B)")
    both = [told, says.model_copy(update={"id": "g#1"})]
    asked = "Is there screening for anxiety in adults?"
    assert [one.passage_id for one, _ in supported_sentences(asked, both, advice=True)] == ["g#1", "g#0"]
    assert [one.passage_id for one, _ in supported_sentences(asked, both)] == ["g#0", "g#1"]
    what_to_do = "Should adults be screened for anxiety?"
    assert [one.passage_id for one, _ in supported_sentences(what_to_do, both, advice=True)] == ["g#1"]


@pytest.mark.parametrize(
    ("question", "supported"),
    [
        ("Should OSA be screened for?", True),  # a common short form
        ("Should PFO be screened for?", True),  # the text explains it
        ("Should SAH be screened for?", False),
        ("Should obstructive sleep apnea be treated?", False),  # another act
    ],
)
def test_short_forms_are_read_as_what_they_stand_for_and_the_act_must_be_the_same(make, question, supported):
    text = (
        "Screening for obstructive sleep apnea is recommended. Screening for patent foramen ovale (PFO) is recommended."
    )
    assert bool(supported_sentences(question, [passage(make, text)])) is supported
