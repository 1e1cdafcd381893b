"""Orders before they are signed: what is flagged, what is proposed, and what is not checked without evidence."""

import asyncio

import pytest
from reconciliation.case import build_case
from reconciliation.clients import EvidenceUnavailable
from reconciliation.knowledge import Knowledge
from reconciliation.order_checker import OrderChecker
from reconciliation.order_checks import check_draft_orders
from service_contracts.chart import ChartReference
from service_contracts.evidence import (
    AllergyClass,
    DoseLimit,
    FormularyStatus,
    Interaction,
    RenalLimit,
    ResolvedSubject,
    Severity,
    Subject,
    SubjectKind,
)
from service_contracts.order_checks import OrderCheckRequest, ProposedAction
from service_contracts.quantity import Coding
from service_contracts.reconciliation import ClaimKind, NotCheckedReason, Verdict


def known(name, *ingredients, classes=(), facts=()):
    return ResolvedSubject(
        subject=Subject(kind=SubjectKind.DRUG, text=name), ingredients=ingredients or (name.lower(),),
        fact_ids=tuple(facts), classes=tuple(classes),
    )  # fmt: skip


@pytest.fixture
def check(make):
    def run(orders, *, facts=(), subjects=None, beside=(), **chart):
        names = [one.name for one in (*orders, *beside)]
        answer = make.evidence(facts, subjects if subjects is not None else [known(name) for name in names])
        return check_draft_orders(make.chart(medications=tuple(beside), **chart), orders, Knowledge((answer,)))

    return run


def only(flags):
    (flag,) = flags
    return flag


def test_an_order_over_the_limit_is_flagged_with_its_fact_and_a_dose_within_it(make, check):
    limit = make.fact("max", DoseLimit(ingredient="simvastatin", max_daily=make.quantity(40, "mg")))
    checked = check([make.medication("Simvastatin", 80, times=1)], facts=[limit])
    flag = only(checked.flags)
    assert (flag.kind, flag.severity, flag.fact_id, flag.span) == (ClaimKind.DOSE, Severity.HIGH, "max", None)
    assert flag.chart[0].reference == "MedicationRequest/simvastatin"
    change, withdraw = checked.proposals
    assert (change.action, change.dose.value, change.times_per_day) == (ProposedAction.CHANGE, 40, 1)
    assert change.words == "Change to simvastatin 40 mg once a day"
    assert (withdraw.action, withdraw.order) == (ProposedAction.WITHDRAW, "MedicationRequest/simvastatin")


@pytest.mark.parametrize(
    ("ordered", "often", "most", "proposed"),
    [
        (80, 1, 40, (40, 1)),
        (100, 1, 30, (25, 1)),
        (1000, 6, 4000, (500, 6)),
        (600, 4, 1800, (300, 4)),
        (50, 4, 40, (12.5, 3)),
        (100, 1, 10, None),
    ],
)
def test_the_proposed_dose_keeps_the_rhythm_where_it_can(make, check, ordered, often, most, proposed):
    limit = make.fact("max", DoseLimit(ingredient="drug", max_daily=make.quantity(most, "mg")))
    checked = check([make.medication("Drug", ordered, times=often)], facts=[limit])
    changes = [one for one in checked.proposals if one.action is ProposedAction.CHANGE]
    assert [(one.dose.value, one.times_per_day) for one in changes] == ([proposed] if proposed else [])


def test_a_medicine_already_taken_is_not_judged_by_itself(make, check):
    limit = make.fact("max", DoseLimit(ingredient="simvastatin", max_daily=make.quantity(40, "mg")))
    checked = check(
        [make.medication("Aspirin", 81, times=1)], facts=[limit], beside=[make.medication("Simvastatin", 80, times=1)]
    )
    assert checked.flags == ()


def test_what_an_order_adds_up_to_with_what_is_taken_is_judged(make, check):
    limit = make.fact("max", DoseLimit(ingredient="acetaminophen", max_daily=make.quantity(4000, "mg")))
    checked = check(
        [make.medication("Acetaminophen", 1000, times=3)],
        facts=[limit],
        beside=[make.medication("Tylenol", 650, times=4)],
        subjects=[known("Acetaminophen"), known("Tylenol", "acetaminophen")],
    )
    dose = only([flag for flag in checked.flags if flag.kind is ClaimKind.DOSE])
    assert "5,600 mg" in dose.finding
    assert not [one for one in checked.proposals if one.action is ProposedAction.CHANGE]


def test_an_interaction_between_an_order_and_what_is_taken_is_flagged_once_on_the_order(make, check):
    fact = make.fact("pair", Interaction(a="aspirin", b="warfarin", severity=Severity.HIGH, effect="Bleeding"))
    checked = check(
        [make.medication("Aspirin", 325, times=1)],
        facts=[fact],
        beside=[make.medication("Warfarin", 5, times=1, change="continued"), make.medication("Digoxin")],
    )
    flag = only(checked.flags)
    assert [one.reference for one in flag.chart] == ["MedicationRequest/aspirin", "MedicationRequest/warfarin"]
    assert [(one.action, one.order) for one in checked.proposals] == [("withdraw", "MedicationRequest/aspirin")]


