"""What each source's own grade of an interaction is among FHIR's three severities, and why: a table, kept as data.

Only ``high`` interrupts the one who orders (a critical card). The table is the whole policy: no importer has another.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from service_contracts.evidence import Severity

__all__ = ["LEVELS", "RANK", "Level", "level_of", "plain", "strictest"]

RANK = {Severity.HIGH: 0, Severity.MODERATE: 1, Severity.LOW: 2}


@dataclass(frozen=True)
class Level:
    """One grade of one source: what it is called there (``published``), and what it is here, in ``words``."""

    source: str
    published: str
    severity: Severity
    words: str
    reason: str


_NOT_TOGETHER = "must not be used together"
_BETTER_NOT = "are better not used together"
_PRECAUTIONS = "need precautions when used together"
_IN_MIND = "have a combined effect to bear in mind"
_ABSOLUTE = "ANSM: absolute, must not be gone against: the order is interrupted"
_RELATIVE = "ANSM: preferably avoided, allowed after weighing with close watch: shown, decided by the prescriber"
_WATCH = "ANSM: allowed when its recommendations (dose, watching, timing) are followed: shown"
_KNOW = "ANSM: an addition of effects without practical advice: for information"
_SOME = "The strictest level holds for some doses, routes or patients only, in text that is not read: never interrupts"

LEVELS = (
    Level("ansm", "contre-indication", Severity.HIGH, _NOT_TOGETHER, _ABSOLUTE),
    Level("ansm", "contraindication", Severity.HIGH, _NOT_TOGETHER, _ABSOLUTE),
    Level("ansm", "association deconseillee", Severity.MODERATE, _BETTER_NOT, _RELATIVE),
    Level("ansm", "not recommended", Severity.MODERATE, _BETTER_NOT, _RELATIVE),
    Level("ansm", "precaution d'emploi", Severity.MODERATE, _PRECAUTIONS, _WATCH),
    Level("ansm", "precaution for use", Severity.MODERATE, _PRECAUTIONS, _WATCH),
    Level("ansm", "a prendre en compte", Severity.LOW, _IN_MIND, _KNOW),
    Level("ansm", "il convient de prendre en compte", Severity.LOW, _IN_MIND, _KNOW),
    Level("ansm", "take into account", Severity.LOW, _IN_MIND, _KNOW),
    Level("ansm", "several levels", Severity.MODERATE, "are contraindicated or need care, by the case", _SOME),
    Level(
        "ndf-rt", "critical", Severity.HIGH, "a critical interaction",
        "VA: an order is stopped until the prescriber overrides it with a reason",
    ),
    Level(
        "ndf-rt", "significant", Severity.MODERATE, "a significant interaction",
        "VA: the prescriber is told and goes on without a reason",
    ),
    Level(
        "label", "contraindicated", Severity.HIGH, "The label contraindicates them together",
        "The whole sentence contraindicates this pair and says nothing else",
    ),
    Level(
        "label", "avoid", Severity.MODERATE, "The label says to avoid them together",
        "The whole sentence says to avoid this pair: shown, decided by the prescriber",
    ),
    Level(
        "label", "asks for action", Severity.MODERATE, "The label asks for care when they are used together",
        "The sentence names both and asks to avoid, watch or change something; it may have conditions: no interruption",
    ),
    Level(
        "label", "described", Severity.LOW, "The label describes an interaction",
        "The sentence names both and an effect, and asks for nothing",
    ),
    Level(
        "nlm", "caution_interaction", Severity.MODERATE, "an interaction that asks for caution",
        "NLM annotators: the label asks to avoid, watch or change something",
    ),
    Level(
        "nlm", "specific_interaction", Severity.LOW, "an interaction with a specific effect",
        "NLM annotators: an effect is described and nothing is asked",
    ),
    Level(
        "nlm", "increase_interaction", Severity.LOW, "an interaction that increases an effect or exposure",
        "NLM annotators: an effect is described and nothing is asked",
    ),
    Level(
        "nlm", "decrease_interaction", Severity.LOW, "an interaction that decreases an effect or exposure",
        "NLM annotators: an effect is described and nothing is asked",
    ),
)  # fmt: skip

_BY_NAME = {(level.source, level.published): level for level in LEVELS}
# How the English edition of 2016 spells its four levels, mistakes included. Anything else is refused, by name.
_SPELLINGS = {
    "contraindicaton": "contraindication",
    "contrandication": "contraindication",
    "c0ntraindication": "contraindication",
    "contraindicatioin": "contraindication",
    "contraindication with": "contraindication",
    "not recommeded": "not recommended",
    "nor recommended": "not recommended",
    "not recommended with": "not recommended",
    "precautions for use": "precaution for use",
    "precaution of use": "precaution for use",
    "tale into account": "take into account",
    "with doses of methotrexate > 20 mg/week": "several levels",
    "contraindication - not recommended - precaution for use": "several levels",
}


@lru_cache(maxsize=16384)
def plain(text: str) -> str:
    """Return text without accents, in lower case, with single spaces and straight quotes."""
    bare = "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))
    return " ".join(bare.lower().replace("’", "'").split())


def level_of(source: str, published: str) -> Level | None:
    """Return the level that ``source`` calls ``published``, None for one that is not in the table."""
    name = re.sub(r"[\s.:]+$", "", plain(published))
    return _BY_NAME.get((source, _SPELLINGS.get(name, name)))


def strictest(severities: Iterable[Severity]) -> Severity:
    """Return the gravest of ``severities``: where sources differ it decides."""
    return min(severities, key=RANK.__getitem__)
