"""What one answer consists of: its alerts, each with the key by which the same alert is known again."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_support.identifiers import deterministic_id

from facade.cds_hooks.order_chart import DraftOrder

__all__ = ["Alert", "Listener", "suggestion_id"]


@dataclass(frozen=True)
class Alert:
    """A card and what is behind it: ``about`` labels the feedback on it (claim, verdict, facts).

    ``repeatable`` ones are shown whenever they are true: what was not checked now was not said before.
    """

    key: str
    kind: str
    card: dict[str, Any]
    about: Mapping[str, Any] = field(default_factory=dict)
    repeatable: bool = True


@dataclass(frozen=True)
class Listener:
    """Who is told, by which service, about whom."""

    ehr_id: str
    issuer: str
    user: str
    patient_id: str
    service: str

    def alert_key(self, said: Sequence[str], drafts: Sequence[DraftOrder] = ()) -> str:
        """Return the key of an alert, the same from every service: who is told, what, about which orders exactly.

        An order whose dose was changed is another order, and is told of again.
        """
        orders = sorted(json.dumps(draft.medication.model_dump(mode="json"), sort_keys=True) for draft in drafts)
        scope = [self.ehr_id, self.issuer, self.user, self.patient_id]
        return hashlib.sha256(json.dumps([scope, list(said), orders]).encode()).hexdigest()

    def card_id(self, key: str) -> str:
        """Return the uuid of the card of an alert: a call that is repeated gets the same card, not another one."""
        return deterministic_id("cds-card", self.ehr_id, self.service, key)


def suggestion_id(card: str, number: int) -> str:
    """Return the uuid of a suggestion of a card."""
    return deterministic_id("cds-suggestion", card, str(number))
