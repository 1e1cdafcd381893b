"""Which of the long-term conditions that the model knows are on a problem list."""

import tomllib
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

from service_contracts.triage import TriageCondition

__all__ = ["CONDITIONS", "known_conditions"]

_ICD10 = frozenset({"http://hl7.org/fhir/sid/icd-10-cm", "http://hl7.org/fhir/sid/icd-10"})
_SNOMED = "http://snomed.info/sct"
# A problem list also says what a patient does not have, or might get.
_NOT_PRESENT = (
    "no history", "no evidence", "family history", "screening", "prediabetes", "pre-diabetes", "risk of", "gestational",
    "fear of",
)  # fmt: skip
_NOT_AT_FRONT = ("no ", "exposure to ", "contact with ")
_WITHOUT = " without "


@cache
def _table() -> dict[str, dict[str, Any]]:
    return tomllib.loads(files("triage").joinpath("data", "conditions.toml").read_text("utf-8"))


CONDITIONS: tuple[str, ...] = tuple(_table())
"""In the order in which the model's features hold them."""


def known_conditions(listed: Iterable[TriageCondition]) -> frozenset[str]:
    """Return the conditions that are found by a code or by the name."""
    return frozenset(name for one in listed for name, spec in _table().items() if _is(one, spec))


def _is(one: TriageCondition, spec: dict[str, Any]) -> bool:
    for coding in one.codes:
        if coding.system in _ICD10 and any(coding.code.startswith(start) for start in spec["icd10"]):
            return True
        if coding.system == _SNOMED and coding.code in spec["snomed"]:
            return True
    name = (one.name or "").casefold().split(_WITHOUT)[0]
    if name.startswith(_NOT_AT_FRONT) or any(words in name for words in _NOT_PRESENT):
        return False
    for words in spec.get("others", ()):
        name = name.replace(words, "")
    return any(all(word in name for word in words) for words in spec["words"])
