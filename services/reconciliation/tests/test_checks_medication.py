"""Doses, kidneys, interactions, allergies, formulary and orders: tables of sentences and what must become of them."""

import pytest
from service_contracts.evidence import (
    AllergyClass,
    DoseLimit,
    FactKind,
    FormularyStatus,
    Interaction,
    RenalLimit,
    Severity,
    SubjectKind,
)
from service_contracts.quantity import Quantity
from service_contracts.reconciliation import ClaimKind, NotCheckedReason, Verdict


def mg(value):
    return Quantity(value=value, unit="mg")


DAILY = {"metformin": 2550, "ibuprofen": 3200, "acetaminophen": 4000, "atorvastatin": 80, "oxycodone": 120}


def dose_evidence(make, *texts):
    facts = [make.fact(f"dose-{one}", DoseLimit(ingredient=one, max_daily=mg(most))) for one, most in DAILY.items()]
    known = {
        "oxycodone/acetaminophen": ("acetaminophen", "oxycodone"),
        "tylenol": ("acetaminophen",),
        **{one: (one,) for one in DAILY},
    }
    subjects = [make.drug(text, *known.get(text.lower(), (text.lower(),))) for text in texts]
    return make.evidence(facts, subjects)


def verdicts(checked, kind):
    return [claim.verdict for claim in checked.claims if claim.kind is kind]


@pytest.mark.parametrize(
    ("sentence", "verdict"),
    [
        ("Take 1 tablet (500 mg) of metformin by mouth 2 times a day with food.", "supported"),
        ("Take metformin 850 mg by mouth 3 times a day.", "supported"),  # 2,550: exactly the limit
        ("Take metformin 1,500 mg by mouth 3 times a day.", "contradicted"),
        ("Take metformin 1.5 g by mouth three times daily.", "contradicted"),
        ("Take metformin 1 g by mouth twice a day.", "supported"),
        ("Take metformin 1500 mg every 8 hours.", "contradicted"),
        ("Take metformin 1500 mg.", "not-checked"),  # no frequency
        ("Take metformin twice a day.", "not-checked"),  # no dose
        ("Take metformin 3000 mg.", "contradicted"),  # more at one time than in a day
        ("Take 2 tablets (1,000 mg) of acetaminophen 4 times a day.", "supported"),  # 4,000: exactly the limit
        ("Take 2 tablets of acetaminophen 650 mg every 4 hours.", "contradicted"),
        ("Take 2 tablets (500 mg each) of acetaminophen every 6 hours.", "supported"),
        ("Take two 500 mg tablets of acetaminophen every 4 hours.", "contradicted"),
        ("Take acetaminophen 1,000 mg every 4 hours, up to 4 times a day.", "supported"),
        ("Take acetaminophen 1,000 mg every 4 hours. Do not take more than 3,000 mg in a day.", "supported"),
        ("Take acetaminophen as needed. Do not take more than 5,000 mg in a day.", "contradicted"),
        ("Take ibuprofen 400 to 800 mg every 6 hours as needed for pain.", "supported"),  # 3,200: exactly
        ("Take ibuprofen 400 to 800 mg every 4 to 6 hours as needed for pain.", "contradicted"),
        ("Take ibuprofen 400 mg as needed.", "not-checked"),
        ("Take atorvastatin 80 mg at bedtime.", "supported"),
        ("Take atorvastatin 80 mg in the morning and at bedtime.", "contradicted"),
        ("Take oxycodone/acetaminophen 5/325 mg by mouth every 4 to 6 hours as needed.", "supported"),
        ("Take 3 tablets of oxycodone/acetaminophen 10/650 mg every 4 hours.", "contradicted"),
        ("Take oxycodone/acetaminophen 325 mg every 4 hours.", "not-checked"),  # whose 325 mg?
        ("Take Tylenol 650 mg every 6 hours.", "supported"),
        ("Take atenolol 50 mg once a day.", "no-evidence"),
    ],
)
def test_dose_against_the_daily_limit(make, check, sentence, verdict):
    names = [
        "metformin",
        "ibuprofen",
        "acetaminophen",
        "atorvastatin",
        "Tylenol",
        "atenolol",
        "oxycodone/acetaminophen",
    ]
    checked = check(
        sentence, make.chart(medications=[make.medication(one) for one in names]), dose_evidence(make, *names)
    )
    assert verdicts(checked, ClaimKind.DOSE) == [verdict]


