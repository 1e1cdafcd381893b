"""Activity, follow-up, reason and diet: tables of sentences and what must become of them."""

from datetime import UTC, datetime

import pytest
from reconciliation.check import check_document
from reconciliation.document import Sentence
from reconciliation.knowledge import Knowledge
from service_contracts.drafts import SectionKey
from service_contracts.evidence import (
    ActivityProtocol,
    ActivityRestriction,
    FollowUpInterval,
    Severity,
    SubjectKind,
)
from service_contracts.quantity import Quantity
from service_contracts.reconciliation import ClaimKind, NotCheckedReason, Verdict


def days(value):
    return Quantity(value=value, unit="d")


POUNDS_10 = Quantity(value=10, unit="[lb_av]")
PROTOCOL = ActivityProtocol(
    procedure="open gallbladder surgery",
    terms=("cholecystectomy",),
    restrictions=(
        ActivityRestriction(activity="lifting", limit=POUNDS_10, lasts=days(42)),
        ActivityRestriction(activity="driving", lasts=days(7)),
    ),
)


def after_surgery(make, **more):
    answer = make.evidence(
        [make.fact("p", PROTOCOL)], [make.resolved(SubjectKind.PROCEDURE, "Cholecystectomy", facts=("p",))]
    )
    return make.chart(procedures=[make.procedure("Cholecystectomy", **more)]), answer


def on(checked, activity):
    return [claim for claim in checked.claims if claim.span is not None and claim.assertion.startswith(activity)]


@pytest.mark.parametrize(
    ("sentence", "activity", "verdict"),
    [
        ("Do not lift anything heavier than 10 pounds for 6 weeks.", "lifting", "supported"),
        ("Do not lift more than 10 lb for 42 days.", "lifting", "supported"),
        ("Do not lift more than 4.5 kg for 6 weeks.", "lifting", "supported"),  # 9.9 pounds
        ("Do not lift more than 5 kg for 6 weeks.", "lifting", "contradicted"),  # 11 pounds
        ("Do not lift anything heavier than 10 pounds for 2 months.", "lifting", "supported"),
        ("Do not lift anything heavier than 10 pounds for 5 weeks.", "lifting", "contradicted"),
        ("Do not lift anything heavier than 20 pounds for 6 weeks.", "lifting", "contradicted"),
        ("Do not lift anything heavier than 20 pounds.", "lifting", "contradicted"),
        ("Do not lift anything heavier than 10 pounds.", "lifting", "not-checked"),
        ("Do not lift anything heavy for 6 weeks.", "lifting", "not-checked"),  # how heavy is not said
        ("Do not lift anything heavy for 2 weeks.", "lifting", "contradicted"),
        ("Do not lift anything for 6 weeks.", "lifting", "supported"),
        ("You may lift up to 50 pounds after 2 days.", "lifting", "contradicted"),
        ("You may lift up to 10 pounds.", "lifting", "supported"),
        ("You may lift up to 50 pounds after 6 weeks.", "lifting", "supported"),
        ("You may lift anything you like.", "lifting", "contradicted"),
        ("You can drive tomorrow.", "driving", "contradicted"),
        ("You can drive.", "driving", "contradicted"),
        ("You can drive after 1 week.", "driving", "supported"),
        ("You can drive in 6 days.", "driving", "contradicted"),
        ("Do not drive for 24 hours.", "driving", "contradicted"),
        ("Do not drive for 7 days.", "driving", "supported"),
        ("Do not drive until your surgeon says it is okay.", "driving", "supported"),
        ("Do not take a bath for 2 weeks.", "bathing", "no-evidence"),
    ],
)
def test_activity_against_the_protocol(make, check, sentence, activity, verdict):
    of, answer = after_surgery(make)
    checked = check(sentence, of, answer, SectionKey.ACTIVITY)
    assert [claim.verdict for claim in on(checked, activity)] == [verdict]


def test_a_permission_for_everything_is_read_as_one_for_what_is_forbidden(make, check):
    of, answer = after_surgery(make)
    checked = check("You can go back to all of your normal activities right away.", of, answer, SectionKey.ACTIVITY)
    assert [claim.verdict for claim in on(checked, "all activities")] == [Verdict.CONTRADICTED]
    assert on(check("Slowly go back to your normal activities.", of, answer, SectionKey.ACTIVITY), "all") == []


