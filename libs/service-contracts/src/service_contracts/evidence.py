"""Facts with provenance: what retrieval knows, is asked and answers."""

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from service_contracts.model import Contract
from service_contracts.quantity import Coding, Quantity

__all__ = [
    "ActivityProtocol",
    "ActivityRestriction",
    "AllergyClass",
    "DoseLimit",
    "Evidence",
    "EvidenceQuery",
    "Fact",
    "FactBody",
    "FactKind",
    "FollowUpInterval",
    "FormularyStatus",
    "Interaction",
    "InteractionPair",
    "Passage",
    "PassageQuery",
    "RenalLimit",
    "ResolvedSubject",
    "Severity",
    "Source",
    "StatedSeverity",
    "Subject",
    "SubjectKind",
]


class FactKind(StrEnum):
    """The kinds of structured fact."""

    DOSE_LIMIT = "dose-limit"
    INTERACTION = "interaction"
    RENAL_LIMIT = "renal-limit"
    ALLERGY_CLASS = "allergy-class"
    ACTIVITY_PROTOCOL = "activity-protocol"
    FOLLOW_UP_INTERVAL = "follow-up-interval"
    FORMULARY_STATUS = "formulary-status"


class Severity(StrEnum):
    """FHIR R4 ``detectedissue-severity``."""

    HIGH = "high"
    MODERATE = "moderate"
    LOW = "low"


class Source(Contract):
    """Where a fact was read. ``identifier`` is an address, a set id or another published identifier."""

    title: str
    publisher: str
    identifier: str
    version: str
    section: str
    published: date | None = None
    effective_from: date | None = None
    superseded_on: date | None = None
    retrieved: date | None = None


class DoseLimit(Contract):
    """The most of one ingredient that may be taken; ``max_daily`` is per 24 hours.

    ``indication`` and ``population`` say when the limit holds; None means always (adults). ``products`` are RxNorm
    codes and lower-case brand names of the products that it was stated for: for others it says nothing. None given
    means whatever product. ``code`` is the substance as the source names it, with its salt (UNII).
    """

    kind: Literal[FactKind.DOSE_LIMIT] = FactKind.DOSE_LIMIT
    ingredient: str
    code: Coding | None = None
    products: tuple[str, ...] = ()
    route: str | None = None
    max_single: Quantity | None = None
    max_daily: Quantity | None = None
    population: str | None = None
    indication: str | None = None


class Interaction(Contract):
    """Two ingredients (or a drug class, written ``class:NAME``) that affect each other."""

    kind: Literal[FactKind.INTERACTION] = FactKind.INTERACTION
    a: str
    b: str
    severity: Severity
    effect: str
    management: str | None = None


class RenalLimit(Contract):
    """What kidney function below ``below`` (``mL/min`` or ``mL/min/{1.73_m2}``) asks of one ingredient.

    ``code`` and ``products`` are as in ``DoseLimit``.
    """

    kind: Literal[FactKind.RENAL_LIMIT] = FactKind.RENAL_LIMIT
    ingredient: str
    code: Coding | None = None
    products: tuple[str, ...] = ()
    measure: Literal["egfr", "crcl"]
    below: Quantity
    action: Literal["avoid", "limit"]
    max_daily: Quantity | None = None


class AllergyClass(Contract):
    """Ingredients that share an allergy; ``cross_reactive`` names other classes that may react too."""

    kind: Literal[FactKind.ALLERGY_CLASS] = FactKind.ALLERGY_CLASS
    name: str
    ingredients: tuple[str, ...]
    cross_reactive: tuple[str, ...] = ()


class ActivityRestriction(Contract):
    """One restriction: ``activity`` is lifting, driving, bathing, exercise, sex, work, arm-raising, bending,
    weight-bearing, flying, climbing or swimming.

    ``limit`` is the most that is allowed (10 ``[lb_av]``); None means none of it at all.
    ``lasts`` is how long at least the restriction holds (42 ``d``).
    """

    activity: str
    limit: Quantity | None = None
    lasts: Quantity


class ActivityProtocol(Contract):
    """What patients may not do after a procedure. ``terms`` are lower-case words that name it in a chart."""

    kind: Literal[FactKind.ACTIVITY_PROTOCOL] = FactKind.ACTIVITY_PROTOCOL
    procedure: str
    terms: tuple[str, ...]
    codes: tuple[Coding, ...] = ()
    restrictions: tuple[ActivityRestriction, ...]