def test_a_flagged_dose_gives_both_numbers_and_the_orders_own_dose_as_correction(make, check):
    of = make.chart(medications=[make.medication("Metformin", 500, times=2)])
    checked = check("Take metformin 1500 mg by mouth 3 times a day.", of, dose_evidence(make, "Metformin"))
    flag = next(flag for flag in checked.flags if flag.kind is ClaimKind.DOSE)
    assert flag.severity is Severity.HIGH
    assert "4,500 mg" in flag.finding and "2,550 mg" in flag.finding
    assert flag.fact_id == "dose-metformin"
    assert (flag.span.quote, flag.correction) == ("1500 mg by mouth 3 times a day", "500 mg by mouth 2 times a day")


def test_an_order_that_is_itself_above_the_limit_is_never_offered_as_correction(make, check):
    of = make.chart(medications=[make.medication("Metformin", 1500, times=3)])
    checked = check("Take metformin 1500 mg 3 times a day.", of, dose_evidence(make, "Metformin"))
    flag = next(flag for flag in checked.flags if flag.kind is ClaimKind.DOSE)
    assert flag.correction == "Ask your care team to confirm your dose of metformin before you take it."


def test_the_limit_of_one_product_never_flags_the_dose_of_another_product_of_its_ingredient(make, check):
    tablets = DoseLimit(ingredient="fenofibrate", products=("200346",), max_daily=mg(160))
    capsules = DoseLimit(ingredient="fenofibrate", products=("483425",), max_daily=mg(200))
    renal = RenalLimit(
        ingredient="fenofibrate", products=("200346",), measure="egfr", action="limit", max_daily=mg(54),
        below=Quantity(value=60, unit="mL/min/{1.73_m2}"),
    )  # fmt: skip
    facts = [make.fact("tablets", tablets), make.fact("capsules", capsules), make.fact("renal", renal)]
    one, other = "Tricor", "Lofibra"
    subjects = [
        make.drug(one, "fenofibrate", facts=["tablets", "renal"]),
        make.drug(other, "fenofibrate", facts=["capsules"]),
    ]

    def dose(name, amount):
        kidneys = make.observation("eGFR", 40, "mL/min/{1.73_m2}", "33914-3")
        of = make.chart(medications=[make.medication(name, amount, times=1)], observations=[kidneys])
        checked = check(f"Take {name} {amount} mg once a day.", of, make.evidence(facts, subjects))
        return [*verdicts(checked, ClaimKind.DOSE), *verdicts(checked, ClaimKind.RENAL)]

    assert dose(other, 200) == ["supported", "no-evidence"]
    assert dose(other, 201) == ["contradicted", "no-evidence"]
    assert dose(one, 160) == ["supported", "contradicted"]
    assert dose(one, 200) == ["contradicted", "contradicted"]
    # What is found for the drug alone, whatever product, holds for none of the two.
    alone = [make.drug("Fenofibrate", "fenofibrate")]
    checked = check(
        "Take fenofibrate 200 mg once a day.",
        make.chart(medications=[make.medication("Fenofibrate", 200, times=1)]),
        make.evidence(facts, alone),
    )
    assert verdicts(checked, ClaimKind.DOSE) == ["no-evidence"]


