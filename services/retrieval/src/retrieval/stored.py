"""What an index gives back of what it keeps: facts and passages with the days on which they hold. No I/O."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from service_contracts.evidence import Fact, Source

from retrieval.documents import superseded

__all__ = [
    "CONTENT_MODULUS",
    "PassageVector",
    "StoredFact",
    "StoredPassage",
    "Unembedded",
    "content_of",
    "heading",
    "last_days",
    "with_last_day",
]

CONTENT_MODULUS = 1 << 256


@dataclass(frozen=True)
class StoredFact:
    """A fact with the dates of the document version it stands in."""

    fact: Fact
    effective_from: date | None
    superseded_on: date | None


@dataclass(frozen=True)
class StoredPassage:
    """What is needed to search a passage; ``number`` finds it again in the store."""

    number: int
    kind: str
    title: str
    section: str
    text: str
    effective_from: date | None
    superseded_on: date | None
    publisher: str = ""
    version: str = ""


@dataclass(frozen=True)
class PassageVector:
    """The vector of a passage as float16 bytes, and what a search filters by."""

    number: int
    data: bytes
    kind: str
    effective_from: date | None
    superseded_on: date | None
    publisher: str = ""
    version: str = ""


@dataclass(frozen=True)
class Unembedded:
    """A passage that has no vector yet; ``place`` is where the index wants to be given it."""

    place: str
    text: str


def heading(title: str, section: str) -> str:
    """Return what stands over a passage; a section that bears the title of the document says it once."""
    return title if section in ("", title) else f"{title} {section}"


def content_of(key: str, version: str, digest: str, superseded_on: str | None) -> int:
    """Return what one document version adds to the content of an index, which is a sum modulo ``CONTENT_MODULUS``.

    So the content is the same whatever the way there, and a change is added to it without reading the rest.
    """
    return int.from_bytes(hashlib.sha256(repr((key, version, digest, superseded_on)).encode()).digest(), "big")


def with_last_day(fact: Fact, until: date | None) -> Fact:
    """Return the fact with the last day its document has by now."""
    if fact.source.superseded_on == until:
        return fact
    return fact.model_copy(update={"source": fact.source.model_copy(update={"superseded_on": until})})


def last_days(versions: Sequence[Source], today: date) -> list[date | None]:
    """Return for each version of one document, in the order of arrival, the day on which the next takes its place.

    The last one keeps the day that its publisher gave it.
    """
    order = sorted(
        range(len(versions)),
        key=lambda place: (versions[place].effective_from or versions[place].published or date.min, place),
    )
    days: list[date | None] = [source.superseded_on for source in versions]
    for place, following in pairwise(order):
        older = versions[place]
        until = superseded(older, versions[following], today)
        days[place] = until if older.superseded_on is None else min(until, older.superseded_on)
    return days
