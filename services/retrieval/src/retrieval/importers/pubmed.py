"""PubMed in XML: the yearly baseline, the daily updates, and what the E-utilities return.

Source: NLM, "MEDLINE/PubMed Data Element (Field) Descriptions" and the PubMed DTD of 2025. Files are read in the order
of their numbers, since a later one replaces and deletes what an earlier one brought. An abstract is one passage. What
its publisher retracted, withdrew, or replaced by another publication is kept for the time before, and is not current.
"""

import re
from collections.abc import Iterator
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from service_contracts.evidence import Source

from retrieval.documents import IngestedDocument, PassageText
from retrieval.importers.records import Record, RecordRefused, Removal
from retrieval.importers.streams import elements, open_bounded

__all__ = ["PubMedArticles"]

_NUMBERED = re.compile(r"(?:pubmed|medline)(\d{2})n(\d{4,6})\.xml(?:\.gz)?")
_MARKS = re.compile(rb"<PubmedArticle[ >]|<PubmedBookArticle[ >]|<DeleteCitation[ >]")
_MONTHS = {"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10}
_MONTHS |= {"nov": 11, "dec": 12}
_SEASONS = {"winter": 1, "spring": 3, "summer": 6, "fall": 9, "autumn": 9}
_RETRACTED = "D016441"
"""MeSH: the publication type "Retracted Publication"."""
# The other publication takes the place of this one.
_REPLACED = ("RetractionIn", "RetractedandRepublishedIn", "CorrectedandRepublishedIn", "UpdateIn")
_WITHDRAWN = re.compile(r"\[?\s*(?:withdrawn|retracted)\b\s*(?:article)?\s*:", re.I)
_MOST_CHARS = 20_000


class PubMedArticles:
    """See ``Importer``."""

    name = "pubmed-xml"
    edition = 1

    def inputs(self, path: Path) -> list[Path]:
        """See ``Importer.inputs``: files in the order of their numbers."""
        if path.is_file():
            return [path]
        found = (one for one in path.rglob("*") if one.name.endswith((".xml", ".xml.gz")))
        return sorted(found, key=lambda one: (self.place(one) or 0, one.name))

    def place(self, path: Path) -> int | None:
        """Return where a file stands in NLM's order, None for one that NLM did not number."""
        found = _NUMBERED.fullmatch(path.name)
        return int(found[1]) * 1_000_000 + int(found[2]) if found else None

    def count(self, path: Path) -> int:
        """See ``Importer.count``."""
        found, rest = 0, b""
        with open_bounded(path) as stream:
            while block := stream.read(1 << 20):
                data = rest + block
                cut = max(0, len(data) - 32)
                found += sum(1 for one in _MARKS.finditer(data) if one.start() < cut)
                rest = data[cut:]
        return found + len(_MARKS.findall(rest))

    def records(self, path: Path) -> Iterator[Record]:
        """See ``Importer.records``; a record is to be converted before the next one is asked for."""
        number = 0
        with open_bounded(path) as stream:
            for element in elements(stream, "PubmedArticle", "PubmedBookArticle", "DeleteCitation"):
                if element.tag == "PubmedArticle":
                    pmid = element.findtext("MedlineCitation/PMID") or "without PMID"
                    yield Record(f"{path.name}: PMID {pmid}", partial(_article, element))
                elif element.tag == "DeleteCitation":
                    yield Record(f"{path.name}: DeleteCitation", partial(_deleted, element))
                else:
                    yield Record(f"{path.name}#{number + 1}", _book)
                number += 1
        if number == 0:
            raise RecordRefused("no article in it: not PubMed XML")


def _book() -> IngestedDocument:
    raise RecordRefused("a chapter of a book: only articles are read")


def _deleted(element: Any) -> Removal:
    return Removal(tuple(_key(_pmid(one)) for one in element.iterfind("PMID")))


def _pmid(element: Any) -> str:
    text = (element.text or "").strip() if element is not None else ""
    if not re.fullmatch(r"\d{1,10}", text):
        raise RecordRefused("without a PMID")
    return text


def _key(pmid: str) -> str:
    return f"literature/pubmed/{pmid}"


def _article(element: Any) -> IngestedDocument | Removal:
    citation = element.find("MedlineCitation")
    article = citation.find("Article") if citation is not None else None
    if article is None:
        raise RecordRefused("without a citation")
    pmid = _pmid(citation.find("PMID"))
    key = _key(pmid)
    text = _abstract(article)
    if not text:
        # It had an abstract when it was read before, perhaps: that is not to stay.
        return Removal((key,), nothing_to_keep=True)
    title = _words(article.find("ArticleTitle")) or f"PMID {pmid}"
    published = _published(element, article)
    source = Source(
        title=title + (" [expression of concern]" if _related(citation, "ExpressionOfConcernIn") else ""),
        publisher=_words(article.find("Journal/Title")) or _words(article.find("Journal/ISOAbbreviation")) or "PubMed",
        identifier=f"https://pubmed.ncbi.nlm.nih.gov/{pmid}/",
        version=citation.find("PMID").get("Version") or "1",
        section=f"PMID {pmid}",
        published=published,
        effective_from=published,
        superseded_on=_superseded(citation, title, published),
    )
    passages = tuple(PassageText(f"{key}#{number}", title, span) for number, span in enumerate(_spans(text)))
    return IngestedDocument(key, "literature", source, (), passages)


def _abstract(article: Any) -> str:
    parts = []
    for one in article.iterfind("Abstract/AbstractText"):
        text = _words(one)
        label = " ".join(str(one.get("Label") or "").split())
        if text:
            parts.append(f"{label}: {text}" if label and label.upper() != "UNLABELLED" else text)
    return "\n".join(parts)


def _spans(text: str) -> Iterator[str]:
    """Yield the abstract as one passage; what is no abstract by its length, in several."""
    while len(text) > _MOST_CHARS:
        cut = max(text.rfind(". ", 0, _MOST_CHARS) + 1, text.rfind("\n", 0, _MOST_CHARS), 0) or _MOST_CHARS
        yield text[:cut].strip()
        text = text[cut:]
    if text.strip():
        yield text.strip()


def _words(element: Any) -> str:
    return "" if element is None else " ".join("".join(element.itertext()).split())


def _related(citation: Any, *kinds: str) -> list[Any]:
    found = citation.iterfind("CommentsCorrectionsList/CommentsCorrections")
    return [one for one in found if one.get("RefType") in kinds]


def _superseded(citation: Any, title: str, published: date | None) -> date | None:
    """Return since when the article is not current: retracted, withdrawn or replaced; None when it is."""
    notices = _related(citation, *_REPLACED)
    types = citation.iterfind("Article/PublicationTypeList/PublicationType")
    retracted = any(one.get("UI") == _RETRACTED or _words(one).lower() == "retracted publication" for one in types)
    if not notices and not retracted and not _WITHDRAWN.match(title):
        return None
    days = [day for day in (_stated_day(_words(one.find("RefSource"))) for one in notices) if day is not None]
    # The earliest day it can have been. A retraction that does not say when has always been one.
    day = min(days) if days else published or date.min
    return day if published is None else max(day, published)


_STATED = re.compile(r"\b((?:19|20)\d{2})\b(?:\s+([A-Z][a-z]{2})[a-z]*(?:\s+(\d{1,2})\b)?)?")


def _stated_day(reference: str) -> date | None:
    """Return the day in ``Lancet. 2010 Feb 6;375(9713):445``."""
    found = _STATED.search(reference)
    return _day(found[1], found[2], found[3]) if found else None


def _published(element: Any, article: Any) -> date | None:
    """Return when it could first be read: on line, else from the first day its issue states; not after its entry."""
    online = article.find("ArticleDate")
    issue = article.find("Journal/JournalIssue/PubDate")
    day = _element_day(online)
    if day is None and issue is not None:
        day = _element_day(issue) or _stated_day(_words(issue.find("MedlineDate")))
    entered = _element_day(element.find("PubmedData/History/PubMedPubDate[@PubStatus='pubmed']"))
    return entered if day is not None and entered is not None and entered < day else day


def _element_day(element: Any) -> date | None:
    if element is None or not element.findtext("Year"):
        return None
    month = element.findtext("Month") or element.findtext("Season")
    return _day(element.findtext("Year"), month, element.findtext("Day"))


def _day(year: str | None, month: str | None = None, day: str | None = None) -> date | None:
    """Return the first day of what is stated, None when it is no date."""
    said = (month or "").strip().lower()
    number = int(said) if said.isdecimal() else _MONTHS.get(said[:3]) or _SEASONS.get(said.split("-")[0], 1)
    try:
        return date(int(year or ""), number, int(day) if day and day.strip().isdecimal() else 1)
    except ValueError:
        return None
