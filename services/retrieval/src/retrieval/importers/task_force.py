"""Editions of the US Preventive Services Task Force: the JSON of its Prevention TaskForce API, taken whole on one day.

A topic is a document; a statement on it is a version of the document, named by its number. Where an edition says when a
statement was published, it is in force from that day; where not, from the day of the edition: before, nothing is known.
What a later edition has no more ends there: by its successor (``task_force.yaml`` knows former titles), or on the day
of that edition. So editions are read from the oldest on.

What a statement reports of earlier ones, of other topics and of other publishers is left out: read by itself it would
pass for what the Task Force recommends now. So are tables: cells in a row are no sentence.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from lxml import etree, html
from service_contracts.evidence import Source

from retrieval.documents import IngestedDocument, PassageText
from retrieval.importers.guidelines import spans
from retrieval.importers.records import Record, RecordRefused, read_limited

__all__ = ["EDITIONS", "TOPICS", "TaskForceEditions"]

EDITIONS = "guideline-edition/task-force/"
"""The keys of the editions that were read, each with its day."""
TOPICS = "guideline/task-force/"
_PUBLISHER = "US Preventive Services Task Force"
_ADDRESS = "https://www.uspreventiveservicestaskforce.org/uspstf/recommendation/"
_MAX_BYTES = 64 * 1024 * 1024
_NARRATIVE = ("rationale", "clinical", "discussion", "other")
_NOT_ITS_OWN = re.compile(
    r"previous uspstf|reaffirmation|other related|recommendations? of others|public comment|research needs|resources"
    r"|references|scope of review",
    re.I,
)
_SMALL = frozenset(
    ("a", "an", "and", "by", "for", "from", "in", "into", "of", "on", "or", "the", "through", "to", "with")
)
_BLOCKS = ("p", "li", "div", "ul", "ol")
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
Json = Mapping[str, Any]


class TaskForceEditions:
    """See ``Importer``. ``known`` are the keys in the index that begin with ``TOPICS`` or ``EDITIONS``."""

    name = "task-force-editions"
    edition = 1

    def __init__(self, known: Iterable[str], day: date | None = None) -> None:
        keys = frozenset(known)
        self._topics = {key for key in keys if key.startswith(TOPICS)}
        self._days = {key.removeprefix(EDITIONS) for key in keys if key.startswith(EDITIONS)}
        self._day = day

    def inputs(self, path: Path) -> list[Path]:
        """See ``Importer.inputs``: the oldest edition first, as far as they say their day."""
        if path.is_file():
            return [path]
        found = (one for one in path.rglob("*.json") if _is_edition(one))
        return sorted(found, key=lambda one: (_said_day(_load(one)) or self._day or date.min, one.name))

    def count(self, path: Path) -> int:
        """See ``Importer.count``."""
        return sum(1 for _ in self.records(path))

    def records(self, path: Path) -> Iterator[Record]:
        """See ``Importer.records``."""
        raw = _load(path)
        day = _said_day(raw) or self._day
        if day is None:
            raise RecordRefused("the edition does not say of which day it is: say it with --day")
        later = max(self._days, default="")
        if day.isoformat() < later:
            refused = RecordRefused(f"the edition of {later} was read before this one of {day}: read the older first")
            if day.isoformat() not in self._days:
                raise refused
            # Read in its time, so there is nothing to be done; it is refused if it is to be read again.
            yield Record(f"edition {day}", partial(_refuse, refused))
            return
        general, topics = _topics(raw)
        keys = {number: _key(_title(statements, general.get(number))) for number, statements in topics.items()}
        yield Record(f"edition {day}", partial(_edition, day))
        for number, statements in topics.items():
            place = f"topic {number}"
            yield Record(place, partial(_document, keys[number], number, statements, general.get(number) or {}, day))
        for key in sorted(self._topics - set(keys.values())):
            yield Record(f"{key} is no more", partial(_ended, key, _successors_day(key, general, day)))
        self._topics |= set(keys.values())
        self._days.add(day.isoformat())


def _load(path: Path) -> Json:
    try:
        raw = json.loads(read_limited(path, _MAX_BYTES))
    except (ValueError, RecursionError):
        raise RecordRefused("not JSON") from None
    if not isinstance(raw, dict) or not isinstance(raw.get("specificRecommendations"), list):
        raise RecordRefused("no `specificRecommendations`: not an edition of the Task Force")
    return raw


def _is_edition(path: Path) -> bool:
    try:
        return bool(_load(path))
    except RecordRefused:
        return False


def _said_day(raw: Json) -> date | None:
    seconds = str(raw.get("lastUpdated") or "")
    return datetime.fromtimestamp(int(seconds), UTC).date() if seconds.isdecimal() and len(seconds) < 12 else None


def _topics(raw: Json) -> tuple[dict[str, Json], dict[str, list[Json]]]:
    general = raw.get("generalRecommendations") or {}
    topics: dict[str, list[Json]] = {}
    for one in raw["specificRecommendations"]:
        if not isinstance(one, dict) or not one.get("general") or not one.get("title") or not one.get("text"):
            raise RecordRefused("a recommendation without topic, title or text")
        topics.setdefault(str(one["general"]), []).append(one)
    return {str(number): one for number, one in general.items() if isinstance(one, dict)}, topics


def _title(statements: list[Json], general: Json | None) -> str:
    said = str((general or {}).get("title") or str(statements[0]["title"]).split(" -- ")[0])
    return " ".join(said.split())


def _refuse(reason: RecordRefused) -> IngestedDocument:
    raise reason


def _edition(day: date) -> IngestedDocument:
    source = Source(
        title="Recommendations, all topics",
        publisher=_PUBLISHER,
        identifier=_ADDRESS,
        version=day.isoformat(),
        section="",
        effective_from=day,
    )
    return IngestedDocument(f"{EDITIONS}{day}", "guideline", source)


def _document(key: str, number: str, statements: list[Json], general: Json, day: date) -> IngestedDocument:
    published = _day(general.get("pubDate"))
    alias = general.get("uspstfAlias")
    source = Source(
        title=_title(statements, general),
        publisher=_PUBLISHER,
        identifier=f"{_ADDRESS}{alias}" if alias else f"{_ADDRESS}#{number}",
        version=number,
        section="",
        published=published,
        effective_from=published or day,
    )
    passages = []
    for one in statements:
        population = " ".join(str(one["title"]).partition(" -- ")[2].split())
        section = f"{population} (grade {one['grade']})" if one.get("grade") else population
        text = "\n\n".join(text for _, text in _parts(str(one["text"])))
        for part, span in enumerate(spans(text)):
            passages.append(PassageText(f"{key}#{one.get('id')}{f'-{part + 1}' if part else ''}", section, span))
    for name in _NARRATIVE:
        told = [
            (heading, span)
            for heading, text in _parts(str(general.get(name) or ""))
            if not _NOT_ITS_OWN.search(heading)
            for span in spans(text)
        ]
        passages += [PassageText(f"{key}#{name}-{place}", heading, span) for place, (heading, span) in enumerate(told)]
    if len({one.id for one in passages}) < len(passages):
        raise RecordRefused("two recommendations with the same number")
    return IngestedDocument(key, "guideline", source, (), tuple(passages))


def _ended(key: str, day: date) -> IngestedDocument:
    """Return the version that says nothing more: what was said before ends on its first day."""
    source = Source(
        title="No longer published",
        publisher=_PUBLISHER,
        identifier=key,
        version=f"none since {day}",
        section="",
        effective_from=day,
    )
    return IngestedDocument(key, "guideline", source)


def _parts(markup: str) -> list[tuple[str, str]]:
    """Return heading and text of each part of a piece of HTML; paragraphs are apart by an empty line."""
    if not markup.strip():
        return []
    parser = html.HTMLParser(no_network=True, huge_tree=False, remove_comments=True, remove_pis=True)
    try:
        root = html.fragment_fromstring(markup, create_parent="div", parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError):
        raise RecordRefused("HTML that cannot be read") from None
    for junk in root.xpath(".//script|.//style|.//sup|.//table"):
        junk.drop_tree()
    parts: list[tuple[str, list[str]]] = [("", [])]
    for text, heading in _texts(root):
        if heading:
            parts.append((" ".join(text.split()), []))
        else:
            parts[-1][1].append(text)
    return [(heading, body) for heading, texts in parts if (body := "".join(texts).strip())]


def _texts(element: Any) -> Iterator[tuple[str, bool]]:
    """Yield texts in their order, and whether each is a heading."""
    block = element.tag in _BLOCKS
    if block:
        yield "\n\n", False
    if element.text:
        yield element.text, False
    for child in element:
        if child.tag in _HEADINGS:
            yield child.text_content(), True
        elif child.tag == "br":
            yield "\n\n", False
        else:
            yield from _texts(child)
        if child.tail:
            yield child.tail, False
    if block:
        yield "\n\n", False


def _words(title: str) -> str:
    return "-".join(sorted(set(re.findall(r"[a-z0-9]+", title.lower())) - _SMALL))


@cache
def _former() -> dict[str, tuple[str, ...]]:
    text = files("retrieval.importers").joinpath("task_force.yaml").read_text("utf-8")
    table = yaml.safe_load(text)["former"]
    return {_words(title): tuple(_words(one) for one in present) for title, present in table.items()}


def _key(title: str) -> str:
    """Return the key of a topic, by its present title where it is known to have had others."""
    words = _words(title)
    while len(present := _former().get(words, ())) == 1:
        words = present[0]
    return f"{TOPICS}{words}"


def _successors_day(key: str, general: Mapping[str, Json], day: date) -> date:
    present = _former().get(key.removeprefix(TOPICS), ())
    days = [_day(one.get("pubDate")) for one in general.values() if _words(str(one.get("title"))) in present]
    return min((one for one in days if one is not None), default=day)


def _day(text: object) -> date | None:
    try:
        return date.fromisoformat(str(text)[:10])
    except ValueError:
        return None