def test_the_limit_of_one_product_says_nothing_of_the_sum_of_two(make, check):
    fact = make.fact("tablets", DoseLimit(ingredient="fenofibrate", products=("200346",), max_daily=mg(160)))
    names = ("Lofibra", "Tricor")
    subjects = [make.drug(names[0], "fenofibrate"), make.drug(names[1], "fenofibrate", facts=["tablets"])]
    of = make.chart(medications=[make.medication(one, 100, times=1) for one in names])
    text = "\n".join(f"Take {one} 100 mg once a day." for one in names)
    checked = check(text, of, make.evidence([fact], subjects))
    assert verdicts(checked, ClaimKind.DOSE) == ["no-evidence", "supported", "no-evidence"]


def test_one_ingredient_in_two_medicines_is_added_up(make, check):
    names = ("Acetaminophen", "Oxycodone/Acetaminophen")
    of = make.chart(medications=[make.medication(names[0], 1000, times=3), make.medication(names[1])])
    text = "Take acetaminophen 1,000 mg 3 times a day.\nTake oxycodone/acetaminophen 5/325 mg every 4 hours."
    checked = check(text, of, dose_evidence(make, *names))
    assert verdicts(checked, ClaimKind.DOSE) == ["supported", "supported", "contradicted"]
    flag = next(flag for flag in checked.flags if flag.kind is ClaimKind.DOSE)
    assert "4,950 mg of acetaminophen" in flag.finding


@pytest.mark.parametrize(
    ("population", "indication", "age", "condition", "verdict"),
    [
        (None, None, 60, None, "contradicted"),
        ("adults", None, 60, None, "contradicted"),
        (None, None, 9, None, "no-evidence"),  # a limit for adults says nothing about a child
        ("children", None, 9, None, "contradicted"),
        ("children", None, 60, None, "no-evidence"),
        ("hepatic impairment", None, 60, None, "no-evidence"),
        ("geriatric", None, 60, None, "no-evidence"),
        ("geriatric", None, 70, None, "contradicted"),
        (None, "rheumatoid arthritis", 60, "Rheumatoid arthritis", "contradicted"),
        (None, "fever", 60, None, "contradicted"),  # above every limit there is, whatever it is for
    ],
)
def test_a_limit_holds_for_its_population_and_indication(make, check, population, indication, age, condition, verdict):
    body = DoseLimit(ingredient="ibuprofen", max_daily=mg(3200), population=population, indication=indication)
    answer = make.evidence([make.fact("f", body)], [make.drug("ibuprofen")])
    conditions = [make.condition(condition)] if condition else []
    of = make.chart(age_years=age, conditions=conditions, medications=[make.medication("ibuprofen")])
    checked = check("Take ibuprofen 1,200 mg 3 times a day.", of, answer)
    assert verdicts(checked, ClaimKind.DOSE) == [verdict]


@pytest.mark.parametrize(("age", "verdict"), [(60, "supported"), (70, "contradicted")])
def test_the_limit_for_older_patients_takes_the_place_of_the_adult_one(make, check, age, verdict):
    bodies = [
        DoseLimit(ingredient="ibuprofen", max_daily=mg(3200)),
        DoseLimit(ingredient="ibuprofen", max_daily=mg(1200), population="geriatric"),
    ]
    answer = make.evidence([make.fact(f"f{n}", body) for n, body in enumerate(bodies)], [make.drug("ibuprofen")])
    of = make.chart(age_years=age, medications=[make.medication("ibuprofen")])
    checked = check("Take ibuprofen 600 mg 4 times a day.", of, answer)
    assert verdicts(checked, ClaimKind.DOSE) == [verdict]


def test_between_two_limits_nothing_is_claimed(make, check):
    bodies = [DoseLimit(ingredient="ibuprofen", max_daily=mg(most)) for most in (1200, 3200)]
    answer = make.evidence([make.fact(f"f{n}", body) for n, body in enumerate(bodies)], [make.drug("ibuprofen")])
    of = make.chart(medications=[make.medication("ibuprofen")])
    claim = next(
        c for c in check("Take ibuprofen 600 mg 4 times a day.", of, answer).claims if c.kind is ClaimKind.DOSE
    )
    assert (claim.verdict, claim.reason) == (Verdict.NOT_CHECKED, NotCheckedReason.INCOMPLETE)


