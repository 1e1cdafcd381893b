"""One document under review: what it states, linked with the chart and the evidence."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from service_contracts.chart import Chart, ChartMedication, MedicationChange
from service_contracts.drafts import SectionKey
from service_contracts.evidence import SubjectKind
from service_contracts.reconciliation import NotCheckedReason, Span

from reconciliation.activity_sentences import activity_statements
from reconciliation.document import Document, Sentence
from reconciliation.drug_names import name_parts, plain_name, same_drug_name
from reconciliation.follow_up_sentences import follow_up_statements
from reconciliation.knowledge import Knowledge, Resolved
from reconciliation.medication_sentences import medication_statements
from reconciliation.statements import Action, ActivityStatement, FollowUpStatement, MedicationStatement

__all__ = ["Case", "DraftedDrug", "build_case", "drug_names_in"]


@dataclass(frozen=True)
class DraftedDrug:
    """A medicine the draft speaks of, with its order in the chart (None when there is none).

    Only medicines that are ``reviewed`` are judged; the others are what those are judged beside.
    """

    sentence: Sentence
    statement: MedicationStatement
    order: ChartMedication | None
    resolved: Resolved
    reviewed: bool = True

    @property
    def name(self) -> str:
        """The medicine as a reader knows it."""
        return plain_name(self.statement.name)

    @property
    def taken(self) -> bool:
        """Whether the patient is told to take it."""
        return self.statement.action is Action.TAKE


@dataclass(frozen=True)
class Case:
    """Everything the checks look at. ``draft_missing`` is set while or when parts of the draft are not written.

    ``of_orders`` says that the sentences are orders of a clinician, not a draft.
    """

    chart: Chart
    document: Document
    knowledge: Knowledge
    drugs: tuple[DraftedDrug, ...]
    activities: tuple[tuple[Sentence, ActivityStatement], ...]
    follow_ups: tuple[tuple[Sentence, FollowUpStatement], ...]
    draft_missing: tuple[str, ...] = ()
    of_orders: bool = False

    @property
    def judged(self) -> list[DraftedDrug]:
        """The medicines that are to be taken and are judged by themselves."""
        return [drug for drug in self.drugs if drug.taken and drug.reviewed]

    def span(self, drug: DraftedDrug) -> Span:
        """Return the span of the instruction about ``drug``."""
        return self.document.span(drug.sentence, drug.statement.place)

    def whole(self, drug: DraftedDrug) -> Span:
        """Return the span of the sentence about ``drug``, or of its own part where the sentence tells of several."""
        others = [other for other in self.drugs if other.sentence is drug.sentence]
        return self.span(drug) if len(others) > 1 else self.document.whole(drug.sentence)

    def not_drafted(self) -> tuple[ChartMedication, ...]:
        """Return the chart's medications that the document does not speak of."""
        spoken = {drug.order.source.reference for drug in self.drugs if drug.order is not None}
        return tuple(order for order in self.chart.medications if order.source.reference not in spoken)

    @property
    def incomplete(self) -> bool:
        """Whether an omission may only mean that the draft ran out of time."""
        return bool(self.draft_missing)


def drug_names_in(chart: Chart, sentence: Sentence) -> tuple[str, ...]:
    """Return the names of medicines in a sentence, for the evidence query."""
    known = [order.name for order in chart.medications]
    statements = medication_statements(
        sentence.text, known, medicines_section=sentence.section is SectionKey.MEDICATIONS
    )
    return tuple(dict.fromkeys(name for one in statements for name in (one.name, *one.aliases)))


def build_case(
    chart: Chart, sentences: Iterable[Sentence], knowledge: Knowledge, draft_missing: tuple[str, ...] = ()
) -> Case:
    """Read every sentence and link what it says with the chart and the evidence."""
    document = Document(sentences)
    known = [order.name for order in chart.medications]
    drugs: list[DraftedDrug] = []
    activities: list[tuple[Sentence, ActivityStatement]] = []
    follow_ups: list[tuple[Sentence, FollowUpStatement]] = []
    for sentence in document.sentences:
        in_medicines = sentence.section is SectionKey.MEDICATIONS
        for statement in medication_statements(sentence.text, known, medicines_section=in_medicines):
            drug = _link(chart, sentence, statement, knowledge, drugs)
            if drug is not None and not _only_a_reminder(drug, drugs):
                drugs.append(drug)
        if in_medicines or sentence.section is SectionKey.REASON:
            continue
        if sentence.section is not SectionKey.WARNING_SIGNS:
            activities.extend((sentence, statement) for statement in activity_statements(sentence.text))
        in_follow_up = sentence.section is SectionKey.FOLLOW_UP
        if in_follow_up or sentence.section is SectionKey.ACTIVITY:
            visits = follow_up_statements(sentence.text, follow_up_section=in_follow_up)
            follow_ups.extend((sentence, statement) for statement in visits)
    return Case(chart, document, knowledge, tuple(drugs), tuple(activities), tuple(follow_ups), draft_missing)


