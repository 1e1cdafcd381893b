"""A limit of one product is that product's: it never holds for another of the same ingredient."""

import pytest
from retrieval.products import speaks_of
from service_contracts.evidence import DoseLimit, RenalLimit
from service_contracts.quantity import Quantity

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
TABLETS, CAPSULES = ("200346", "tricor"), ("483425",)


def limit(mg, products):
    return DoseLimit(ingredient="fenofibrate", route="oral", products=products, max_daily=Quantity(value=mg, unit="mg"))


@pytest.fixture
async def both(index, make):
    renal = RenalLimit(
        ingredient="fenofibrate", products=TABLETS, measure="egfr", action="limit",
        below=Quantity(value=60, unit="mL/min/{1.73_m2}"), max_daily=Quantity(value=54, unit="mg"),
    )  # fmt: skip
    facts = [
        make.fact("tablets", limit(160, TABLETS)),
        make.fact("tablets-renal", renal),
        make.fact("capsules", limit(200, CAPSULES)),
        make.fact("any", limit(400, ())),
    ]
    await index.write([make.document(facts=facts, names=[("tricor", ("fenofibrate",))])])
    await index.refresh()
    return index


@pytest.mark.parametrize(
    ("text", "code", "found"),
    [
        ("fenofibrate 160 mg oral tablet", "200346", {"tablets", "tablets-renal", "any"}),
        ("fenofibrate 200 mg oral capsule", "483425", {"capsules", "any"}),
        ("fenofibrate 67 mg oral capsule", "999999", {"any"}),
        # By the ingredient alone it may be any product: nothing that is one product's is said of it.
        ("fenofibrate", "8703", {"any"}),
        ("fenofibrate", None, {"any"}),
        ("Tricor 145 mg tablet", None, {"tablets", "tablets-renal", "any"}),
        ("fenofibrate [Tricor] 145 mg", None, {"tablets", "tablets-renal", "any"}),
    ],
)
async def test_what_is_found_for_a_product_is_its_own_and_what_holds_for_all(both, make, text, code, found):
    subject = make.subject(text, codes=[(RXNORM, code)] if code else ())
    evidence = await both.evidence(make.query(subject))
    assert {fact.id for fact in evidence.facts} == set(evidence.resolved[0].fact_ids) == found


async def test_two_products_in_one_chart_have_each_their_own_limits(both, make):
    tablets = make.subject("fenofibrate 160 mg oral tablet", codes=[(RXNORM, "200346")])
    capsules = make.subject("fenofibrate 200 mg oral capsule", codes=[(RXNORM, "483425")])
    evidence = await both.evidence(make.query(tablets, capsules))
    one, other = evidence.resolved
    assert "tablets" in one.fact_ids and "capsules" not in one.fact_ids
    assert "capsules" in other.fact_ids and "tablets" not in other.fact_ids


@pytest.mark.parametrize(
    ("text", "is_it"),
    [
        ("Glucophage", True),
        ("Glucophage 500 mg tablets", True),
        ("glucophage oral tablet 500 mg", True),
        ("Glucophage XR 500 mg", False),
        ("Glucophage extended-release tablets", False),
        ("metformin", False),
        ("Glucophagelike", False),
    ],
)
def test_a_brand_is_meant_only_by_its_whole_name(make, text, is_it):
    assert speaks_of(("861007", "glucophage"), make.subject(text)) is is_it


def test_a_code_of_another_system_is_no_product(make):
    assert not speaks_of(("861007",), make.subject("metformin", codes=[("http://other.example", "861007")]))
