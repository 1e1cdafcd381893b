"""The orchestration under slow, failing and dying services: in time, honest about what was not checked."""

import asyncio
import time

import pytest
from reconciliation.clients import DraftingFailed, EvidenceUnavailable
from reconciliation.reconcile import Reconciler, Timeouts
from service_contracts.drafts import DraftFinished, DraftSentence, DraftStarted, ModelIdentity, SectionKey
from service_contracts.evidence import DoseLimit, Interaction, Severity, SubjectKind
from service_contracts.quantity import Quantity
from service_contracts.reconciliation import ClaimKind, NotCheckedReason, ReconcileRequest, Verdict

MODEL = ModelIdentity(
    base="b", base_digest="sha256:0", adapter="a", adapter_version="1", adapter_digest="sha256:1", template="t",
    template_version="1",
)  # fmt: skip
LINES = ("Take warfarin 5 mg by mouth once a day.", "Take ibuprofen 400 mg by mouth every 6 hours.")


class Drafter:
    """Streams sentences; can be slow, fail at once, die in the middle, or end too early."""

    def __init__(self, lines=LINES, *, wait_s=0.0, fail=None, die_after=None, finish=True, missing=(), order=None):
        self.lines, self.wait_s, self.fail, self.die_after = lines, wait_s, fail, die_after
        self.finish, self.missing, self.order = finish, missing, order
        self.closed = False

    async def draft(self, request):
        self.request = request
        try:
            if self.fail:
                raise self.fail
            yield DraftStarted(model=MODEL)
            for count, index in enumerate(self.order or range(len(self.lines))):
                if self.die_after == count:
                    raise DraftingFailed("drafting-unavailable", "drafting is not available")
                await asyncio.sleep(self.wait_s)
                yield DraftSentence(section=SectionKey.MEDICATIONS, index=index, text=self.lines[index])
            if self.finish:
                yield DraftFinished(complete=not self.missing, missing=self.missing)
        finally:
            self.closed = True


class Facts:
    """Answers queries; can be slow, fail, or fail only from the second query on."""

    def __init__(self, make, *, wait_s=0.0, fail=False, fail_later=False):
        self.make, self.wait_s, self.fail, self.fail_later = make, wait_s, fail, fail_later
        self.queries = []

    async def evidence(self, query):
        self.queries.append(query)
        await asyncio.sleep(self.wait_s)
        if self.fail or (self.fail_later and len(self.queries) > 1):
            raise EvidenceUnavailable
        interaction = Interaction(a="warfarin", b="ibuprofen", severity=Severity.HIGH, effect="more bleeding")
        limit = DoseLimit(ingredient="ibuprofen", max_daily=Quantity(value=3200, unit="mg"))
        subjects = [self.make.drug(subject.text) for subject in query.subjects if subject.kind is SubjectKind.DRUG]
        return self.make.evidence([self.make.fact("i", interaction), self.make.fact("d", limit)], subjects)


def request(make, budget_ms=2_000, names=("warfarin", "ibuprofen")):
    orders = {
        "warfarin": make.medication("warfarin", 5, times=1, route="PO"),
        "ibuprofen": make.medication("ibuprofen", 400, times=4, route="PO"),
    }
    of = make.chart(medications=[orders[name] for name in names])
    return ReconcileRequest(task="discharge-instructions", chart=of, budget_ms=budget_ms)


async def run(drafter, facts, wanted, timeouts=None):
    began = time.monotonic()
    events = [event async for event in Reconciler(drafter, facts, timeouts).reconcile(wanted)]
    return events, (time.monotonic() - began) * 1000


async def test_every_sentence_is_told_with_its_claims_and_the_document_comes_last(make):
    events, _ = await run(Drafter(), Facts(make), request(make))
    assert [event.event for event in events] == ["sentence", "sentence", "finished"]
    assert [event.text for event in events[:2]] == list(LINES)
    document = events[-1].document
    told = {claim.id: claim.verdict for event in events[:2] for claim in event.claims}
    final = {claim.id: claim.verdict for claim in document.claims}
    assert told.items() <= final.items()
    assert [flag.kind for flag in document.flags] == [ClaimKind.INTERACTION]
    assert {one.stage for one in document.timings} == {"draft", "evidence", "check", "first-checked-sentence", "total"}
    assert document.evidence_version == "v1"
    assert document.missing == ()


async def test_evidence_is_asked_for_while_the_draft_is_written(make):
    events, elapsed = await run(Drafter(wait_s=0.1), Facts(make, wait_s=0.2), request(make))
    assert events[-1].event == "finished"
    assert elapsed < 350


async def test_a_drug_that_only_the_draft_names_is_asked_for_in_a_second_query(make):
    facts = Facts(make)
    events, _ = await run(Drafter(), facts, request(make, names=("warfarin",)))
    assert len(facts.queries) == 2
    assert {subject.text for subject in facts.queries[1].subjects} == {"ibuprofen", "warfarin"}
    kinds = {(flag.kind, flag.severity) for flag in events[-1].document.flags}
    assert kinds == {(ClaimKind.INTERACTION, Severity.HIGH), (ClaimKind.CHART_FACT, Severity.HIGH)}


