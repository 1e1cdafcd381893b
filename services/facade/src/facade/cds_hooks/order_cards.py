"""The answer of reconciliation as alerts: one for each flag, and one that says what was not checked."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from service_contracts.evidence import Fact
from service_contracts.order_checks import OrderCheckAnswer, OrderProposal
from service_contracts.reconciliation import Claim, ClaimKind, Flag, NotCheckedReason, Verdict

from facade.cds_hooks.alerts import Alert, Listener, suggestion_id
from facade.cds_hooks.cards import (
    INDICATORS,
    OVERRIDE_REASONS,
    card,
    evidence_detail,
    fact_source,
    own_source,
    plain,
)
from facade.cds_hooks.order_chart import DraftOrder
from facade.cds_hooks.suggestions import suggestion
from facade.resources.vocabulary import NOT_CHECKED_WORDS

__all__ = ["CHECK_WORDS", "nothing_checked", "order_alerts"]

CHECK_WORDS: Mapping[ClaimKind, str] = {
    ClaimKind.DOSE: "dose",
    ClaimKind.RENAL: "kidney dosing",
    ClaimKind.ALLERGY: "allergies",
    ClaimKind.DUPLICATE: "duplicate therapy",
    ClaimKind.INTERACTION: "interactions",
    ClaimKind.FORMULARY: "coverage",
}
_UNREACHED = frozenset({NotCheckedReason.DEADLINE, NotCheckedReason.SERVICE_DOWN})
_MAX_LISTED = 20


def order_alerts(
    answer: OrderCheckAnswer,
    drafts: Sequence[DraftOrder],
    listener: Listener,
    not_read: Sequence[str] = (),
) -> list[Alert]:
    """Return the alerts, gravest first. ``not_read`` are the checks whose data could not be had from the EHR."""
    facts = {fact.id: fact for fact in answer.facts}
    proposals: dict[str, list[OrderProposal]] = defaultdict(list)
    for one in answer.proposals:
        proposals[one.flag_id].append(one)
    claims = {claim.id: claim for claim in answer.claims}
    alerts = [
        _flagged(flag, facts.get(flag.fact_id or ""), proposals[flag.id], claims.get(flag.claim_id), drafts, listener)
        for flag in answer.flags
    ]
    unchecked = [claim for claim in answer.claims if claim.verdict is Verdict.NOT_CHECKED]
    if unchecked or not_read:
        alerts.append(_not_checked(unchecked, not_read, drafts, listener))
    return alerts


def nothing_checked(why: str, drafts: Sequence[DraftOrder], listener: Listener) -> Alert:
    """Return the alert for orders that were not checked at all; ``why`` is a clause such as "the time ran out"."""
    names = ", ".join(draft.medication.name for draft in drafts[:_MAX_LISTED])
    checks = ", ".join(CHECK_WORDS.values())
    detail = f"Not checked: {plain(checks)}.\n\nOrders: {plain(names)}.\n\nNothing is known to be safe by this answer."
    key = listener.alert_key(["nothing-checked", why], drafts)
    return Alert(
        key,
        "not-checked",
        card(
            listener.card_id(key),
            f"These orders were not checked: {why}.",
            "warning",
            own_source(None),
            detail=detail,
        ),
        {"reason": why},
    )


def _flagged(
    flag: Flag,
    fact: Fact | None,
    proposed: Sequence[OrderProposal],
    claim: Claim | None,
    drafts: Sequence[DraftOrder],
    listener: Listener,
) -> Alert:
    named = {one.reference for one in flag.chart}
    concerned = [draft for draft in drafts if draft.reference in named]
    key = listener.alert_key([str(flag.kind), flag.finding, flag.fact_id or ""], concerned)
    uuid = listener.card_id(key)
    by_reference = {draft.reference: draft for draft in drafts}
    made = (
        suggestion(one, by_reference[one.order], suggestion_id(uuid, number))
        for number, one in enumerate(proposed)
        if one.order in by_reference
    )
    return Alert(
        key,
        str(flag.kind),
        card(
            uuid,
            flag.finding,
            INDICATORS[flag.severity],
            fact_source(fact, flag.kind) if fact is not None else own_source(flag.kind, "The patient's chart"),
            detail=evidence_detail(flag.finding, fact),
            suggestions=[one for one in made if one is not None],
            override_reasons=OVERRIDE_REASONS,
        ),
        _label(flag, fact, claim),
        repeatable=False,
    )


def _label(flag: Flag, fact: Fact | None, claim: Claim | None) -> dict[str, Any]:
    return {
        "kind": str(flag.kind),
        "severity": str(flag.severity),
        "finding": flag.finding,
        "assertion": claim.assertion if claim else flag.says,
        "verdict": str(claim.verdict) if claim else str(Verdict.CONTRADICTED),
        "chart": [one.reference for one in flag.chart],
        **({"fact": fact.model_dump(mode="json")} if fact else {}),
    }


def _not_checked(
    claims: Sequence[Claim],
    not_read: Sequence[str],
    drafts: Sequence[DraftOrder],
    listener: Listener,
) -> Alert:
    kinds = list(dict.fromkeys(CHECK_WORDS.get(claim.kind, str(claim.kind)) for claim in claims))
    kinds += [one for one in not_read if one not in kinds]
    reasons = list(dict.fromkeys(claim.reason for claim in claims if claim.reason))
    why = "; ".join(NOT_CHECKED_WORDS[reason] for reason in reasons)
    why = "; ".join(filter(None, [why, "the EHR did not give the data" if not_read else ""]))
    lines = [
        f"- {plain(claim.assertion)}: {NOT_CHECKED_WORDS[claim.reason] if claim.reason else 'not checked'}"
        for claim in claims[:_MAX_LISTED]
    ]
    if len(claims) > _MAX_LISTED:
        lines.append(f"- and {len(claims) - _MAX_LISTED} more")
    lines += [f"- {plain(one)}: the EHR did not give the data" for one in not_read]
    unreached = bool(not_read) or any(reason in _UNREACHED for reason in reasons)
    key = listener.alert_key(["not-checked", *sorted(kinds), *sorted(map(str, reasons))], drafts)
    return Alert(
        key,
        "not-checked",
        card(
            listener.card_id(key),
            f"Not checked: {', '.join(kinds)} ({why}).",
            "warning" if unreached else "info",
            own_source(None),
            detail="Not known to be safe by this answer:\n\n" + "\n".join(lines),
        ),
        {"reasons": [str(reason) for reason in reasons], "claims": [claim.assertion for claim in claims]},
    )