@pytest.mark.parametrize(
    ("egfr", "sentence", "verdict", "severity"),
    [
        (25, "Take metformin 500 mg twice a day.", "contradicted", "high"),
        (30, "Take metformin 500 mg twice a day.", "supported", None),  # exactly at the limit is not below it
        (40, "Take metformin 500 mg twice a day.", "supported", None),
        (40, "Take metformin 1000 mg twice a day.", "contradicted", "high"),
        (40, "Take metformin.", "not-checked", None),
        (90, "Take metformin 1000 mg twice a day.", "supported", None),
        (None, "Take metformin 500 mg twice a day.", "not-checked", None),
    ],
)
def test_renal_limits(make, check, egfr, sentence, verdict, severity):
    limit = {"ingredient": "metformin", "measure": "egfr"}
    facts = [
        make.fact("avoid", RenalLimit(below=Quantity(value=30, unit="mL/min/{1.73_m2}"), action="avoid", **limit)),
        make.fact(
            "limit",
            RenalLimit(below=Quantity(value=45, unit="mL/min/{1.73_m2}"), action="limit", max_daily=mg(1000), **limit),
        ),
    ]  # fmt: skip
    seen = [make.observation("eGFR", egfr, "mL/min/1.73m2", "98979-8")] if egfr else []
    of = make.chart(medications=[make.medication("metformin")], observations=seen)
    checked = check(sentence, of, make.evidence(facts, [make.drug("metformin")]))
    assert verdicts(checked, ClaimKind.RENAL) == [verdict]
    assert [flag.severity for flag in checked.flags if flag.kind is ClaimKind.RENAL] == ([severity] if severity else [])


def test_a_clearance_limit_without_a_weight_is_not_checked(make, check):
    body = RenalLimit(ingredient="dabigatran", measure="crcl", below=Quantity(value=30, unit="mL/min"), action="avoid")
    answer = make.evidence([make.fact("f", body)], [make.drug("dabigatran")])
    creatinine = make.observation("Creatinine", 4.0, "mg/dL", "2160-0")
    of = make.chart(medications=[make.medication("dabigatran")], observations=[creatinine])
    assert verdicts(check("Take dabigatran 150 mg twice a day.", of, answer), ClaimKind.RENAL) == ["not-checked"]
    weighed = of.model_copy(update={"observations": (creatinine, make.observation("Weight", 70, "kg", "29463-7"))})
    assert verdicts(check("Take dabigatran 150 mg twice a day.", weighed, answer), ClaimKind.RENAL) == ["contradicted"]


PENICILLINS = ("amoxicillin", "ampicillin")
INTERACTION = Interaction(
    a="warfarin", b="class:nsaid", severity=Severity.HIGH, effect="more bleeding", management="Avoid together"
)


def pair(make, *names, change=None):
    facts = [make.fact("i", INTERACTION)]
    listed = {"warfarin": ("i",), "ibuprofen": ("i",), "naproxen": ("i",)}
    subjects = [make.drug(name, facts=listed.get(name, ())) for name in names]
    return make.chart(medications=[make.medication(name) for name in names]), make.evidence(facts, subjects)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("warfarin", "ibuprofen"), ["contradicted"]),
        (("ibuprofen", "warfarin"), ["contradicted"]),
        (("warfarin", "metformin"), ["no-evidence"]),
        (("ibuprofen", "naproxen"), ["no-evidence"]),  # both on the class side of one fact: no pair of it
        (("warfarin", "ibuprofen", "metformin"), ["contradicted", "no-evidence", "no-evidence"]),
    ],
)
def test_every_pair_is_judged(make, check, names, expected):
    of, answer = pair(make, *names)
    text = "\n".join(f"Take {name} 5 mg once a day." for name in names)
    assert verdicts(check(text, of, answer), ClaimKind.INTERACTION) == expected


