"""A text that was given is judged as a draft is; what was not read or not checked is said."""

import asyncio
import time

import pytest
from litestar.testing import TestClient
from reconciliation.clients import EvidenceUnavailable
from reconciliation.given_text import GivenText
from reconciliation.ingress import build_ingress
from reconciliation.reconcile import Reconciler
from reconciliation.text_checker import TextChecker
from service_contracts.checks import CheckedText, CheckRequest, GivenSection
from service_contracts.drafts import SectionKey
from service_contracts.evidence import DoseLimit, Interaction, Severity, SubjectKind
from service_contracts.quantity import Quantity
from service_contracts.reconciliation import ClaimKind, NotCheckedReason, Verdict

MEDICINES = "Take warfarin 5 mg by mouth once a day. Take ibuprofen 1200 mg by mouth 3 times a day.\nKeep smiling."


class Facts:
    """Answers queries; can be slow, fail, or fail only from the second query on."""

    def __init__(self, make, *, wait_s=0.0, fail=False, fail_later=False):
        self.make, self.wait_s, self.fail, self.fail_later = make, wait_s, fail, fail_later
        self.queries = []

    async def evidence(self, query):
        self.queries.append(query)
        later = len(self.queries) > 1
        await asyncio.sleep(self.wait_s)
        if self.fail or (self.fail_later and later):
            raise EvidenceUnavailable
        interaction = Interaction(a="warfarin", b="ibuprofen", severity=Severity.HIGH, effect="more bleeding")
        limit = DoseLimit(ingredient="ibuprofen", max_daily=Quantity(value=3200, unit="mg"))
        subjects = [self.make.drug(subject.text) for subject in query.subjects if subject.kind is SubjectKind.DRUG]
        return self.make.evidence([self.make.fact("i", interaction), self.make.fact("d", limit)], subjects)


def request(make, text=MEDICINES, *, names=("warfarin", "ibuprofen"), section=SectionKey.MEDICATIONS, **more):
    orders = {
        "warfarin": make.medication("warfarin", 5, times=1, route="PO"),
        "ibuprofen": make.medication("ibuprofen", 1200, times=3, route="PO"),
        "metoprolol": make.medication("metoprolol", 25, times=2, route="PO"),
    }
    of = make.chart(medications=[orders[name] for name in names])
    return CheckRequest(
        chart=of, sections=(GivenSection(key=section, text=text),), budget_ms=more.pop("budget_ms", 2_000), **more
    )


async def check(make, wanted, **facts):
    return await TextChecker(Facts(make, **facts)).check(wanted)


async def test_every_claim_has_a_verdict_and_flags_quote_the_text_where_it_stands(make):
    answer = await check(make, request(make))
    verdicts = {(claim.kind, claim.verdict) for claim in answer.claims}
    assert (ClaimKind.DOSE, Verdict.CONTRADICTED) in verdicts and (
        ClaimKind.INTERACTION,
        Verdict.CONTRADICTED,
    ) in verdicts
    assert {flag.kind for flag in answer.flags} == {ClaimKind.DOSE, ClaimKind.INTERACTION}
    assert {flag.fact_id for flag in answer.flags} <= {fact.id for fact in answer.facts}
    for one in (*answer.claims, *answer.flags):
        assert one.span is None or MEDICINES[one.span.start : one.span.end] == one.span.quote
    assert [span.quote for span in answer.unread] == ["Keep smiling."]


async def test_a_drug_that_only_the_text_names_is_asked_for_too(make):
    facts = Facts(make)
    answer = await TextChecker(facts).check(request(make, names=("warfarin",)))
    assert [len(query.subjects) for query in facts.queries] == [1, 2]
    assert (ClaimKind.INTERACTION, Severity.HIGH) in {(flag.kind, flag.severity) for flag in answer.flags}


