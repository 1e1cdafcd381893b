"""PubMed's XML: articles as literature, their versions, what is deleted, retracted or replaced, and hostile files."""

import gzip
from datetime import date

import pytest
from retrieval.importers.pubmed import PubMedArticles
from retrieval.importers.records import RecordRefused, Removal
from retrieval.ingest import ingest
from retrieval.ingest_order import in_order, read_up_to
from service_contracts.evidence import PassageQuery

# ruff: noqa: E501  small inputs are written as they come

DOCTYPE = (
    '<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle, 1st January 2025//EN"'
    ' "https://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_250101.dtd">'
)


def article(pmid=1, text="Metformin lowered glucose.", *, version="1", title="A trial", types="", notes="", more=""):
    abstract = f"<Abstract><AbstractText>{text}</AbstractText></Abstract>" if text else ""
    return f"""<PubmedArticle><MedlineCitation Status="MEDLINE" Owner="NLM">
    <PMID Version="{version}">{pmid}</PMID><DateRevised><Year>2024</Year><Month>02</Month><Day>03</Day></DateRevised>
    <Article PubModel="Print"><Journal><ISSN>0000-0000</ISSN><JournalIssue CitedMedium="Print"><Volume>1</Volume>
    <PubDate><Year>2019</Year><Month>Mar</Month></PubDate></JournalIssue><Title>Journal of trials</Title></Journal>
    <ArticleTitle>{title}</ArticleTitle>{abstract}
    <PublicationTypeList><PublicationType UI="D016428">Journal Article</PublicationType>{types}</PublicationTypeList>
    {more}</Article>{notes}</MedlineCitation>
    <PubmedData><ArticleIdList><ArticleId IdType="pubmed">{pmid}</ArticleId></ArticleIdList></PubmedData>
    </PubmedArticle>"""


def notice(kind, reference="J Trials. 2021 Jun 4;3(2):44"):
    return (
        f'<CommentsCorrectionsList><CommentsCorrections RefType="{kind}"><RefSource>{reference}</RefSource>'
        '<PMID Version="1">99</PMID></CommentsCorrections></CommentsCorrectionsList>'
    )


def written(folder, *parts, name="pubmed26n0001.xml.gz", doctype=DOCTYPE):
    path = folder / name
    text = f'<?xml version="1.0" encoding="utf-8"?>\n{doctype}<PubmedArticleSet>{"".join(parts)}</PubmedArticleSet>'
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def convert(path):
    return [record.convert() for record in PubMedArticles().records(path)]


def one(tmp_path, *arguments, **more):
    (document,) = convert(written(tmp_path, article(*arguments, **more)))
    return document


def test_an_article_is_literature_with_its_journal_its_day_and_its_number(tmp_path):
    document = one(tmp_path, 12345)
    source = document.source
    assert (document.key, document.kind, document.version) == ("literature/pubmed/12345", "literature", "1")
    assert (source.title, source.publisher) == ("A trial", "Journal of trials")
    assert source.identifier == "https://pubmed.ncbi.nlm.nih.gov/12345/"
    assert source.effective_from == source.published == date(2019, 3, 1) and source.superseded_on is None
    assert [(passage.section, passage.text) for passage in document.passages] == [
        ("A trial", "Metformin lowered glucose.")
    ]


def test_a_structured_abstract_is_one_passage_with_its_labels(tmp_path):
    text = (
        'Why.</AbstractText><AbstractText Label="METHODS" NlmCategory="METHODS">CO<sub>2</sub> &lt; 5 &amp; more.'
        '</AbstractText><AbstractText Label="UNLABELLED">So.'
    )
    (passage,) = one(tmp_path, 1, text).passages
    assert passage.text == "Why.\nMETHODS: CO2 < 5 & more.\nSo."


@pytest.mark.parametrize(
    ("more", "issue", "day"),
    [
        ("", "<Year>2019</Year><Month>Mar</Month>", date(2019, 3, 1)),
        ("", "<Year>2019</Year><Month>11</Month><Day>7</Day>", date(2019, 11, 7)),
        ("", "<Year>2019</Year><Season>Summer</Season>", date(2019, 6, 1)),
        ("", "<MedlineDate>1998 Dec-1999 Jan</MedlineDate>", date(1998, 12, 1)),
        ("", "<MedlineDate>2000 Spring</MedlineDate>", date(2000, 1, 1)),
        ("", "<MedlineDate>nonsense</MedlineDate>", None),
        ("", "<Year>2019</Year><Month>Feb</Month><Day>31</Day>", None),
        (
            '<ArticleDate DateType="Electronic"><Year>2018</Year><Month>12</Month><Day>24</Day></ArticleDate>',
            "<Year>2019</Year>",
            date(2018, 12, 24),
        ),
    ],
)
def test_the_day_is_the_first_on_which_it_could_be_read(tmp_path, more, issue, day):
    text = article(more=more).replace("<Year>2019</Year><Month>Mar</Month>", issue)
    (document,) = convert(written(tmp_path, text))
    assert document.source.published == day