def test_the_correction_is_the_protocols_own_restriction(make, check):
    of, answer = after_surgery(make)
    flag = check("You may lift up to 50 pounds after 2 days.", of, answer, SectionKey.ACTIVITY).flags[0]
    assert (flag.severity, flag.fact_id) == (Severity.HIGH, "p")
    assert flag.correction == "Do not lift more than 10 pounds for 6 weeks."


def test_a_restriction_nobody_wrote_down_is_flagged_as_left_out(make, check):
    of, answer = after_surgery(make)
    checked = check("Do not drive for 7 days.", of, answer, SectionKey.ACTIVITY)
    flags = [(flag.span, flag.severity, flag.finding) for flag in checked.flags]
    assert flags == [
        (
            None,
            Severity.MODERATE,
            "The document leaves out what the protocol after open gallbladder surgery says: "
            "Do not lift more than 10 pounds for 6 weeks.",
        )
    ]


def test_days_in_the_hospital_after_the_procedure_count(make, check):
    done, left = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 5, tzinfo=UTC)
    of, answer = after_surgery(make, performed=done)
    of = of.model_copy(update={"discharged": left})
    claim = on(check("Do not drive for 3 days.", of, answer, SectionKey.ACTIVITY), "driving")[0]
    assert claim.verdict is Verdict.SUPPORTED
    late = on(check("Do not drive for 2 days.", of, answer, SectionKey.ACTIVITY), "driving")[0]
    assert late.verdict is Verdict.CONTRADICTED


@pytest.mark.parametrize(
    ("sentence", "verdict"),
    [
        ("Do not lift more than 20 pounds for 2 weeks.", "supported"),
        ("Do not lift more than 25 pounds for 2 weeks.", "contradicted"),
        ("Do not lift more than 20 pounds for 1 week.", "contradicted"),
    ],
)
def test_activity_against_the_order_where_there_is_no_protocol(make, check, sentence, verdict):
    of = make.chart(orders=[make.order("activity", "No lifting above 20 lb for 2 weeks")])
    checked = check(sentence, of, make.evidence(), SectionKey.ACTIVITY)
    assert [(claim.kind, claim.verdict) for claim in checked.claims] == [(ClaimKind.CHART_FACT, verdict)]


def heart_failure(make, **more):
    body = FollowUpInterval(
        subject="heart failure", terms=("heart failure",), visit="cardiology visit", within=days(14)
    )
    answer = make.evidence(
        [make.fact("f", body)], [make.resolved(SubjectKind.CONDITION, "Heart failure", facts=("f",))]
    )
    return make.chart(conditions=[make.condition("Heart failure")], **more), answer


@pytest.mark.parametrize(
    ("sentence", "verdict"),
    [
        ("See your heart doctor in 6 weeks.", "contradicted"),
        ("See your heart doctor within 14 days.", "supported"),
        ("See your heart doctor in 2 weeks.", "supported"),
        ("See your heart doctor in 15 days.", "contradicted"),
        ("Come back within 7 to 14 days.", "supported"),
        ("Come back within 14 to 21 days.", "contradicted"),
        ("See your heart doctor soon.", "not-checked"),
        ("See your heart doctor tomorrow.", "supported"),
    ],
)
def test_follow_up_interval(make, check, sentence, verdict):
    of, answer = heart_failure(make)
    checked = check(sentence, of, answer, SectionKey.FOLLOW_UP)
    assert [claim.verdict for claim in checked.claims if claim.kind is ClaimKind.FOLLOW_UP] == [verdict]


def test_the_late_interval_alone_is_replaced(make, check):
    of, answer = heart_failure(make)
    flag = check("See your heart doctor in 6 weeks for a check.", of, answer, SectionKey.FOLLOW_UP).flags[0]
    assert (flag.span.quote, flag.correction) == ("in 6 weeks", "within 14 days")
    assert "6 weeks" in flag.finding and "14 days" in flag.finding


def test_a_visit_to_another_specialty_does_not_meet_the_need(make, check):
    of, answer = heart_failure(make)
    text = "See your heart doctor in 6 weeks.\nSee your bone doctor in 1 week."
    checked = check(text, of, answer, SectionKey.FOLLOW_UP)
    assert [claim.verdict for claim in checked.claims if claim.kind is ClaimKind.FOLLOW_UP] == [
        "contradicted",
        "no-evidence",
    ]