def test_a_stopped_medicine_makes_no_pair(make, check):
    of, answer = pair(make, "warfarin", "ibuprofen")
    assert (
        verdicts(check("Stop taking warfarin.\nTake ibuprofen 400 mg once a day.", of, answer), ClaimKind.INTERACTION)
        == []
    )


def test_a_high_interaction_with_a_new_medicine_offers_a_safe_sentence(make, check):
    of, answer = pair(make, "warfarin", "ibuprofen")
    checked = check("Take warfarin 5 mg once a day.\nTake ibuprofen 400 mg once a day.", of, answer)
    flag = next(flag for flag in checked.flags if flag.kind is ClaimKind.INTERACTION)
    assert flag.span.quote == "Take ibuprofen 400 mg once a day."
    assert flag.correction == "Do not take ibuprofen while you take warfarin. Ask your care team what to take instead."


def test_an_unresolved_drug_is_not_checked_and_never_safe(make, check):
    of = make.chart(medications=[make.medication("warfarin"), make.medication("Zorbex")])
    answer = make.evidence([], [make.drug("warfarin"), make.resolved(SubjectKind.DRUG, "Zorbex")])
    checked = check("Take warfarin 5 mg once a day.\nTake Zorbex 10 mg once a day.", of, answer)
    claims = [
        claim for claim in checked.claims if claim.kind is not ClaimKind.CHART_FACT and "zorbex" in claim.assertion
    ]
    assert {claim.verdict for claim in claims} == {Verdict.NOT_CHECKED}
    assert {claim.reason for claim in claims} == {NotCheckedReason.UNRESOLVED}


@pytest.mark.parametrize(
    ("allergen", "stands_for", "verdict", "severity"),
    [
        ("Penicillin", ("class:penicillins",), "contradicted", "high"),
        ("Amoxicillin", ("amoxicillin",), "contradicted", "high"),
        ("Ampicillin", ("ampicillin",), "contradicted", "high"),  # another of the same class
        ("Cephalexin", ("cephalexin", "class:cephalosporins"), "contradicted", "moderate"),
        ("Sulfonamide", ("class:sulfonamides",), "no-evidence", None),
        ("Something odd", (), "not-checked", None),
        ("No known allergies", (), None, None),
        ("House dust mite", (), None, None),
    ],
)
def test_allergies_by_ingredient_class_and_cross_reaction(make, check, allergen, stands_for, verdict, severity):
    facts = [
        make.fact("pen", AllergyClass(name="penicillins", ingredients=PENICILLINS, cross_reactive=("cephalosporins",))),
        make.fact("ceph", AllergyClass(name="cephalosporins", ingredients=("cephalexin",))),
    ]  # fmt: skip
    answer = make.evidence(facts, [make.drug("amoxicillin"), make.resolved(SubjectKind.ALLERGEN, allergen, stands_for)])
    of = make.chart(medications=[make.medication("amoxicillin")], allergies=[make.allergy(allergen)])
    checked = check("Take amoxicillin 500 mg 3 times a day.", of, answer)
    assert verdicts(checked, ClaimKind.ALLERGY) == ([verdict] if verdict else [])
    assert [flag.severity for flag in checked.flags if flag.kind is ClaimKind.ALLERGY] == (
        [severity] if severity else []
    )


