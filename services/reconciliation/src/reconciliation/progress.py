"""How far one reconciliation is: sentences and evidence as they arrive, and what can be told from them."""

import time

from service_contracts.chart import Chart
from service_contracts.drafts import DraftEvent, DraftFinished, DraftSentence, DraftStarted, ModelIdentity, SectionKey
from service_contracts.evidence import Evidence
from service_contracts.reconciliation import CheckedSentence, NotCheckedReason, ReconciledDocument, StageTiming

from reconciliation.case import drug_names_in
from reconciliation.check import Checked, check_document
from reconciliation.document import Document, Sentence
from reconciliation.knowledge import Knowledge
from reconciliation.queries import known_names

__all__ = ["Progress"]

_Key = tuple[SectionKey, int]


class Progress:
    """Holds what has arrived. Sentences of a section are told in order, so that their spans stay true."""

    def __init__(self, chart: Chart) -> None:
        self._chart = chart
        self._began = time.perf_counter()
        self._model: ModelIdentity | None = None
        self._finished: DraftFinished | None = None
        self._sentences: dict[_Key, Sentence] = {}
        self._generated: set[_Key] = set()
        self._names: dict[_Key, frozenset[str]] = {}
        self._told: set[_Key] = set()
        self._asked = known_names(chart)
        self._waiting: set[frozenset[str]] = {frozenset()}
        self._answers: dict[frozenset[str], Evidence] = {}
        self._absent: NotCheckedReason | None = None
        self._timings: dict[str, float] = {}
        self._check_ms = 0.0
        self._draft_over = False

    @property
    def done(self) -> bool:
        """Whether draft and evidence are both complete."""
        return self._draft_over and not self._waiting

    def take(self, event: DraftEvent) -> frozenset[str]:
        """Take one event of the draft; return drug names that retrieval has not been asked about."""
        if isinstance(event, DraftStarted):
            self._model = event.model
        elif isinstance(event, DraftFinished):
            self._finished = event
            self._timings["draft"] = self._elapsed_ms()
        elif isinstance(event, DraftSentence):
            sentence = Sentence(event.section, event.index, event.text, event.sources)
            key = (event.section, event.index)
            self._sentences[key] = sentence
            if event.generated:
                self._generated.add(key)
            self._names[key] = frozenset(name.strip().lower() for name in drug_names_in(self._chart, sentence))
            new = self._names[key] - self._asked
            if new:
                self._asked |= new
                self._waiting.add(new)
            return new
        return frozenset()

    def draft_ended(self) -> None:
        """Note that no more sentences come."""
        self._draft_over = True

    def take_evidence(self, names: frozenset[str], answer: Evidence | None) -> None:
        """Take an answer of retrieval, or None when it gave none.

        Answers about names of the draft count only beside the answer about the chart.
        """
        self._waiting.discard(names)
        if answer is None:
            self._absent = NotCheckedReason.SERVICE_DOWN
        else:
            self._answers[names] = answer
        if not names:
            self._timings["evidence"] = self._elapsed_ms()

    def cut_off(self) -> None:
        """Note that the deadline has come: what is not here is not checked."""
        if self._waiting and self._absent is None:
            self._absent = NotCheckedReason.DEADLINE

    def checked_sentences(self) -> list[CheckedSentence]:
        """Return the sentences that can now be told with their claims; each is told once."""
        if frozenset() in self._waiting:
            return []
        ready: list[_Key] = []
        for key in sorted(self._sentences.keys() - self._told, key=lambda key: key[1]):
            before = key[1] == 0 or (key[0], key[1] - 1) in self._told
            if before and not any(self._names[key] & names for names in self._waiting):
                self._told.add(key)
                ready.append(key)
        if not ready:
            return []
        checked, document = self._check([self._sentences[key] for key in self._told], ("draft",))
        if not self._generated.isdisjoint(ready):
            self._timings.setdefault("first-checked-sentence", self._elapsed_ms())
        return [
            CheckedSentence(
                section=sentence.section,
                index=sentence.index,
                text=sentence.text,
                claims=tuple(
                    claim
                    for claim in checked.claims
                    if claim.span is not None
                    and claim.span.section == sentence.section
                    and (whole := document.whole(sentence)).start <= claim.span.start < whole.end
                ),
            )
            for sentence in (self._sentences[key] for key in ready)
        ]

    def document(self, task: str) -> ReconciledDocument | None:
        """Return the document of everything that is here, or None when there is nothing to show."""
        if self._model is None or not self._sentences:
            return None
        missing = self._missing()
        checked, _ = self._check(list(self._sentences.values()), missing)
        self._timings["check"] = self._check_ms
        self._timings["total"] = self._elapsed_ms()
        return ReconciledDocument(
            task=task,
            model=self._model,
            sections=checked.sections,
            claims=checked.claims,
            flags=checked.flags,
            facts=checked.facts,
            missing=missing,
            evidence_version=self._knowledge().version,
            timings=tuple(StageTiming(stage=name, elapsed_ms=round(ms, 3)) for name, ms in self._timings.items()),
        )

    def _missing(self) -> tuple[str, ...]:
        if self._finished is not None:
            return self._finished.missing or (() if self._finished.complete else ("draft",))
        # Cut off in the middle: sections without a sentence are missing, and the last one may be broken off.
        written = {section for section, _ in self._sentences}
        absent = [key.value for key in SectionKey if key not in written]
        return tuple(absent) or ("draft",)

    def _check(self, sentences: list[Sentence], missing: tuple[str, ...]) -> tuple[Checked, Document]:
        began = time.perf_counter()
        checked = check_document(self._chart, sentences, self._knowledge(), missing)
        self._check_ms += (time.perf_counter() - began) * 1000
        return checked, Document(sentences)

    def _knowledge(self) -> Knowledge:
        waiting = NotCheckedReason.DEADLINE if self._waiting else None
        answers = self._answers.values() if frozenset() in self._answers else ()
        return Knowledge(answers, self._absent or waiting)

    def _elapsed_ms(self) -> float:
        return (time.perf_counter() - self._began) * 1000
