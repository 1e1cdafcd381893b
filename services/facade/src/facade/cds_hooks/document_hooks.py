"""patient-view and encounter-discharge: what is open in drafted discharge instructions, with a way to each finding."""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from service_contracts.reconciliation import Claim, Flag, Verdict

from facade.cds_hooks.alerts import Alert, Listener
from facade.cds_hooks.cards import INDICATORS, card, evidence_detail, fact_source, own_source, plain, shortened
from facade.cds_hooks.client_jwt import Caller
from facade.cds_hooks.request import HookRequest
from facade.cds_hooks.services import CdsService
from facade.decisions import undecided_flags
from facade.resources.vocabulary import NOT_CHECKED_WORDS
from facade.store.documents import Documents, DocumentStatus, StoredDocument

__all__ = ["OVERDUE_AFTER", "DocumentHooks", "app_context"]

OVERDUE_AFTER = timedelta(hours=24)
"""Discharge instructions are for the patient to take along: a day after they were drafted nobody has read them."""
_MAX_FLAGS = 10
_ORDER = {"high": 0, "moderate": 1, "low": 2}


def app_context(document: StoredDocument, flag: Flag | None = None) -> str:
    """Return the ``appContext`` with which the launched page opens a document, at a flag if one is named."""
    named = {"document": document.id, **({"flag": flag.id} if flag is not None else {})}
    return json.dumps(named, separators=(",", ":"))


