"""Questions to the open guidelines: is the answer the right recommendation, in the version of the day, and no other."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from retrieval.documents import in_force
from retrieval.index import Index
from retrieval.service import RetrievalService
from service_contracts.answers import Answer, AnswerQuery, QuestionKind
from service_contracts.evidence import Passage

from benchmarks.guideline_index import OLDER_EDITION

__all__ = ["NEWER_DAY", "Asked", "ask", "cited", "judged", "questions"]

NEWER_DAY = date(2024, 6, 1)
_DATA = Path(__file__).with_name("answer_questions.yaml")
_RECOMMENDATION = re.compile(r"#(\d+)(?:-\d+)?$")


@dataclass(frozen=True)
class Asked:
    """A question with what came of it. ``unsupported`` counts sentences that are not where they say, on that day."""

    question: str
    whence: str
    day: date
    answer: Answer
    right: bool
    other_version: bool
    unsupported: int
    cited: str
    about: str = ""


def questions() -> dict[str, list[Any]]:
    """Return the questions by the name of their list."""
    found: dict[str, list[Any]] = yaml.safe_load(_DATA.read_text("utf-8"))
    return found


async def ask(service: RetrievalService, question: str, day: date, kind: QuestionKind) -> Answer:
    """Ask as the route does."""
    return await service.answers_for(AnswerQuery(question=question, kind=kind, as_of=day, budget_ms=60_000))


async def judged(service: RetrievalService, index: Index, listed: Sequence[Mapping[str, Any]]) -> list[Asked]:
    """Ask each question for the newer day, and where the list says what is right then, for the older one."""
    found = []
    for one in listed:
        days = [(NEWER_DAY, one.get("right") or one.get("cites") or "none")]
        if one.get("earlier"):
            days.append((OLDER_EDITION, one["earlier"]))
        for day, right in days:
            answer = await ask(service, one["ask"], day, QuestionKind.GUIDELINE)
            found.append(await _judged(index, one, day, right, answer))
    return found


async def _judged(index: Index, one: Mapping[str, Any], day: date, right: Any, answer: Answer) -> Asked:
    passages = {passage.id: passage for passage in answer.passages}
    unsupported = other = 0
    for sentence in answer.sentences:
        passage = passages[sentence.passage_id]
        kept = await index.quoted(passage)
        stands = kept is not None and kept.text[sentence.start : sentence.end] == sentence.text
        unsupported += not stands
        other += not in_force(passage.source.effective_from, passage.source.superseded_on, day)
    first = answer.sentences[0] if answer.sentences else None
    stands_in = None if first is None else passages[first.passage_id]
    is_right = _is_right(one, right, stands_in, "" if first is None else first.text)
    place = "none" if stands_in is None else _place(stands_in)
    more = one.get("whence", ""), day, answer, is_right, bool(other), unsupported, place, one.get("about", "")
    return Asked(one["ask"], *more)


def cited(one: Mapping[str, Any], passage: Passage) -> bool:
    """Whether a passage is where the right answer of the newer day stands."""
    return _is_right(one, one["right"], passage, passage.text)


def _is_right(one: Mapping[str, Any], right: Any, passage: Passage | None, text: str) -> bool:
    if one.get("whence") == "cdc":
        return bool(text) and all(str(word).lower() in text.lower() for word in right)
    place = "none" if passage is None else _place(passage)
    return place in (right if isinstance(right, list) else [right])


def _place(passage: Passage) -> str:
    found = _RECOMMENDATION.search(passage.id)
    return f"{passage.source.version}/{found[1] if found else passage.id.rpartition('#')[2]}"
