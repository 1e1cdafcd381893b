"""What the page shows of a document: sections, flags with their sources, decisions, and what was not checked."""

import hashlib
from collections.abc import Sequence

from service_contracts.chart import Chart, ChartReference
from service_contracts.drafts import SECTION_TITLES
from service_contracts.evidence import Fact, Severity, Source
from service_contracts.reconciliation import Claim, ClaimKind, Flag, ReconciledDocument, Section, Verdict

from facade.decisions import Decision, Replacement, latest_decisions, replacements, section_of
from facade.resources.vocabulary import NOT_CHECKED_WORDS
from facade.store.documents import StoredDocument
from facade.workbench.annotate import Marked, annotate
from facade.workbench.chart_words import chart_words
from facade.workbench.views import FlagView, Review, SectionView, SourceView, Unchecked

__all__ = ["review", "revision"]

_RANK = {Severity.HIGH: 0, Severity.MODERATE: 1, Severity.LOW: 2}
_KINDS = {
    ClaimKind.DOSE: "Dose",
    ClaimKind.INTERACTION: "Interaction",
    ClaimKind.RENAL: "Kidney function",
    ClaimKind.ALLERGY: "Allergy",
    ClaimKind.DUPLICATE: "Duplicate",
    ClaimKind.ACTIVITY: "Activity",
    ClaimKind.FOLLOW_UP: "Follow-up",
    ClaimKind.FORMULARY: "Coverage",
    ClaimKind.CHART_FACT: "Chart",
}


def revision(stored: StoredDocument) -> str:
    """Return a name for the state of a document, so that nobody signs another state than they saw."""
    state = [stored.id, str(stored.status), *(f"{d.flag_id}/{d.action}/{d.at.isoformat()}" for d in stored.decisions)]
    return hashlib.sha256("\n".join(state).encode()).hexdigest()[:32]


def review(stored: StoredDocument) -> Review:
    """Return what to show of ``stored``, flags numbered in the order of the text."""
    document = stored.document
    decided = latest_decisions(stored.decisions)
    changes = replacements(document, stored.decisions)
    not_applied = {item.flag_id for item in changes if not item.applied}
    facts = {fact.id: fact for fact in document.facts}
    titles = {section.key: section for section in document.sections}
    order = {key: position for position, key in enumerate(titles)}
    flags = sorted(
        document.flags,
        key=lambda flag: (
            order.get(section_of(flag), len(order)),
            flag.span is None,
            flag.span.start if flag.span else 0,
            _RANK[flag.severity],
            flag.id,
        ),
    )
    views = {
        flag.id: _flag_view(
            number, flag, facts.get(flag.fact_id or ""), stored.chart, decided.get(flag.id), flag.id in not_applied
        )
        for number, flag in enumerate(flags, 1)
    }
    sections = _with_omitted(document, flags)
    return Review(
        revision=revision(stored),
        sections=tuple(_section_view(section, document, flags, views, changes) for section in sections),
        flags=tuple(views[flag.id] for flag in flags),
        claims=len(document.claims),
        supported=_count(document.claims, Verdict.SUPPORTED),
        unchecked=_count(document.claims, Verdict.NOT_CHECKED),
        without_evidence=_count(document.claims, Verdict.NO_EVIDENCE),
        missing=document.missing,
    )


def _with_omitted(document: ReconciledDocument, flags: Sequence[Flag]) -> list[Section]:
    """The document's sections, and an empty one for each that is absent and has a flag: none may go unseen."""
    present = {section.key for section in document.sections}
    absent = {section_of(flag) for flag in flags} - present
    empty = [Section(key=key, title=SECTION_TITLES[key], text="") for key in SECTION_TITLES if key in absent]
    return [*document.sections, *empty]


def _section_view(
    section: Section,
    document: ReconciledDocument,
    flags: Sequence[Flag],
    views: dict[str, FlagView],
    changes: Sequence[Replacement],
) -> SectionView:
    here = [flag for flag in flags if section_of(flag) == section.key]
    mine = [item for item in changes if item.section == section.key]
    claims = [claim for claim in document.claims if _claim_section(claim, document) == section.key]
    unchecked = [claim for claim in claims if claim.verdict is Verdict.NOT_CHECKED]
    marked = [
        Marked(views[f.id].number, f.severity, f.span.start, f.span.end, views[f.id].decision is not None)
        for f in here
        if f.span is not None
    ]
    return SectionView(
        key=str(section.key),
        title=section.title,
        lines=annotate(section, marked, mine, unchecked),
        additions=tuple(item.words for item in mine if item.start is None),
        flags=tuple(views[flag.id] for flag in here if flag.span is not None),
        omissions=tuple(views[flag.id] for flag in here if flag.span is None),
        unchecked=tuple(
            Unchecked(
                _KINDS[claim.kind],
                claim.assertion,
                NOT_CHECKED_WORDS[claim.reason] if claim.reason else "no reason was given",
            )
            for claim in unchecked
        ),
        without_evidence=tuple(claim.assertion for claim in claims if claim.verdict is Verdict.NO_EVIDENCE),
    )


def _claim_section(claim: Claim, document: ReconciledDocument) -> str:
    """The section a claim is listed in; one about an omission where a flag of its kind would stand."""
    if claim.span is not None:
        return claim.span.section
    kinds = {ClaimKind.ACTIVITY: "activity", ClaimKind.FOLLOW_UP: "follow-up"}
    wanted = kinds.get(claim.kind, "medications")
    present = [str(section.key) for section in document.sections]
    return wanted if wanted in present or not present else present[-1]


def _flag_view(
    number: int, flag: Flag, fact: Fact | None, chart: Chart, decision: Decision | None, changed_elsewhere: bool
) -> FlagView:
    return FlagView(
        number=number,
        id=flag.id,
        severity=flag.severity,
        kind=_KINDS[flag.kind],
        quote=flag.span.quote if flag.span else None,
        says=flag.says,
        finding=flag.finding,
        statement=fact.statement if fact else None,
        verbatim=bool(fact and fact.verbatim),
        source=_source_view(fact.source) if fact else None,
        chart=tuple(_chart_line(chart, reference) for reference in flag.chart),
        correction=flag.correction,
        decision=decision,
        changed_elsewhere=changed_elsewhere,
    )


def _source_view(source: Source) -> SourceView:
    return SourceView(
        title=source.title,
        publisher=source.publisher,
        version=source.version,
        section=source.section,
        identifier=source.identifier,
        link=source.identifier if source.identifier.startswith(("https://", "http://")) else None,
        superseded=source.superseded_on.isoformat() if source.superseded_on else None,
    )


def _chart_line(chart: Chart, reference: ChartReference) -> str:
    return chart_words(chart, reference.reference) or reference.reference


def _count(claims: Sequence[Claim], verdict: Verdict) -> int:
    return sum(claim.verdict is verdict for claim in claims)