class DocumentHooks:
    """Answers from the documents that are kept here; nothing is read from the EHR."""

    def __init__(self, documents: Documents, public_base_url: str) -> None:
        self._documents = documents
        self._launch_url = f"{public_base_url}/smart/launch"

    async def patient_view(self, caller: Caller, service: CdsService, request: HookRequest) -> list[Alert]:
        """Return an alert for each document of the patient that waits for a clinician."""
        listener = _listener(caller, service, request)
        found = await self._documents.unsigned(caller.ehr.id, f"Patient/{request.patient_id}")
        now = datetime.now(UTC)
        alerts = [self._waiting(one, now, listener) for one in found]
        return [alert for alert in alerts if alert is not None]

    async def encounter_discharge(self, caller: Caller, service: CdsService, request: HookRequest) -> list[Alert]:
        """Return an alert for each finding in the instructions of the stay; one when they are not there yet."""
        listener = _listener(caller, service, request)
        encounter = f"Encounter/{request.encounter_id}"
        stored = await self._documents.get(caller.ehr.id, encounter)
        if stored is None or stored.patient != f"Patient/{request.patient_id}":
            return [self._not_drafted(listener, request)]
        if stored.status is DocumentStatus.FINAL:
            return []
        flags = _gravest_first(undecided_flags(stored.document, stored.decisions))
        alerts = [self._flagged(stored, flag, listener) for flag in flags[:_MAX_FLAGS]]
        if len(flags) > _MAX_FLAGS:
            alerts.append(self._rest(stored, flags[_MAX_FLAGS:], listener))
        unchecked = [claim for claim in stored.document.claims if claim.verdict is Verdict.NOT_CHECKED]
        if unchecked or stored.document.missing:
            alerts.append(self._not_checked(stored, unchecked, listener))
        return alerts

    def _waiting(self, stored: StoredDocument, now: datetime, listener: Listener) -> Alert | None:
        flags = _gravest_first(undecided_flags(stored.document, stored.decisions))
        overdue = now - stored.created_at > OVERDUE_AFTER
        if not flags and not overdue:
            return None
        parts = []
        if flags:
            count = "1 finding is" if len(flags) == 1 else f"{len(flags)} findings are"
            parts.append(f"{count} not decided in the drafted discharge instructions")
        if overdue:
            hours = int((now - stored.created_at).total_seconds() // 3600)
            waited = f"{hours // 24} days" if hours >= 48 else f"{hours} hours"
            parts.append(
                f"the review is overdue by {waited}"
                if flags
                else f"Discharge instructions have waited {waited} for review"
            )
        grave = any(flag.severity == "high" for flag in flags)
        lines = [f"- {plain(flag.finding)}" for flag in flags[:_MAX_FLAGS]]
        key = listener.alert_key(["waiting", stored.id, *(flag.id for flag in flags), str(overdue)])
        return Alert(
            key,
            "waiting",
            card(
                listener.card_id(key),
                "; ".join(parts) + ".",
                "warning" if grave or overdue else "info",
                own_source(flags[0].kind if flags else None),
                detail="\n".join(lines),
                links=[
                    self._link(stored, "Review the discharge instructions"),
                    *(self._link(stored, f"Open: {flag.finding}", flag) for flag in flags[:_MAX_FLAGS]),
                ],
            ),
            {"document": stored.id, "flags": [flag.id for flag in flags]},
        )

    def _flagged(self, stored: StoredDocument, flag: Flag, listener: Listener) -> Alert:
        fact = next((one for one in stored.document.facts if one.id == flag.fact_id), None)
        key = listener.alert_key(["flag", stored.id, flag.id])
        return Alert(
            key,
            str(flag.kind),
            card(
                listener.card_id(key),
                flag.finding,
                INDICATORS[flag.severity],
                fact_source(fact, flag.kind) if fact is not None else own_source(flag.kind, "The patient's chart"),
                detail=evidence_detail(flag.finding, fact, [f"The draft says: {plain(flag.says)}"]),
                links=[self._link(stored, "Decide on this finding", flag)],
            ),
            {"document": stored.id, "flag": flag.id, "kind": str(flag.kind), "severity": str(flag.severity)},
        )

    def _rest(self, stored: StoredDocument, flags: Sequence[Flag], listener: Listener) -> Alert:
        key = listener.alert_key(["rest", stored.id, *(flag.id for flag in flags)])
        return Alert(
            key,
            "rest",
            card(
                listener.card_id(key),
                f"{len(flags)} more findings are not decided in the discharge instructions.",
                "warning",
                own_source(flags[0].kind),
                detail="\n".join(f"- {plain(flag.finding)}" for flag in flags),
                links=[self._link(stored, "Review the discharge instructions")],
            ),
            {"document": stored.id, "flags": [flag.id for flag in flags]},
        )

    def _not_checked(self, stored: StoredDocument, claims: Sequence[Claim], listener: Listener) -> Alert:
        reasons = Counter(NOT_CHECKED_WORDS[claim.reason] for claim in claims if claim.reason)
        lines = [f"- {count} because {plain(words)}" for words, count in reasons.most_common()]
        lines += [f"- The part “{plain(part)}” is missing" for part in stored.document.missing]
        key = listener.alert_key(["not-checked", stored.id, *(claim.id for claim in claims), *stored.document.missing])
        said = f"{len(claims)} statements of the discharge instructions were not checked."
        missing = "Parts of the discharge instructions are missing."
        return Alert(
            key,
            "not-checked",
            card(
                listener.card_id(key),
                said if claims else missing,
                "warning" if stored.document.missing else "info",
                own_source(None),
                detail="\n".join(lines),
                links=[self._link(stored, "Review the discharge instructions")],
            ),
            {"document": stored.id, "claims": [claim.id for claim in claims]},
        )

    def _not_drafted(self, listener: Listener, request: HookRequest) -> Alert:
        key = listener.alert_key(["not-drafted", str(request.encounter_id)])
        link = {"label": "Open the discharge instructions", "url": self._launch_url, "type": "smart"}
        return Alert(
            key,
            "not-checked",
            card(
                listener.card_id(key),
                "The discharge instructions of this stay are not drafted yet: nothing in them was checked.",
                "info",
                own_source(None),
                links=[link],
            ),
        )

    def _link(self, stored: StoredDocument, label: str, flag: Flag | None = None) -> dict[str, Any]:
        return {
            "label": shortened(label, 80),
            "url": self._launch_url,
            "type": "smart",
            "appContext": app_context(stored, flag),
        }


def _listener(caller: Caller, service: CdsService, request: HookRequest) -> Listener:
    return Listener(caller.ehr.id, caller.issuer, request.user, request.patient_id, service.id)


def _gravest_first(flags: Sequence[Flag]) -> list[Flag]:
    return sorted(flags, key=lambda flag: _ORDER[str(flag.severity)])
