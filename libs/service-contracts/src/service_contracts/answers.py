"""Questions about guidelines and literature, answered with sentences of documents in force and nothing else."""

from datetime import date
from enum import StrEnum

from pydantic import Field

from service_contracts.evidence import Passage
from service_contracts.model import Contract

__all__ = ["Abstention", "Answer", "AnswerQuery", "AnswerSentence", "QuestionKind"]


class QuestionKind(StrEnum):
    """Which documents a question is about: what somebody recommends, or what somebody reports."""

    GUIDELINE = "guideline"
    LITERATURE = "literature"


class Abstention(StrEnum):
    """Why there is no answer. ``NOT_VERIFIED``: what was found is not what came in with the version it names."""

    NOTHING_FOUND = "nothing-found"
    NOT_SUPPORTED = "not-supported"
    NOT_VERIFIED = "not-verified"
    DEADLINE = "deadline"


class AnswerQuery(Contract):
    """A question and the day on which the documents that answer it must be in force."""

    question: str = Field(min_length=3, max_length=2_000)
    kind: QuestionKind
    as_of: date
    limit: int = Field(default=5, ge=1, le=20)
    budget_ms: int = Field(gt=0)


class AnswerSentence(Contract):
    """One sentence, word for word: characters ``start`` to ``end`` (exclusive) of the passage ``passage_id``.

    ``support`` is the part of the question's meaning, by weight of its words, that the sentence speaks of in the
    context of its headings (0 to 1). ``words`` are the question's words found in it.
    """

    text: str
    passage_id: str
    start: int
    end: int
    support: float
    words: tuple[str, ...]


class Answer(Contract):
    """The sentences that answer, best first, and the passages they stand in, whole, so that a reader can check.

    ``abstained`` says why there are none; it is None if and only if there are some.
    """

    sentences: tuple[AnswerSentence, ...] = ()
    passages: tuple[Passage, ...] = ()
    abstained: Abstention | None = None
    index_version: str | None = None
