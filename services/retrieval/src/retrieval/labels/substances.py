"""Minerals and the like, which labels mostly name as something measured: when they are something taken."""

import re

__all__ = ["SUBSTANCES", "taken"]

SUBSTANCES = {
    "potassium": "potassium-raising",
    "calcium": "calcium-supplement",
    "magnesium": "magnesium-salt",
    "iron": "iron-salt",
    "zinc": "zinc-salt",
    "aluminum": "aluminum-compound",
    "thyroid": "thyroid-hormone",
}
"""What is taken where one of these words is meant as such: a class."""
_AFTER = re.compile(
    r"\W{1,3}(?:intake|ingestion|administration|infusions?|injections?|replacement|(?:by |given )?(?:the )?intravenous"
    r"|(?:particularly |especially )?(?:when|if) (?:administered|given|taken))\b",
    re.I,
)
_BEFORE = re.compile(
    r"\b(?:absorption|intake|ingestion|administration|infusion) of\s+$|\b(?:oral|intravenous|dietary|supplemental)\s+$",
    re.I,
)


def taken(text: str, start: int, end: int) -> bool:
    """Whether a word for such a substance is meant as something taken, as what stands beside it tells."""
    return bool(_AFTER.match(text, end) or _BEFORE.search(text[:start]))