def test_a_recorded_allergy_to_the_very_drug_is_flagged_without_any_evidence(make, check):
    of = make.chart(medications=[make.medication("Aspirin")], allergies=[make.allergy("Aspirin")])
    assert verdicts(check("Take aspirin 81 mg once a day.", of, None), ClaimKind.ALLERGY) == ["contradicted"]


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ({"covered": True}, "supported"),
        ({"covered": False}, "contradicted"),
        ({"covered": True, "prior_authorization": True}, "contradicted"),
        ({"covered": True, "step_therapy": True}, "contradicted"),
        ({"covered": True, "quantity_limit": True}, "contradicted"),
        (None, "no-evidence"),
    ],
)
def test_formulary(make, check, status, verdict):
    facts = [make.fact("s", FormularyStatus(plan="gold", drug="apixaban 5 MG", **status))] if status else []
    answer = make.evidence(facts, [make.drug("apixaban", facts=("s",) if status else ())])
    of = make.chart(medications=[make.medication("apixaban")], formulary_plan="gold")
    checked = check("Take apixaban 5 mg twice a day.", of, answer)
    assert verdicts(checked, ClaimKind.FORMULARY) == [verdict]
    assert all(flag.severity is Severity.LOW for flag in checked.flags if flag.kind is ClaimKind.FORMULARY)


def test_without_a_plan_nothing_is_claimed_about_coverage(make, check):
    of = make.chart(medications=[make.medication("apixaban")])
    assert (
        verdicts(
            check("Take apixaban 5 mg twice a day.", of, make.evidence([], [make.drug("apixaban")])),
            ClaimKind.FORMULARY,
        )
        == []
    )


@pytest.mark.parametrize(
    ("sentence", "ordered", "verdict"),
    [
        ("Take metformin 500 mg by mouth 2 times a day.", {"dose": 500, "times": 2}, "supported"),
        ("Take metformin 0.5 g by mouth every 12 hours.", {"dose": 500, "times": 2}, "supported"),
        ("Take metformin 1000 mg by mouth 2 times a day.", {"dose": 500, "times": 2}, "contradicted"),
        ("Take metformin 500 mg by mouth 3 times a day.", {"dose": 500, "times": 2}, "contradicted"),
        ("Take metformin 500 mg once a week.", {"dose": 500, "times": 1}, "contradicted"),
        ("Take metformin by mouth 2 times a day.", {"dose": 500, "times": 2}, "not-checked"),
        ("Take metformin 500 mg.", {"dose": 500, "times": 2}, "not-checked"),
        ("Take metformin 1 tablet 2 times a day.", {"dose": 500, "times": 2}, "not-checked"),
        (
            "Inject metformin 500 mg under the skin 2 times a day.",
            {"dose": 500, "times": 2, "route": "PO"},
            "contradicted",
        ),
        ("Take metformin 500 mg 2 times a day for 5 days.", {"dose": 500, "times": 2, "duration": 7}, "contradicted"),
        ("Take metformin 500 mg 2 times a day for 7 days.", {"dose": 500, "times": 2, "duration": 7}, "supported"),
        ("Take metformin 500 mg 2 times a day for 1 week.", {"dose": 500, "times": 2, "duration": 7}, "supported"),
        ("Take metformin 500 mg 2 times a day as needed.", {"dose": 500, "times": 2}, "contradicted"),
        ("Take metformin 500 mg 4 times a day as needed.", {"dose": 500, "times": 4, "as_needed": True}, "supported"),
        (
            "Take metformin 500 mg every 6 hours as needed.",
            {"dose": 500, "times": 4, "text": "500mg PO q6h PRN"},
            "supported",
        ),
        ("Take metformin 40 to 50 mg once a day.", {"dose": 50, "times": 1, "text": "40-50mg PO daily"}, "supported"),
        ("Take metformin 50 mg once a day.", {"dose": 50, "times": 1, "text": "40-50mg PO daily"}, "supported"),
        ("Take metformin 60 mg once a day.", {"dose": 50, "times": 1, "text": "40-50mg PO daily"}, "contradicted"),
        ("NEW: Take metformin 500 mg 2 times a day.", {"dose": 500, "times": 2, "change": "continued"}, "contradicted"),
        ("Stop taking metformin.", {"dose": 500, "times": 2}, "contradicted"),
        ("Stop taking metformin.", {"change": "stopped"}, "supported"),
        ("Take metformin 500 mg 2 times a day.", {"dose": 500, "times": 2, "change": "stopped"}, "contradicted"),
        ("Do not take metformin.", {"change": "stopped"}, "supported"),
    ],
)
def test_what_is_drafted_against_what_is_ordered(make, check, sentence, ordered, verdict):
    more = dict(ordered)
    if "duration" in more:
        more["duration"] = Quantity(value=more["duration"], unit="d")
    of = make.chart(medications=[make.medication("Metformin", **more)])
    checked = check(sentence, of, make.evidence([], [make.drug("Metformin")]))
    assert verdicts(checked, ClaimKind.CHART_FACT) == [verdict]