def test_the_strictest_source_decides_and_those_that_differ_are_named(make, check):
    facts = [
        make.fact(str(severity), Interaction(a="aspirin", b="warfarin", severity=severity, effect="Bleeding"))
        for severity in (Severity.LOW, Severity.HIGH, Severity.MODERATE)
    ]
    flag = only(check([make.medication("Aspirin")], facts=facts, beside=[make.medication("Warfarin")]).flags)
    assert (flag.severity, flag.fact_id) == (Severity.HIGH, "high")
    title = facts[0].source.title
    assert flag.finding.endswith(f"Sources differ: high by {title}, moderate by {title}; low by {title}.")


def test_two_medicines_that_are_both_taken_are_no_matter_of_the_order(make, check):
    fact = make.fact("pair", Interaction(a="digoxin", b="warfarin", severity=Severity.HIGH, effect="Bleeding"))
    checked = check([make.medication("Aspirin")], facts=[fact], beside=map(make.medication, ("Warfarin", "Digoxin")))
    assert checked.flags == ()
    assert not [claim for claim in checked.claims if "warfarin" in claim.assertion and "digoxin" in claim.assertion]


def test_an_order_against_a_recorded_allergy_is_flagged(make, check):
    group = make.fact("class", AllergyClass(name="penicillin", ingredients=("amoxicillin",)))
    checked = check(
        [make.medication("Amoxicillin", 500, times=3)],
        facts=[group],
        subjects=[known("Amoxicillin"), make.resolved(SubjectKind.ALLERGEN, "Penicillin", ["class:penicillin"])],
        allergies=(make.allergy("Penicillin"),),
    )
    flag = only(checked.flags)
    assert (flag.kind, flag.severity) == (ClaimKind.ALLERGY, Severity.HIGH)
    assert [one.reference for one in flag.chart] == ["MedicationRequest/amoxicillin", "AllergyIntolerance/penicillin"]


def test_an_order_that_the_kidneys_do_not_allow_is_flagged(make, check):
    limit = make.fact(
        "renal",
        RenalLimit(ingredient="metformin", measure="egfr", below=make.quantity(30, "mL/min/{1.73_m2}"), action="avoid"),
    )
    checked = check(
        [make.medication("Metformin", 1000, times=2)],
        facts=[limit],
        observations=(make.observation("eGFR", 22, "mL/min/{1.73_m2}", "33914-3"),),
    )
    flag = only(checked.flags)
    assert (flag.kind, flag.chart[0].reference) == (ClaimKind.RENAL, "MedicationRequest/metformin")
    assert [one.action for one in checked.proposals] == ["withdraw"]


def test_a_plan_that_does_not_cover_an_order_is_told(make, check):
    status = make.fact("plan", FormularyStatus(plan="p-1", drug="apixaban", covered=False))
    checked = check(
        [make.medication("Apixaban", 5, times=2)],
        facts=[status],
        subjects=[known("Apixaban", facts=["plan"])],
        formulary_plan="p-1",
    )
    flag = only(checked.flags)
    assert (flag.kind, flag.severity, checked.proposals) == (ClaimKind.FORMULARY, Severity.LOW, ())


@pytest.mark.parametrize(
    ("order", "beside", "said"),
    [
        (known("Ibuprofen"), known("Ibuprofen"), "Ibuprofen is already ordered for this patient."),
        (known("Motrin", "ibuprofen"), known("Ibuprofen"), "Motrin and ibuprofen both hold ibuprofen."),
        (
            known("Percocet", "acetaminophen", "oxycodone"),
            known("Acetaminophen"),
            "Percocet and acetaminophen both hold acetaminophen.",
        ),
        (
            known("Simvastatin", classes=["statin"]),
            known("Atorvastatin", classes=["statin"]),
            "Simvastatin and atorvastatin are both of the class statin.",
        ),
        (known("Morphine", classes=["opioid"]), known("Oxycodone", classes=["opioid"]), None),
        (known("Aspirin", classes=["nsaid"]), known("Ibuprofen", classes=["nsaid"]), None),
        (known("Metoprolol"), known("Lisinopril"), None),
    ],
)
def test_an_order_for_what_is_already_taken_is_flagged(make, check, order, beside, said):
    taken = make.medication(beside.subject.text).model_copy(update={"source": make.medication("Other").source})
    checked = check([make.medication(order.subject.text)], beside=[taken], subjects=[order, beside])
    flags = [flag for flag in checked.flags if flag.kind is ClaimKind.DUPLICATE]
    assert [flag.finding for flag in flags] == ([said] if said else [])
    if said:
        assert [one.action for one in checked.proposals] == [ProposedAction.WITHDRAW]
    else:
        (claim,) = [claim for claim in checked.claims if claim.kind is ClaimKind.DUPLICATE]
        assert (claim.verdict, len(claim.chart)) == (Verdict.SUPPORTED, 2)