def test_an_issue_that_is_dated_ahead_is_known_since_its_entry(tmp_path):
    history = '<History><PubMedPubDate PubStatus="pubmed"><Year>2019</Year><Month>1</Month><Day>9</Day></PubMedPubDate></History>'
    (document,) = convert(written(tmp_path, article().replace("<PubmedData>", f"<PubmedData>{history}")))
    assert document.source.published == date(2019, 1, 9)


@pytest.mark.parametrize(
    ("more", "until"),
    [
        ({"notes": notice("RetractionIn")}, date(2021, 6, 4)),
        ({"notes": notice("RetractionIn", "J Trials. 2021;3(2):44")}, date(2021, 1, 1)),
        ({"notes": notice("UpdateIn", "Cochrane Database Syst Rev. 2022 May;5:CD1")}, date(2022, 5, 1)),
        ({"notes": notice("CorrectedandRepublishedIn")}, date(2021, 6, 4)),
        ({"notes": notice("RetractionIn", "no day")}, date(2019, 3, 1)),
        ({"types": '<PublicationType UI="D016441">Retracted Publication</PublicationType>'}, date(2019, 3, 1)),
        ({"title": "WITHDRAWN: A trial."}, date(2019, 3, 1)),
        ({"title": "[Retracted article: A trial.]"}, date(2019, 3, 1)),
        ({"notes": notice("RetractionOf")}, None),
        ({"notes": notice("CommentIn")}, None),
        ({"title": "Withdrawn drugs in Europe"}, None),
    ],
)
def test_what_was_retracted_or_replaced_is_current_only_before(tmp_path, more, until):
    assert one(tmp_path, **more).source.superseded_on == until


def test_an_expression_of_concern_stands_in_the_title(tmp_path):
    assert one(tmp_path, notes=notice("ExpressionOfConcernIn")).source.title == "A trial [expression of concern]"


def test_what_is_no_article_is_refused_with_its_place(tmp_path):
    path = written(tmp_path, "<PubmedBookArticle/>", article("none"), "<PubmedArticle/>", article(7))
    said = []
    for record in PubMedArticles().records(path):
        try:
            said.append(record.convert().key)
        except RecordRefused as refusal:
            said.append(f"{record.place}: {refusal}")
    assert said == [
        "pubmed26n0001.xml.gz#1: a chapter of a book: only articles are read",
        "pubmed26n0001.xml.gz: PMID none: without a PMID",
        "pubmed26n0001.xml.gz: PMID without PMID: without a citation",
        "literature/pubmed/7",
    ]


def test_deleted_articles_and_those_without_abstract_go(tmp_path):
    deleted = "<DeleteCitation><PMID Version='1'>5</PMID><PMID Version='2'>6</PMID></DeleteCitation>"
    assert convert(written(tmp_path, article(4, ""), deleted)) == [
        Removal(("literature/pubmed/4",), nothing_to_keep=True),
        Removal(("literature/pubmed/5", "literature/pubmed/6")),
    ]


def test_records_are_counted_without_being_parsed(tmp_path, monkeypatch):
    parts = [article(n) for n in range(700)] + ["<DeleteCitation><PMID>1</PMID></DeleteCitation>"]
    assert PubMedArticles().count(written(tmp_path, *parts)) == 701


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (gzip.compress(f"{BOMB}<PubmedArticleSet>{article(text='&b;')}</PubmedArticleSet>".encode()), "entities"),
        (
            gzip.compress(
                f'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><s>{article(text="&f;")}</s>'.encode("utf-16")
            ),
            "entities",
        ),
        (gzip.compress(b"<PubmedArticleSet>")[:-12], "damaged or cut off"),
        (gzip.compress(f"<s>{article() * 50}</s>".encode())[:-300], "damaged or cut off"),
        (b"\x1f\x8b not gzip", "damaged or cut off"),
        (b"plain", "damaged or cut off"),
        (gzip.compress(b"<PubmedArticleSet><PubmedArticle></x>"), "not well-formed"),
        (gzip.compress(b"<PubmedArticleSet/>"), "not PubMed XML"),
        (gzip.compress(b"\0" * 40_000_000), "swells"),
        (gzip.compress(b"<s>" + b"<a>" * 5000 + b"</a>" * 5000 + b"</s>"), "not well-formed"),
    ],
    ids=[
        "entity-bomb",
        "entity-of-a-file",
        "cut-off",
        "cut-off-in-an-article",
        "no-gzip",
        "plain",
        "unbalanced",
        "empty",
        "gzip-bomb",
        "deep",
    ],
)
def test_hostile_and_damaged_files_are_refused_in_a_sentence(tmp_path, content, why):
    path = tmp_path / "pubmed26n0002.xml.gz"
    path.write_bytes(content)
    with pytest.raises(RecordRefused, match=why):
        PubMedArticles().count(path)
        convert(path)


