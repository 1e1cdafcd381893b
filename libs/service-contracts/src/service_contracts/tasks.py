"""The nine tasks as data, and the decision framework as a pure function over one row.

The rows and the rules are those of "Fine-Tuned vs. RAG for Clinical Decision Support: When Each Wins".
"""

from enum import StrEnum
from typing import NamedTuple

from service_contracts.model import Contract

__all__ = ["TASKS", "Approach", "Choice", "LatencyNeed", "Rule", "TaskSpec", "Volatility", "choose", "task"]


class Approach(StrEnum):
    """Who answers: evidence found at request time, a fine-tuned adapter, or both reconciled."""

    RETRIEVAL = "retrieval"
    ADAPTER = "adapter"
    HYBRID = "hybrid"


class Volatility(StrEnum):
    """How often the data behind the answer changes."""

    WEEKLY = "weekly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"
    RARELY = "rarely"


class LatencyNeed(StrEnum):
    """The published latency need of the clinical context."""

    SUB_SECOND = "sub-second"
    SECONDS = "seconds"


class Rule(StrEnum):
    """The step of the decision framework that decided."""

    VOLATILE_DATA = "data changes more than quarterly"
    CONSISTENT_FORMAT = "format consistency is critical"
    SUB_SECOND = "a sub-second answer is required"
    CITATIONS = "verifiable citations are required"
    FORMAT_AND_FACTS = "constrained format and facts to check"
    NO_CITATIONS = "no earlier rule applies and no citations are required"


class TaskSpec(Contract):
    """One task: the properties the framework decides on, and what the suite promises for it.

    ``budget_ms`` is the deadline of a request; ``streaming`` means it bounds the first token instead.
    """

    name: str
    title: str
    volatility: Volatility
    format_critical: bool
    latency: LatencyNeed
    citations_required: bool
    facts_to_check: bool
    budget_ms: int
    streaming: bool = False
    resources: tuple[str, ...]


class Choice(NamedTuple):
    """The approach chosen for a task and the rule that decided."""

    approach: Approach
    rule: Rule


TASKS: tuple[TaskSpec, ...] = (
    TaskSpec(
        name="drug-interaction",
        title="Drug interaction check",
        volatility=Volatility.WEEKLY,
        format_critical=False,
        latency=LatencyNeed.SECONDS,
        citations_required=True,
        facts_to_check=True,
        budget_ms=1_000,
        resources=("DetectedIssue",),
    ),
    TaskSpec(
        name="guideline-question",
        title="Guideline question",
        volatility=Volatility.QUARTERLY,
        format_critical=False,
        latency=LatencyNeed.SECONDS,
        citations_required=True,
        facts_to_check=True,
        budget_ms=2_000,
        resources=("QuestionnaireResponse", "Communication"),
    ),
    TaskSpec(
        name="literature-search",
        title="Literature search",
        volatility=Volatility.WEEKLY,
        format_critical=False,
        latency=LatencyNeed.SECONDS,
        citations_required=True,
        facts_to_check=True,
        budget_ms=10_000,
        resources=("List", "Bundle"),
    ),
    TaskSpec(
        name="formulary",
        title="Formulary and insurance check",
        volatility=Volatility.QUARTERLY,
        format_critical=False,
        latency=LatencyNeed.SECONDS,
        citations_required=True,
        facts_to_check=True,
        budget_ms=1_000,
        resources=("CoverageEligibilityResponse",),
    ),
    TaskSpec(
        name="clinical-note",
        title="Clinical note",
        volatility=Volatility.RARELY,
        format_critical=True,
        latency=LatencyNeed.SECONDS,
        citations_required=False,
        facts_to_check=False,
        budget_ms=2_000,
        streaming=True,
        resources=("Composition", "DocumentReference"),
    ),
    TaskSpec(
        name="coding",
        title="ICD-10 coding",
        volatility=Volatility.YEARLY,
        format_critical=True,
        latency=LatencyNeed.SECONDS,
        citations_required=False,
        facts_to_check=False,
        budget_ms=2_000,
        resources=("Condition", "Claim"),
    ),
    TaskSpec(
        name="triage",
        title="Emergency triage (ESI)",
        volatility=Volatility.RARELY,
        format_critical=False,
        latency=LatencyNeed.SUB_SECOND,
        citations_required=False,
        facts_to_check=False,
        budget_ms=500,
        resources=("RiskAssessment",),
    ),
    TaskSpec(
        name="discharge-summary",
        title="Discharge summary",
        volatility=Volatility.RARELY,
        format_critical=True,
        latency=LatencyNeed.SECONDS,
        citations_required=False,
        facts_to_check=False,
        budget_ms=5_000,
        resources=("Composition", "DocumentReference"),
    ),
    TaskSpec(
        name="discharge-instructions",
        title="Discharge instructions",
        volatility=Volatility.WEEKLY,
        format_critical=True,
        latency=LatencyNeed.SECONDS,
        citations_required=True,
        facts_to_check=True,
        budget_ms=5_000,
        resources=("Composition", "DetectedIssue", "Provenance"),
    ),
)


def choose(spec: TaskSpec) -> Choice:
    """Apply the decision framework to one row.

    Rules in their published order: (1) data changing more than quarterly asks for retrieval, (2) critical
    format for an adapter, (3) sub-second answers for an adapter alone, (4) citations for retrieval, else an
    adapter; (5) where the format is constrained *and* facts must be checked, both are needed.
    Guidelines and formularies change quarterly, not more often: rule 1 does not fire and rule 4 carries them.
    """
    if spec.latency is LatencyNeed.SUB_SECOND:
        return Choice(Approach.ADAPTER, Rule.SUB_SECOND)
    if spec.format_critical and spec.facts_to_check:
        return Choice(Approach.HYBRID, Rule.FORMAT_AND_FACTS)
    if spec.volatility is Volatility.WEEKLY:
        return Choice(Approach.RETRIEVAL, Rule.VOLATILE_DATA)
    if spec.format_critical:
        return Choice(Approach.ADAPTER, Rule.CONSISTENT_FORMAT)
    if spec.citations_required:
        return Choice(Approach.RETRIEVAL, Rule.CITATIONS)
    return Choice(Approach.ADAPTER, Rule.NO_CITATIONS)


def task(name: str) -> TaskSpec:
    """Return the row called ``name``; raise ``KeyError`` when there is none."""
    for spec in TASKS:
        if spec.name == name:
            return spec
    raise KeyError(name)