async def test_when_the_second_query_fails_its_drug_is_not_checked(make):
    events, _ = await run(Drafter(), Facts(make, fail_later=True), request(make, names=("warfarin",)))
    claims = [
        c for c in events[-1].document.claims if "ibuprofen" in c.assertion and c.kind is not ClaimKind.CHART_FACT
    ]
    assert claims
    assert {(claim.verdict, claim.reason) for claim in claims} == {(Verdict.NOT_CHECKED, NotCheckedReason.SERVICE_DOWN)}


async def test_with_retrieval_down_the_document_comes_and_nothing_in_it_is_shown_as_passed(make):
    events, elapsed = await run(Drafter(), Facts(make, fail=True), request(make))
    document = events[-1].document
    assert {(claim.verdict, claim.reason) for claim in document.claims} == {
        (Verdict.NOT_CHECKED, NotCheckedReason.SERVICE_DOWN)
    }
    assert [event.event for event in events] == ["sentence", "sentence", "finished"]
    assert document.flags == () and document.evidence_version is None
    assert elapsed < 500


async def test_retrieval_that_hangs_is_given_up_after_its_own_timeout(make):
    timeouts = Timeouts(evidence_ms=100)
    events, elapsed = await run(Drafter(), Facts(make, wait_s=60), request(make), timeouts)
    assert {claim.reason for claim in events[-1].document.claims} == {NotCheckedReason.SERVICE_DOWN}
    assert elapsed < 600


async def test_late_evidence_is_dropped_and_the_answer_is_in_time(make):
    events, elapsed = await run(Drafter(), Facts(make, wait_s=1.0), request(make, budget_ms=500))
    assert elapsed < 500
    assert {claim.reason for claim in events[-1].document.claims} == {NotCheckedReason.DEADLINE}
    assert events[-1].document.facts == ()


async def test_a_slow_draft_is_cut_off_and_says_what_is_missing(make):
    drafter = Drafter(wait_s=0.3)
    events, elapsed = await run(drafter, Facts(make), request(make, budget_ms=550))
    document = events[-1].document
    assert elapsed < 550
    assert document.sections[0].text == LINES[0]
    assert "follow-up" in document.missing
    left_out = next(claim for claim in document.claims if claim.span is None)
    assert (left_out.verdict, left_out.reason) == (Verdict.NOT_CHECKED, NotCheckedReason.DEADLINE)
    assert document.flags == ()
    assert drafter.closed


async def test_what_drafting_says_is_missing_is_passed_on(make):
    events, _ = await run(Drafter(LINES[:1], missing=("medications",)), Facts(make), request(make))
    assert events[-1].document.missing == ("medications",)


async def test_no_sentence_in_time_is_a_failure_and_no_empty_document(make):
    events, elapsed = await run(Drafter(wait_s=5), Facts(make), request(make, budget_ms=300))
    assert [(event.event, event.code) for event in events] == [("failed", "draft-incomplete")]
    assert elapsed < 300


@pytest.mark.parametrize("code", ["drafting-unavailable", "adapter-unknown", "adapter-refused", "overloaded"])
async def test_drafting_that_fails_is_passed_on_with_its_code(make, code):
    events, _ = await run(Drafter(fail=DraftingFailed(code, "why")), Facts(make), request(make))
    assert [(event.event, event.code) for event in events] == [("failed", code)]


async def test_a_draft_that_dies_in_the_middle_is_a_failure(make):
    events, _ = await run(Drafter(die_after=1), Facts(make), request(make))
    assert (events[-1].event, events[-1].code) == ("failed", "drafting-unavailable")


async def test_a_stream_that_just_ends_is_an_incomplete_draft(make):
    events, _ = await run(Drafter(finish=False), Facts(make), request(make))
    assert (events[-1].event, events[-1].code) == ("failed", "draft-incomplete")


async def test_sentences_that_finish_out_of_order_are_told_in_order(make):
    events, _ = await run(Drafter(order=(1, 0)), Facts(make), request(make))
    assert [event.index for event in events[:-1]] == [0, 1]
    assert events[-1].document.sections[0].text == "\n".join(LINES)


async def test_drafting_gets_less_than_the_whole_budget(make):
    drafter = Drafter()
    await run(drafter, Facts(make), request(make, budget_ms=1_000))
    assert drafter.request.budget_ms <= 850


async def test_a_caller_that_leaves_stops_the_work(make):
    drafter, facts = Drafter(wait_s=0.05), Facts(make)
    stream = Reconciler(drafter, facts).reconcile(request(make))
    async for _ in stream:
        break
    await stream.aclose()
    assert drafter.closed


async def test_the_same_request_gives_the_same_identifiers(make):
    first, _ = await run(Drafter(), Facts(make), request(make))
    second, _ = await run(Drafter(), Facts(make), request(make))
    assert [claim.id for claim in first[-1].document.claims] == [claim.id for claim in second[-1].document.claims]
    assert [flag.id for flag in first[-1].document.flags] == [flag.id for flag in second[-1].document.flags]
    everything = [claim.id for claim in first[-1].document.claims]
    assert len(everything) == len(set(everything))