def test_a_needed_visit_nobody_wrote_down_is_flagged(make, check):
    of, answer = heart_failure(make)
    checked = check("Call us with questions.", of, answer, SectionKey.FOLLOW_UP)
    assert [(flag.kind, flag.span) for flag in checked.flags] == [(ClaimKind.FOLLOW_UP, None)]


def test_a_blood_test_is_no_visit(make, check):
    of, answer = heart_failure(make)
    checked = check("Get blood tests in 3 days.", of, answer, SectionKey.FOLLOW_UP)
    assert [flag.span for flag in checked.flags] == [None]


def test_a_warning_to_come_back_is_no_visit(make, check):
    checked = check("Come back if the pain gets worse.", make.chart(), make.evidence(), SectionKey.FOLLOW_UP)
    assert checked.claims == ()


@pytest.mark.parametrize(
    ("sentence", "verdict"),
    [("See your doctor in 10 days.", "supported"), ("See your doctor in 3 weeks.", "contradicted")],
)
def test_follow_up_against_the_order(make, check, sentence, verdict):
    of = make.chart(orders=[make.order("follow-up", "Follow up with PCP in 7-10 days.", within=days(10))])
    checked = check(sentence, of, make.evidence(), SectionKey.FOLLOW_UP)
    assert [(claim.kind, claim.verdict) for claim in checked.claims] == [(ClaimKind.CHART_FACT, verdict)]


@pytest.mark.parametrize(
    ("sentence", "conditions", "verdict"),
    [
        ("You were in the hospital because of a heart attack.", ["Acute myocardial infarction"], "supported"),
        ("You were in the hospital because of heart failure.", ["Heart failure (CHF)"], "supported"),
        ("You were treated for pneumonia.", ["Heart failure (CHF)"], "contradicted"),
        ("You had trouble with your hip.", ["Fracture of neck of femur"], "not-checked"),
        ("You were in the hospital for a broken hip.", ["Fracture of neck of femur"], "supported"),
    ],
)
def test_reason_for_the_stay(make, check, sentence, conditions, verdict):
    of = make.chart(conditions=[make.condition(one) for one in conditions])
    checked = check(sentence, of, make.evidence(), SectionKey.REASON)
    assert [claim.verdict for claim in checked.claims] == [verdict]


@pytest.mark.parametrize(
    ("sentence", "verdict"),
    [
        ("Eat less than 2,000 mg of sodium a day.", "supported"),
        ("Eat less than 4,000 mg of sodium a day.", "contradicted"),
    ],
)
def test_diet_against_the_order(make, check, sentence, verdict):
    of = make.chart(orders=[make.order("diet", "Low sodium diet, 2 g sodium")])
    checked = check(sentence, of, make.evidence(), SectionKey.DIET)
    assert [claim.verdict for claim in checked.claims] == [verdict]


def test_without_evidence_plans_are_not_checked(make):
    of, _ = after_surgery(make)
    lines = [
        Sentence(SectionKey.ACTIVITY, 0, "You may lift up to 50 pounds after 2 days."),
        Sentence(SectionKey.FOLLOW_UP, 0, "See your heart doctor in 6 weeks."),
    ]
    checked = check_document(of, lines, Knowledge((), NotCheckedReason.DEADLINE))
    assert {(claim.verdict, claim.reason) for claim in checked.claims} == {
        (Verdict.NOT_CHECKED, NotCheckedReason.DEADLINE)
    }
    assert checked.flags == ()


@pytest.mark.parametrize(
    ("build", "section", "text"),
    [
        (after_surgery, SectionKey.ACTIVITY, "Rest at home."),
        (heart_failure, SectionKey.FOLLOW_UP, "Call us with questions."),
    ],
)
def test_accepting_what_is_left_out_answers_the_flag(make, check, build, section, text):
    of, answer = build(make)
    added = [flag.correction for flag in check(text, of, answer, section).flags if flag.span is None]
    assert added
    assert None not in added
    assert check("\n".join([text, *added]), of, answer, section).flags == ()