class FollowUpInterval(Contract):
    """How soon a visit must follow a stay for a condition or procedure. ``within`` is the latest time."""

    kind: Literal[FactKind.FOLLOW_UP_INTERVAL] = FactKind.FOLLOW_UP_INTERVAL
    subject: str
    terms: tuple[str, ...]
    codes: tuple[Coding, ...] = ()
    visit: str
    within: Quantity


class FormularyStatus(Contract):
    """How a plan covers a drug; ``covered`` False means it is not on the list."""

    kind: Literal[FactKind.FORMULARY_STATUS] = FactKind.FORMULARY_STATUS
    plan: str
    drug: str
    rxcui: str | None = None
    covered: bool
    tier: str | None = None
    prior_authorization: bool = False
    step_therapy: bool = False
    quantity_limit: bool = False


FactBody = Annotated[
    DoseLimit | Interaction | RenalLimit | AllergyClass | ActivityProtocol | FollowUpInterval | FormularyStatus,
    Field(discriminator="kind"),
]


class Fact(Contract):
    """A structured statement and where it was read.

    ``statement`` is what a reader is shown: the source's own sentence when ``verbatim``, else our words.
    ``id`` is stable over ingestions of the same version of the same document.
    """

    id: str
    body: FactBody
    statement: str
    verbatim: bool
    source: Source


class SubjectKind(StrEnum):
    """What a subject of an evidence query is."""

    DRUG = "drug"
    CONDITION = "condition"
    PROCEDURE = "procedure"
    ALLERGEN = "allergen"


class Subject(Contract):
    """Something evidence is wanted for, as the chart or the draft names it."""

    kind: SubjectKind
    text: str
    codes: tuple[Coding, ...] = ()


class EvidenceQuery(Contract):
    """All facts in force on ``as_of`` about ``subjects``; ``plan`` asks for formulary facts too."""

    subjects: tuple[Subject, ...]
    as_of: date
    plan: str | None = None
    budget_ms: int = Field(gt=0)


class ResolvedSubject(Contract):
    """What a subject was understood as.

    ``ingredients`` are normalised lower-case ingredient names of a drug (several for a combination), or for
    an allergen the ingredients and ``class:NAME`` it stands for. Empty means unknown: never read as safe.
    ``classes`` are the names of the pharmacological classes that a drug's ingredients belong to.
    """

    subject: Subject
    ingredients: tuple[str, ...] = ()
    fact_ids: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()


class StatedSeverity(Contract):
    """How grave one source calls the interaction of a pair, and the fact that holds its words."""

    fact_id: str
    title: str
    publisher: str
    version: str
    severity: Severity


class InteractionPair(Contract):
    """All that is stated about two ingredients: every source by name, and the strictest severity, which decides.

    ``disputed`` says that sources differ in severity. A pair that no source names is not here: that is not safety.
    """

    a: str
    b: str
    severity: Severity
    stated: tuple[StatedSeverity, ...]
    disputed: bool


class Evidence(Contract):
    """The answer: facts, how each subject was resolved, and which kinds could be searched at all.

    ``interactions`` says of each pair of drugs that facts are about what all sources together say.
    """

    facts: tuple[Fact, ...]
    resolved: tuple[ResolvedSubject, ...]
    searched: tuple[FactKind, ...]
    index_version: str
    interactions: tuple[InteractionPair, ...] = ()


class PassageQuery(Contract):
    """Free-text search in what is in force on ``as_of``.

    ``source_kinds`` (label, guideline, formulary, interaction, policy, literature, code-system), ``publishers`` and
    ``version`` narrow it; each that is empty or None narrows nothing.
    """

    text: str
    limit: int = Field(default=5, ge=1, le=50)
    source_kinds: tuple[str, ...] = ()
    publishers: tuple[str, ...] = ()
    version: str | None = None
    as_of: date | None = None
    budget_ms: int = Field(gt=0)


class Passage(Contract):
    """A span of an ingested document, found by search; ``score`` orders one answer only."""

    id: str
    text: str
    source: Source
    score: float
