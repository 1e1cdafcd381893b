"""From alerts to the answer: what was said at order-select is not said again at order-sign, and every card is kept."""

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from service_runtime.log import LogCode, log
from service_runtime.secrets import SecretError
from sqlalchemy.exc import SQLAlchemyError

from facade.cds_hooks.alerts import Alert
from facade.resources.ids import patient_scope
from facade.store.cds_cards import CdsCards, KeptCard, SaidBefore

__all__ = ["NOT_REPEATED", "Answers"]

NOT_REPEATED = "health.preceptor.not-repeated"
"""The extension of an answer that names each alert left out of it, the card that said it before, and why."""

_SAID_BEFORE = {"order-sign": "order-select"}
_REMEMBERED = timedelta(hours=1)
_REASON = "shown-at-order-select"


class Answers:
    """Makes the answers of all services."""

    def __init__(self, cards: CdsCards) -> None:
        self._cards = cards

    async def answer(
        self, ehr_id: str, service: str, patient_id: str, alerts: Sequence[Alert], request_id: str
    ) -> dict[str, Any]:
        """Return the body: the cards of ``alerts`` but those that were shown before, each kept with its reason.

        What cannot be kept is shown all the same, without the ids that feedback would need: that an alert was made
        matters more than that it can be counted.
        """
        try:
            before = await self._keep(ehr_id, service, patient_id, alerts, request_id)
        except (SQLAlchemyError, SecretError, OSError) as error:
            log(LogCode.REQUEST_FAILED, level=logging.ERROR, stage="cds-cards", error_type=type(error).__name__)
            return _body([_without_ids(alert.card) for alert in alerts])
        left_out = [{"card": before[alert.key], "reason": _REASON} for alert in alerts if alert.key in before]
        for _ in left_out:
            log(LogCode.CDS_NOT_REPEATED, ehr=ehr_id, kind=service, reason=_REASON)
        shown = [alert.card for alert in alerts if alert.key not in before]
        log(LogCode.CDS_ANSWERED, ehr=ehr_id, kind=service, count=len(shown))
        return _body(shown, {NOT_REPEATED: left_out} if left_out else None)

    async def _keep(
        self, ehr_id: str, service: str, patient_id: str, alerts: Sequence[Alert], request_id: str
    ) -> Mapping[str, str]:
        """Keep every card; return those the clinician has seen before, by alert key."""
        scope = patient_scope(ehr_id, f"Patient/{patient_id}")
        earlier = _SAID_BEFORE.get(service)
        return await self._cards.keep(
            [
                KeptCard(
                    id=alert.card["uuid"],
                    ehr_id=ehr_id,
                    patient_key=scope,
                    service=service,
                    alert_key=alert.key,
                    kind=alert.kind,
                    request_id=request_id,
                    content={"card": alert.card, "about": dict(alert.about)},
                    once=not alert.repeatable,
                )
                for alert in alerts
            ],
            SaidBefore(earlier, datetime.now(UTC) - _REMEMBERED, _REASON) if earlier else None,
        )


def _body(cards: Sequence[dict[str, Any]], extension: dict[str, Any] | None = None) -> dict[str, Any]:
    # systemActions are what an EHR does without asking: we have none, and say so.
    return {"cards": list(cards), "systemActions": [], **({"extension": extension} if extension else {})}


def _without_ids(card: dict[str, Any]) -> dict[str, Any]:
    bare = {name: value for name, value in card.items() if name != "uuid"}
    if "suggestions" in bare:
        bare["suggestions"] = [{k: v for k, v in one.items() if k != "uuid"} for one in bare["suggestions"]]
    return bare