def _link(
    chart: Chart,
    sentence: Sentence,
    statement: MedicationStatement,
    knowledge: Knowledge,
    before: list[DraftedDrug],
) -> DraftedDrug | None:
    resolved = knowledge.resolve(SubjectKind.DRUG, *_spellings(statement))
    order = _order(chart, sentence, statement, resolved, knowledge, before)
    if order is not None:
        by_order = knowledge.resolve_item(SubjectKind.DRUG, order)
        if resolved.reason is None and set(by_order.ingredients) == set(resolved.ingredients):
            # The draft names the ingredient, the order the product: what is stated for products is found by the latter.
            resolved = replace(resolved, fact_ids=resolved.fact_ids | by_order.fact_ids)
        elif by_order.reason is None and (resolved.reason is not None or _says(statement, order.name)):
            # The name alone says less than the order's code, and nothing where two orders are called the same.
            resolved = by_order
        elif resolved.reason is NotCheckedReason.UNRESOLVED:
            resolved = by_order
    unknown = resolved.reason is NotCheckedReason.UNRESOLVED
    if order is None and not statement.certain and (unknown or statement.action is Action.STOP):
        # Only the grammar said this is a medicine, and retrieval, which was asked, knows none of that name;
        # or the advice is to keep off something the patient has no order for.
        return None
    return DraftedDrug(sentence, statement, order, resolved)


def _only_a_reminder(drug: DraftedDrug, before: list[DraftedDrug]) -> bool:
    # "Take all of your heart medicines: aspirin, ..." adds nothing to the line that said how much of it to take.
    statement = drug.statement
    says_how = statement.dose is not None or statement.frequency is not None or statement.ceiling is not None
    told = any(other.order is drug.order for other in before if drug.order is not None)
    return drug.taken and told and not says_how


def _says(statement: MedicationStatement, name: str) -> bool:
    return name.strip().lower() in {one.strip().lower() for one in _spellings(statement)}


def _spellings(statement: MedicationStatement) -> tuple[str, ...]:
    return (statement.name, *statement.aliases)


def _order(
    chart: Chart,
    sentence: Sentence,
    statement: MedicationStatement,
    resolved: Resolved,
    knowledge: Knowledge,
    before: list[DraftedDrug],
) -> ChartMedication | None:
    names = _spellings(statement)
    candidates = [order for order in chart.medications if any(same_drug_name(order.name, name) for name in names)]
    if not candidates and resolved.ingredients:
        candidates = [
            order
            for order in chart.medications
            if set(knowledge.resolve_item(SubjectKind.DRUG, order).ingredients) == set(resolved.ingredients)
        ]
    if not candidates:
        partial = [order for order in chart.medications if any(_within(name, order.name) for name in names)]
        candidates = partial if len(partial) == 1 else []
    if not candidates:
        return None
    sources = {source.reference for source in sentence.sources}
    spoken = {drug.order.source.reference for drug in before if drug.order is not None}

    def fit(order: ChartMedication) -> tuple[bool, bool, bool]:
        stops = (order.change is MedicationChange.STOPPED) == (statement.action is Action.STOP)
        return stops, order.source.reference in sources, order.source.reference not in spoken

    return max(candidates, key=fit)


def _within(name: str, order_name: str) -> bool:
    # "insulin" for "insulin glargine": the words of one are the first words of the other's only part.
    said, ordered = name_parts(name), name_parts(order_name)
    if len(said) != 1 or len(ordered) != 1:
        return False
    short, long = sorted((said[0].split(), ordered[0].split()), key=len)
    return long[: len(short)] == short