async def found(index, text="metformin glucose", as_of=None):
    await index.refresh()
    return [one.id for one in await index.passages(PassageQuery(text=text, as_of=as_of, limit=10, budget_ms=1000))]


async def run(index, *paths, again=False):
    taken, late = await in_order(index, PubMedArticles(), paths, again=again)
    reports = []
    for path in taken:
        reports.append(await ingest(index, PubMedArticles(), path, again=again))
        await read_up_to(index, PubMedArticles(), path)
    return reports, late


@pytest.mark.parametrize("engine", ["embedded", "opensearch"], indirect=True)
async def test_updates_replace_retract_and_delete(index, tmp_path):
    base = written(tmp_path, *(article(n, f"Metformin lowered glucose in {n} people.") for n in (1, 2, 3, 4)))
    deleted = "<DeleteCitation><PMID Version='1'>2</PMID></DeleteCitation>"
    parts = [
        article(1, "Metformin lowered glucose, revised."),
        article(3, "Metformin lowered glucose in 3 people.", notes=notice("RetractionIn")),
        article(4, ""),
        article(2, "Metformin lowered glucose in the same file."),
        deleted,
        article(5, "Metformin lowered glucose in 5 people."),
    ]
    update = written(tmp_path, *parts, name="pubmed26n0002.xml.gz")
    (first, second), _ = await run(index, update, base)
    assert (first.counts.added, second.counts.added, second.counts.replaced) == (4, 1, 2)
    assert (second.removed, second.empty, second.refused) == (2, 1, [])
    assert sorted(await found(index)) == ["literature/pubmed/1#0", "literature/pubmed/5#0"]
    assert "literature/pubmed/3#0" in await found(index, as_of=date(2021, 1, 1))
    (repeated, _), _ = await run(index, base, update)
    assert repeated.skipped == 4


async def test_an_earlier_file_does_not_undo_a_later_one(index, tmp_path):
    first = written(tmp_path, article(1, "Metformin lowered glucose, first."), name="pubmed26n0001.xml.gz")
    second = written(tmp_path, article(1, "Metformin lowered glucose, then."), name="pubmed26n0002.xml.gz")
    next_year = written(tmp_path, article(1, "Metformin lowered glucose, last."), name="pubmed27n0001.xml.gz")
    await run(index, second)
    reports, late = await run(index, first)
    assert reports == [] and "brought" not in late[0].reason and "a later file was read" in late[0].reason
    reports, late = await run(index, first, again=True)
    assert reports == [] and len(late) == 1
    reports, late = await run(index, second, first, again=True)
    assert len(reports) == 2 and late == []
    reports, late = await run(index, next_year)
    assert len(reports) == 1 and late == []
    _, late = await run(index, second, again=True)
    assert len(late) == 1


async def test_a_run_that_stops_goes_on_where_it_was(index, tmp_path):
    path = written(tmp_path, *(article(n) for n in range(1, 1200)))
    stopped = await ingest(index, PubMedArticles(), path, stop=lambda: True)
    assert stopped.interrupted and stopped.counts.added == index.batch
    rest = await ingest(index, PubMedArticles(), path)
    assert rest.skipped == index.batch and stopped.counts.added + rest.counts.added == 1199


async def test_a_file_that_breaks_off_keeps_what_came_before_and_is_read_again(index, tmp_path):
    path = tmp_path / "pubmed26n0001.xml"
    text = "".join(article(n) for n in range(1, 4))
    path.write_text(f"<PubmedArticleSet>{text}")
    report = await ingest(index, PubMedArticles(), path)
    assert report.broken and report.counts.added == 3 and "not well-formed" in report.refused[0].reason
    path.write_text(f"<PubmedArticleSet>{text}</PubmedArticleSet>")
    assert (await ingest(index, PubMedArticles(), path)).counts.unchanged == 3