def test_a_combinations_strengths_are_compared_with_the_sig_not_with_half_of_it(make, check):
    of = make.chart(
        medications=[make.medication("Amoxicillin/Clavulanate", 125, times=2, text="875/125mg PO BID", route="PO")]
    )
    answer = make.evidence([], [make.drug("Amoxicillin/Clavulanate", "amoxicillin", "clavulanate")])
    right = check("Take amoxicillin/clavulanate 875/125 mg by mouth 2 times a day.", of, answer)
    wrong = check("Take amoxicillin/clavulanate 125 mg by mouth 2 times a day.", of, answer)
    assert verdicts(right, ClaimKind.CHART_FACT) == ["supported"]
    assert verdicts(wrong, ClaimKind.CHART_FACT) == ["contradicted"]
    assert wrong.flags[0].correction == "875/125 mg"


def test_omitted_and_invented_medicines_are_flagged(make, check):
    of = make.chart(medications=[make.medication("Warfarin", 5, times=1), make.medication("Metformin", 500, times=2)])
    answer = make.evidence([], [make.drug("Warfarin"), make.drug("Metformin"), make.drug("ibuprofen")])
    checked = check("Take metformin 500 mg 2 times a day.\nTake ibuprofen 400 mg once a day.", of, answer)
    findings = {flag.finding for flag in checked.flags}
    assert "Ibuprofen is not among the discharge medications in the chart." in findings
    assert "The chart orders warfarin; the document does not say so." in findings


def test_a_draft_that_ran_out_of_time_is_not_blamed_for_what_it_left_out(make, check):
    of = make.chart(medications=[make.medication("Warfarin", 5, times=1), make.medication("Metformin", 500, times=2)])
    answer = make.evidence([], [make.drug("Warfarin"), make.drug("Metformin")])
    checked = check("Take metformin 500 mg 2 times a day.", of, answer, draft_missing=("medications",))
    claim = next(claim for claim in checked.claims if "warfarin" in claim.assertion and claim.span is None)
    assert (claim.verdict, claim.reason) == (Verdict.NOT_CHECKED, NotCheckedReason.DEADLINE)
    assert checked.flags == ()


def test_a_kind_that_was_not_searched_is_not_checked(make, check):
    of = make.chart(medications=[make.medication("Metformin", 500, times=2)])
    searched = set(FactKind) - {FactKind.DOSE_LIMIT}
    checked = check("Take metformin 500 mg 2 times a day.", of, make.evidence([], [make.drug("Metformin")], searched))
    claim = next(claim for claim in checked.claims if claim.kind is ClaimKind.DOSE)
    assert (claim.verdict, claim.reason) == (Verdict.NOT_CHECKED, NotCheckedReason.SERVICE_DOWN)


def test_without_evidence_nothing_is_shown_as_passed_and_disagreements_with_the_chart_stay(make, check):
    of = make.chart(medications=[make.medication("Metformin", 500, times=2), make.medication("Aspirin", 81, times=1)])
    checked = check("Take metformin 500 mg 2 times a day.\nTake aspirin 325 mg once a day.", of, None)
    assert {claim.verdict for claim in checked.claims} == {Verdict.NOT_CHECKED, Verdict.CONTRADICTED}
    assert [flag.kind for flag in checked.flags] == [ClaimKind.CHART_FACT]