def test_the_same_medicine_by_another_route_is_no_duplicate(make, check):
    drops = make.medication("Timolol", route="eye drops").model_copy(
        update={"source": make.medication("drops").source, "route": "ophthalmic"}
    )
    tablets = make.medication("Timolol", 10, times=2, route="oral")
    assert [flag for flag in check([drops], beside=[tablets]).flags if flag.kind is ClaimKind.DUPLICATE] == []


def test_a_medicine_nobody_knows_is_not_checked_and_never_safe(make, check):
    unknown = make.resolved(SubjectKind.DRUG, "Wonderdrug")
    checked = check([make.medication("Wonderdrug", 5)], beside=[make.medication("Aspirin")],
                    subjects=[unknown, known("Aspirin")])  # fmt: skip
    assert {claim.verdict for claim in checked.claims} == {Verdict.NOT_CHECKED}
    assert {claim.reason for claim in checked.claims} == {NotCheckedReason.UNRESOLVED}


class Facts:
    def __init__(self, make, delay_s=0.0, down=False):
        self.make, self.delay_s, self.down, self.queries = make, delay_s, down, []

    async def evidence(self, query):
        self.queries.append(query)
        await asyncio.sleep(self.delay_s)
        if self.down:
            raise EvidenceUnavailable
        return self.make.evidence([], [known(one.text) for one in query.subjects])


@pytest.mark.parametrize(
    ("fault", "reason"),
    [({"delay_s": 5.0}, NotCheckedReason.DEADLINE), ({"down": True}, NotCheckedReason.SERVICE_DOWN)],
)
async def test_evidence_that_is_late_or_absent_leaves_every_claim_not_checked(make, fault, reason):
    request = OrderCheckRequest(
        chart=make.chart(medications=(make.medication("Warfarin"),)),
        orders=(make.medication("Aspirin", 325, times=1),),
        budget_ms=150,
    )
    answer = await OrderChecker(Facts(make, **fault)).check(request)
    assert answer.claims
    assert {claim.reason for claim in answer.claims} == {reason}
    assert answer.evidence_version is None


async def test_everything_is_asked_in_one_question(make):
    facts = Facts(make)
    beside = tuple(make.medication(f"Drug{number}") for number in range(15))
    request = OrderCheckRequest(
        chart=make.chart(medications=beside, conditions=(make.condition("Asthma"),)),
        orders=(make.medication("Aspirin"),),
        budget_ms=400,
    )
    await OrderChecker(facts).check(request)
    (query,) = facts.queries
    assert len(query.subjects) == 16


def coded_orders(make):
    """Two orders whose words say nothing, told apart by their codes alone; and what each was understood as."""
    orders, subjects = [], []
    for code, ingredient in (("29046", "lisinopril"), ("9997", "spironolactone")):
        codes = (Coding(system="http://www.nlm.nih.gov/research/umls/rxnorm", code=code),)
        source = ChartReference(reference=f"MedicationRequest/{ingredient}")
        order = make.medication("Own supply", 50, times=1)
        orders.append(order.model_copy(update={"codes": codes, "source": source}))
        subject = Subject(kind=SubjectKind.DRUG, text="Own supply", codes=codes)
        subjects.append(ResolvedSubject(subject=subject, ingredients=(ingredient,)))
    return orders, subjects


def test_orders_of_the_same_words_are_told_apart_by_their_codes(make, check):
    orders, subjects = coded_orders(make)
    limit = make.fact("max", DoseLimit(ingredient="lisinopril", max_daily=make.quantity(40, "mg")))
    pair = Interaction(a="lisinopril", b="spironolactone", severity=Severity.MODERATE, effect="high potassium")
    interaction = make.fact("pair", pair)
    for given in (orders, orders[::-1]):
        flags = {flag.kind: flag for flag in check(given, facts=[limit, interaction], subjects=subjects).flags}
        assert flags.keys() == {ClaimKind.DOSE, ClaimKind.INTERACTION}
        assert [one.reference for one in flags[ClaimKind.DOSE].chart] == ["MedicationRequest/lisinopril"]


def test_a_draft_of_such_orders_is_checked_against_what_each_is(make):
    orders, subjects = coded_orders(make)
    case = build_case(
        make.chart(medications=tuple(orders)),
        make.sentences("Own supply: take 50 mg once a day.\nOwn supply: take 50 mg once a day."),
        Knowledge((make.evidence((), subjects),)),
    )
    assert sorted(drug.resolved.ingredients for drug in case.drugs) == [("lisinopril",), ("spironolactone",)]
