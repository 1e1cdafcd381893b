"""A row of the survey, and what it is as a visit."""

from typing import Any

from triage.training.nhamcs import VARIABLES, Tally, Visit, _visit
from triage.training.reasons import ReasonLabels

__all__ = ["LABELS", "PLAIN", "visits_of"]

LABELS = ReasonLabels({10501: "Chest pain, soreness", 14150: "Shortness of breath (NOS)", 89970: 'Entry of "none"'})
PLAIN: dict[str, Any] = {
    **dict.fromkeys(VARIABLES, 0),
    "AGE": 60, "AGEDAYS": -7, "SEX": 2, "ARREMS": 1, "AMBTRANSFER": 2, "RESIDNCE": 2, "IMMEDR": 2, "TEMPF": 1004,
    "PULSE": 110, "RESPR": 22, "BPSYS": 150, "BPDIAS": 90, "POPCT": 94, "PAINSCALE": 7, "RFV1": 10501, "RFV2": 14150,
    "RFV3": -9, "RFV4": -9, "RFV5": -9, "ADMIT": 1, "ADMITHOS": 1, "HDSTAT": 1, "CHF": 1, "DIABTYP2": 1, "REGION": 3,
    "HOSPCODE": 12, "PATWT": 2480.5, "YEAR": 2018,
}  # fmt: skip


def visits_of(changes: list[dict[str, Any]], tally: Tally | None = None) -> list[Visit]:
    """The visits of the plain row with each of these changes."""
    return [_visit({**PLAIN, **change}, LABELS, tally or Tally()) for change in changes]
