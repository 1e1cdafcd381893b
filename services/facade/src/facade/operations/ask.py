"""``$ask``: a question to guidelines or literature, answered word for word by documents in force, or not at all."""

from datetime import UTC, date, datetime
from typing import Any

from fhir_support.identifiers import identifier
from service_contracts.answers import Abstention, Answer, AnswerQuery, AnswerSentence, QuestionKind
from service_contracts.evidence import Passage
from service_contracts.tasks import task
from service_runtime.deadline import Deadline

from facade.fhir.audit import Call
from facade.operations.citations import document_of, passage_id, source_parts
from facade.operations.outcomes import warnings
from facade.operations.parameters import Inputs, out, parameters
from facade.operations.prepared import Answered, Prepared
from facade.operations.services import Knowing
from facade.resources.vocabulary import ai_meta

__all__ = ["AskOperation"]

_BUDGET_MS = {
    QuestionKind.GUIDELINE: task("guideline-question").budget_ms,
    QuestionKind.LITERATURE: task("literature-search").budget_ms,
}
_WHY = {
    Abstention.NOTHING_FOUND: "No document in force on {day} speaks of this; the question is not answered.",
    Abstention.NOT_SUPPORTED: "No sentence of the documents in force on {day} supports an answer.",
    Abstention.NOT_VERIFIED: "What was found in force on {day} does not stand so in the documents as they came in;"
    " none of it is cited.",
    Abstention.DEADLINE: "The time ran out before the documents were searched; the question is not answered.",
}


class AskOperation:
    """See ``definitions/ask.json``. The question may speak of a patient: it is neither kept nor logged."""

    def __init__(self, knowing: Knowing) -> None:
        self._knowing = knowing

    async def prepare(self, _: Call, inputs: Inputs) -> Prepared:
        """See ``PreparesOperation.prepare``."""
        question = inputs.required("question")
        words = str(question.value).strip()
        if not 3 <= len(words) <= 2_000:
            raise question.fault("A question of 3 to 2,000 characters is needed.")
        try:
            kind = QuestionKind(inputs.text("kind", QuestionKind.GUIDELINE))
        except ValueError:
            raise inputs.required("kind").fault(f"There are: {', '.join(QuestionKind)}.", "code-invalid") from None
        today = datetime.now(UTC).date()
        as_of = inputs.day("asOf", today)

        async def run(deadline: Deadline) -> Answered:
            query = AnswerQuery(question=words, kind=kind, as_of=as_of, budget_ms=deadline.remaining_ms)
            return Answered(_answered(await self._knowing.answers(query), as_of, today))

        return Prepared(None, _BUDGET_MS[kind], run)


def _answered(answer: Answer, as_of: date, today: date) -> dict[str, Any]:
    passages = {one.id: one for one in answer.passages}
    listed = [
        *(out("answer", "part", _sentence(one, passages[one.passage_id])) for one in answer.sentences),
        *(out("document", "resource", document_of(one, today)) for one in answer.passages),
    ]
    if answer.abstained is not None:
        listed.append(out("abstained", "code", answer.abstained.value))
        outcome = warnings([_WHY[answer.abstained].format(day=as_of.isoformat())])
        listed.append(out("outcome", "resource", outcome))
    listed.append(out("asOf", "date", as_of.isoformat()))
    if answer.index_version:
        listed.append(out("evidenceVersion", "string", answer.index_version))
    return parameters(listed, meta=ai_meta())


def _sentence(sentence: AnswerSentence, passage: Passage) -> list[dict[str, Any]]:
    return [
        out("sentence", "string", sentence.text),
        out("support", "decimal", sentence.support),
        out("document", "Reference", {"type": "DocumentReference", "identifier": identifier(passage_id(passage))}),
        out("start", "integer", sentence.start),
        out("end", "integer", sentence.end),
        *source_parts(passage.source),
    ]
