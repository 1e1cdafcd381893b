"""Charts, facts and documents that tests build cases from; all of it is synthetic."""

from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

import pytest
from reconciliation.check import Checked, check_document
from reconciliation.document import Sentence
from reconciliation.knowledge import Knowledge
from service_contracts.chart import (
    Chart,
    ChartAllergy,
    ChartCondition,
    ChartMedication,
    ChartObservation,
    ChartOrder,
    ChartProcedure,
    ChartReference,
)
from service_contracts.drafts import SectionKey
from service_contracts.evidence import Evidence, Fact, FactKind, ResolvedSubject, Source, Subject, SubjectKind
from service_contracts.quantity import Coding, Quantity

SOURCE = Source(title="A label", publisher="A publisher", identifier="set-1", version="3", section="Dosage")


def quantity(value: float, unit: str) -> Quantity:
    return Quantity(value=value, unit=unit)


def fact(identifier: str, body: Any) -> Fact:
    return Fact(id=identifier, body=body, statement=f"What {identifier} says.", verbatim=True, source=SOURCE)


def medication(
    name: str, dose: float | None = None, unit: str = "mg", times: float | None = None, **more: Any
) -> ChartMedication:
    return ChartMedication(
        source=ChartReference(reference=f"MedicationRequest/{name.split()[0].lower()}", version="1"),
        name=name,
        dose=None if dose is None else quantity(dose, unit),
        times_per_day=times,
        **more,
    )


def chart(**more: Any) -> Chart:
    return Chart(
        patient=ChartReference(reference="Patient/p"),
        encounter=ChartReference(reference="Encounter/e"),
        **{"age_years": 60, "sex": "female", "as_of": date(2026, 11, 24), **more},
    )


def condition(name: str) -> ChartCondition:
    return ChartCondition(source=ChartReference(reference=f"Condition/{name.split()[0].lower()}"), name=name)


def procedure(name: str, **more: Any) -> ChartProcedure:
    return ChartProcedure(source=ChartReference(reference=f"Procedure/{name.split()[0].lower()}"), name=name, **more)


def allergy(name: str) -> ChartAllergy:
    return ChartAllergy(source=ChartReference(reference=f"AllergyIntolerance/{name.split()[0].lower()}"), name=name)


def observation(name: str, value: float, unit: str, loinc: str) -> ChartObservation:
    return ChartObservation(
        source=ChartReference(reference=f"Observation/{name.split()[0].lower()}"),
        name=name,
        codes=(Coding(system="http://loinc.org", code=loinc),),
        value=quantity(value, unit),
    )


def order(kind: str, text: str, **more: Any) -> ChartOrder:
    return ChartOrder(source=ChartReference(reference=f"ServiceRequest/{kind}"), kind=kind, text=text, **more)


def resolved(
    kind: SubjectKind, text: str, ingredients: Iterable[str] = (), facts: Iterable[str] = ()
) -> ResolvedSubject:
    return ResolvedSubject(subject=Subject(kind=kind, text=text), ingredients=tuple(ingredients), fact_ids=tuple(facts))


def drug(text: str, *ingredients: str, facts: Iterable[str] = ()) -> ResolvedSubject:
    return resolved(SubjectKind.DRUG, text, ingredients or (text.lower(),), facts)


def evidence(
    facts: Iterable[Fact] = (), subjects: Iterable[ResolvedSubject] = (), searched: Iterable[FactKind] = tuple(FactKind)
) -> Evidence:
    return Evidence(facts=tuple(facts), resolved=tuple(subjects), searched=tuple(searched), index_version="v1")


def sentences(text: str, section: SectionKey = SectionKey.MEDICATIONS) -> list[Sentence]:
    return [Sentence(section, index, line) for index, line in enumerate(text.splitlines())]


class Make:
    """The builders above, for tests to take as a fixture."""

    quantity, fact, medication, chart = map(staticmethod, (quantity, fact, medication, chart))
    condition, procedure, allergy, observation = map(staticmethod, (condition, procedure, allergy, observation))
    order, resolved, drug, evidence, sentences = map(staticmethod, (order, resolved, drug, evidence, sentences))


@pytest.fixture(scope="session")
def make() -> type[Make]:
    return Make


@pytest.fixture
def check() -> Callable[..., Checked]:
    """Check lines of one section against a chart and an answer of retrieval."""

    def run(
        text: str, of: Chart, answer: Evidence | None, section: SectionKey = SectionKey.MEDICATIONS, **more: Any
    ) -> Checked:
        return check_document(of, sentences(text, section), Knowledge((answer,) if answer else ()), **more)

    return run