@pytest.mark.parametrize(
    ("facts", "budget_ms", "reason"),
    [
        ({"fail": True}, 2_000, NotCheckedReason.SERVICE_DOWN),
        ({"wait_s": 5.0}, 300, NotCheckedReason.DEADLINE),
    ],
)
async def test_without_evidence_nothing_is_supported_and_the_reason_is_given(make, facts, budget_ms, reason):
    began = time.monotonic()
    answer = await check(make, request(make, budget_ms=budget_ms), **facts)
    assert {(claim.verdict, claim.reason) for claim in answer.claims} == {(Verdict.NOT_CHECKED, reason)}
    assert (answer.flags, answer.facts, answer.evidence_version) == ((), (), None)
    assert (time.monotonic() - began) * 1000 < budget_ms + 200


async def test_when_the_second_question_fails_its_drug_is_not_checked(make):
    answer = await check(make, request(make, names=("warfarin",)), fail_later=True)
    of_ibuprofen = [
        claim for claim in answer.claims if "ibuprofen" in claim.assertion and claim.kind is not ClaimKind.CHART_FACT
    ]
    assert of_ibuprofen
    assert {(one.verdict, one.reason) for one in of_ibuprofen} == {(Verdict.NOT_CHECKED, NotCheckedReason.SERVICE_DOWN)}


async def test_an_omission_is_one_only_in_the_whole_document(make):
    names = ("warfarin", "ibuprofen", "metoprolol")
    omitted = {}
    for whole in (True, False):
        answer = await check(make, request(make, names=names, whole=whole))
        claims = [claim for claim in answer.claims if claim.span is None and "metoprolol" in claim.assertion]
        omitted[whole] = {claim.verdict for claim in claims}
    assert Verdict.CONTRADICTED in omitted[True]
    assert omitted[False] <= {Verdict.NOT_CHECKED}


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Take A 5 mg daily. Call us.", ["Take A 5 mg daily.", "Call us."]),
        ("Take A 5 mg\nonce a day.\nCall us.", ["Take A 5 mg once a day.", "Call us."]),
        ("- Take A\n- Take B", ["Take A", "Take B"]),
        ("Take 1.5 mg daily.", ["Take 1.5 mg daily."]),
        ("See Dr. Adams in 2 weeks. Rest.", ["See Dr. Adams in 2 weeks.", "Rest."]),
        ("A line\r\n\r\nAnother", ["A line", "Another"]),
        ("  \n ", []),
    ],
)
def test_sentences_keep_their_place(text, sentences):
    given = GivenText((GivenSection(key=SectionKey.DIET, text=text),))
    assert [one.text for one in given.sentences] == sentences
    for span in given.unread(()):
        there = text[span.start : span.end]
        assert len(there) == len(span.quote) and there.split() == span.quote.split()


async def accepts(header):
    return header == "Bearer right"


class Nothing:
    async def draft(self, request):
        raise AssertionError("nothing is drafted")
        yield


@pytest.mark.parametrize(
    ("change", "header", "status"),
    [
        ({}, "Bearer right", 200),
        ({}, "Bearer wrong", 401),
        ({"sections": []}, "Bearer right", 400),
        ({"sections": [{"key": "Marked", "text": "x"}]}, "Bearer right", 400),
        ({"budget_ms": 99_999}, "Bearer right", 400),
        ({"surname": "Marked"}, "Bearer right", 400),
    ],
)
def test_over_http_nothing_is_drafted_and_no_text_is_in_an_error_or_a_log(make, change, header, status, capsys):
    app = build_ingress(Reconciler(Nothing(), Facts(make)), accepts, max_body_bytes=20_000, max_budget_ms=10_000)
    body = request(make, "Marked should take warfarin 5 mg once a day.").model_dump(mode="json") | change
    with TestClient(app) as client:
        answer = client.post("/v1/checks", json=body, headers={"Authorization": header})
    assert answer.status_code == status
    if status == 200:
        assert CheckedText.model_validate(answer.json()).claims
    else:
        assert "Marked" not in answer.text
    assert "Marked" not in "".join(capsys.readouterr())
