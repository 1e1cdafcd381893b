"""What must hold for any draft: spans quote the text, nothing is supported by default, checks are quick."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reconciliation.check import check_document
from reconciliation.document import Sentence
from reconciliation.findings import Findings
from reconciliation.knowledge import Knowledge
from service_contracts.drafts import SectionKey
from service_contracts.evidence import DoseLimit, Interaction, RenalLimit, Severity
from service_contracts.quantity import Quantity
from service_contracts.reconciliation import ClaimKind, NotCheckedReason, Verdict

NAMES = ("Metformin", "Warfarin", "Ibuprofen", "Insulin glargine", "Amoxicillin/Clavulanate", "Zorbex")
WORDS = """take stop do not you may lift drive up to more than NEW: for every in within and or but , . ; ( ) as needed
by mouth once twice 1 2 3.5 1,000 5/325 mg g tablet tablets (500 pounds weeks days hours a day see your heart doctor
before after until tomorrow warfarin metformin Ibuprofen insulin glargine zorbex heavy pneumonia é µg ½"""
words = st.sampled_from([*WORDS.split(), "\n"])
texts = st.lists(words, min_size=1, max_size=25).map(" ".join) | st.text(max_size=80)
documents = st.lists(st.tuples(st.sampled_from(list(SectionKey)), texts), min_size=1, max_size=6)


def stay(make):
    return make.chart(
        medications=[make.medication(name, 500, times=2) for name in NAMES[:5]],
        conditions=[make.condition("Heart failure")],
        procedures=[make.procedure("Cholecystectomy")],
        allergies=[make.allergy("Penicillin")],
        orders=[
            make.order("activity", "No lifting above 20 lb for 2 weeks"),
            make.order("follow-up", "PCP in 10 days"),
        ],
        formulary_plan="gold",
    )


def answer(make):
    mg = Quantity(value=2550, unit="mg")
    egfr = Quantity(value=30, unit="mL/min/{1.73_m2}")
    facts = [
        make.fact("d", DoseLimit(ingredient="metformin", max_daily=mg)),
        make.fact("r", RenalLimit(ingredient="metformin", measure="egfr", below=egfr, action="avoid")),
        make.fact("i", Interaction(a="warfarin", b="ibuprofen", severity=Severity.HIGH, effect="bleeding")),
    ]
    return make.evidence(facts, [make.drug(name) for name in NAMES[:5]])


def placed(lines):
    counts = {}
    for section, text in lines:
        index = counts[section] = counts.get(section, -1) + 1
        yield Sentence(section, index, text)


@settings(max_examples=250, deadline=None)
@given(lines=documents, down=st.booleans())
def test_spans_quote_the_text_and_support_rests_on_something(make, lines, down):
    knowledge = Knowledge(() if down else (answer(make),), NotCheckedReason.SERVICE_DOWN if down else None)
    checked = check_document(stay(make), list(placed(lines)), knowledge)
    sections = {section.key: section.text for section in checked.sections}
    for item in (*checked.claims, *checked.flags):
        if item.span is not None:
            assert sections[item.span.section][item.span.start : item.span.end] == item.span.quote
            assert item.span.quote
    for claim in checked.claims:
        assert (claim.reason is None) == (claim.verdict is not Verdict.NOT_CHECKED)
        if claim.verdict is Verdict.SUPPORTED:
            assert not down
            assert claim.fact_ids or claim.chart
    contradicted = {claim.id for claim in checked.claims if claim.verdict is Verdict.CONTRADICTED}
    assert {flag.claim_id for flag in checked.flags} == contradicted
    known = {fact.id for fact in checked.facts}
    assert all(flag.fact_id is None or flag.fact_id in known for flag in checked.flags)
    assert all(flag.fact_id or flag.chart for flag in checked.flags)
    assert all(flag.correction is None or flag.span is not None for flag in checked.flags)
    assert len({claim.id for claim in checked.claims}) == len(checked.claims)
    assert len({flag.id for flag in checked.flags}) == len(checked.flags)


@settings(max_examples=100, deadline=None)
@given(lines=documents)
def test_checks_are_deterministic(make, lines):
    first, second = (check_document(stay(make), list(placed(lines)), Knowledge((answer(make),))) for _ in range(2))
    assert first == second


def test_support_without_a_fact_or_a_chart_item_is_an_error():
    with pytest.raises(ValueError, match="never by default"):
        Findings().supported(ClaimKind.DOSE, "anything", None)


def test_a_nine_drug_document_is_checked_in_less_than_fifty_milliseconds(make):
    names = [f"{stem}olol" for stem in ("aten", "biso", "car", "esm", "lab", "metopr", "nad", "pind", "prop")]
    facts = [make.fact(name, DoseLimit(ingredient=name, max_daily=Quantity(value=400, unit="mg"))) for name in names]
    known = Knowledge((make.evidence(facts, [make.drug(name) for name in names]),))
    of = make.chart(medications=[make.medication(name, 50, times=2) for name in names])
    lines = [
        Sentence(SectionKey.MEDICATIONS, n, f"Take 1 tablet (50 mg) of {name} by mouth 2 times a day with food.")
        for n, name in enumerate(names)
    ]
    checked = check_document(of, lines, known)
    assert len([claim for claim in checked.claims if claim.kind is ClaimKind.INTERACTION]) == 36
    best = min(_timed(of, lines, known) for _ in range(5))
    assert best < 50


def _timed(of, lines, known):
    began = time.perf_counter()
    check_document(of, lines, known)
    return (time.perf_counter() - began) * 1000
