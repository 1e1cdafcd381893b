"""Collects claims and flags, and holds the rule that nothing is supported by default."""

import uuid
from collections import Counter
from collections.abc import Sequence

from service_contracts.chart import ChartReference
from service_contracts.evidence import Severity
from service_contracts.reconciliation import Claim, ClaimKind, Flag, NotCheckedReason, Span, Verdict

__all__ = ["NAMESPACE", "Findings"]

NAMESPACE = uuid.UUID("5f0cf8c1-9c5a-5a43-9a3c-0d1c9e8a1f6b")
"""Of the UUIDv5 identifiers of claims and flags; a change would make every replay a new finding."""


class Findings:
    """The claims and flags of one document, each under an identifier made of its content.

    ``withheld`` is the reason for which nothing may be shown as supported, also not what the chart alone could
    support: set when no evidence came at all, so that a document never looks checked when it was not.
    """

    def __init__(self, withheld: NotCheckedReason | None = None) -> None:
        self.claims: list[Claim] = []
        self.flags: list[Flag] = []
        self._withheld = withheld
        self._seen: Counter[str] = Counter()

    def supported(
        self,
        kind: ClaimKind,
        assertion: str,
        span: Span | None,
        *,
        facts: Sequence[str] = (),
        chart: Sequence[ChartReference] = (),
    ) -> None:
        """Record that a fact or a chart item was compared and agrees; without either this is an error."""
        if not facts and not chart:
            raise ValueError("a claim is supported by a fact or a chart item, never by default")
        if self._withheld is not None:
            self.not_checked(kind, assertion, span, self._withheld, chart=chart)
            return
        self._claim(kind, assertion, span, Verdict.SUPPORTED, None, facts, chart)

    def no_evidence(
        self, kind: ClaimKind, assertion: str, span: Span | None, *, chart: Sequence[ChartReference] = ()
    ) -> None:
        """Record that evidence was searched and holds nothing on this."""
        self._claim(kind, assertion, span, Verdict.NO_EVIDENCE, None, (), chart)

    def not_checked(
        self,
        kind: ClaimKind,
        assertion: str,
        span: Span | None,
        reason: NotCheckedReason,
        *,
        facts: Sequence[str] = (),
        chart: Sequence[ChartReference] = (),
    ) -> None:
        """Record that nothing was compared, and why."""
        self._claim(kind, assertion, span, Verdict.NOT_CHECKED, reason, facts, chart)

    def contradicted(
        self,
        kind: ClaimKind,
        assertion: str,
        span: Span | None,
        *,
        severity: Severity,
        finding: str,
        says: str | None = None,
        fact: str | None = None,
        facts: Sequence[str] = (),
        chart: Sequence[ChartReference] = (),
        replaces: Span | None = None,
        correction: str | None = None,
    ) -> str:
        """Record a disagreement and its flag; ``replaces`` is the narrower span that ``correction`` is for.

        Returns the claim's identifier, with which ``flag`` adds further disagreements of the same claim.
        """
        named = tuple(dict.fromkeys((*((fact,) if fact else ()), *facts)))
        claim_id = self._claim(kind, assertion, span, Verdict.CONTRADICTED, None, named, chart)
        self.flag(
            claim_id, kind, replaces or span, severity=severity, finding=finding, says=says or assertion, fact=fact,
            chart=chart, correction=correction,
        )  # fmt: skip
        return claim_id

    def flag(
        self,
        claim_id: str,
        kind: ClaimKind,
        span: Span | None,
        *,
        severity: Severity,
        finding: str,
        says: str,
        fact: str | None = None,
        chart: Sequence[ChartReference] = (),
        correction: str | None = None,
    ) -> None:
        """Record one disagreement of a claim that is contradicted.

        Without a span something is left out: a correction is then the line to add.
        """
        if correction is not None and span is not None and correction == span.quote:
            correction = None
        self.flags.append(
            Flag(
                id=self._id("flag", claim_id, finding),
                claim_id=claim_id,
                kind=kind,
                severity=severity,
                span=span,
                says=says,
                finding=finding,
                fact_id=fact,
                chart=tuple(chart),
                correction=correction,
            )
        )

    def _claim(
        self,
        kind: ClaimKind,
        assertion: str,
        span: Span | None,
        verdict: Verdict,
        reason: NotCheckedReason | None,
        facts: Sequence[str],
        chart: Sequence[ChartReference],
    ) -> str:
        # Offsets are left out: a claim stays the same when a sentence is added before it.
        identifier = self._id("claim", kind, span.section if span else "", span.quote if span else "", assertion)
        self.claims.append(
            Claim(
                id=identifier,
                kind=kind,
                assertion=assertion,
                span=span,
                verdict=verdict,
                reason=reason,
                fact_ids=tuple(dict.fromkeys(facts)),
                chart=tuple(dict.fromkeys(chart)),
            )
        )
        return identifier

    def _id(self, *parts: str) -> str:
        content = "\x1f".join(parts)
        self._seen[content] += 1
        return str(uuid.uuid5(NAMESPACE, f"{content}\x1f{self._seen[content]}"))
