"""The survey's reasons for a visit: words of its codes, and the groups its classification puts them in."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from triage.training.errors import SurveyError

__all__ = ["GROUPS", "ReasonLabels", "group_of"]

GROUPS: tuple[tuple[int, int, str], ...] = (
    (10050, 10999, "general symptoms"),
    (11000, 11999, "mental health"),
    (12000, 12599, "nervous system"),
    (12600, 12999, "heart and blood"),
    (13000, 13999, "eyes and ears"),
    (14000, 14999, "breathing"),
    (15000, 16399, "digestion"),
    (16400, 18299, "urinary and genital"),
    (18300, 18999, "skin"),
    (19000, 19999, "muscles and bones"),
    (20000, 29999, "known diseases"),
    (30000, 49999, "examinations and treatment"),
    (50000, 58999, "injuries"),
    (59000, 59999, "poisoning and adverse effects"),
    (60000, 89899, "results, administrative and other"),
    (89900, 89999, "no usable reason"),
)
"""First and last code, and what the group is called here."""

_IN_BRACKETS = re.compile(r"\([^)]*\)?")
_NOT_SAID = re.compile(r"\b(NOS|NEC)\b")
_SPACES = re.compile(r"\s+")


class ReasonLabels:
    """Words of reason-for-visit codes."""

    def __init__(self, labels: Mapping[int, str]) -> None:
        self._phrases = {code: _phrase(label) for code, label in labels.items()}

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read a JSON object of codes and labels, as taken from NCHS's documentation; raise ``SurveyError``."""
        try:
            return cls({int(code): str(label) for code, label in json.loads(file.read_text("utf-8")).items()})
        except (ValueError, AttributeError):
            raise SurveyError(f"{file.name} is not a JSON object of reason-for-visit codes and their words") from None

    def phrase(self, code: int) -> str:
        """Return the words of a code, of the nearest broader one, or of an unspecified reason."""
        for known in (code, code // 10 * 10):
            if known in self._phrases:
                return self._phrases[known]
        return "other reason"


def group_of(code: int) -> str:
    """Return the group of a reason code."""
    return next((name for low, high, name in GROUPS if low <= code <= high), GROUPS[-1][2])


def _phrase(label: str) -> str:
    plain = _SPACES.sub(" ", _NOT_SAID.sub("", _IN_BRACKETS.sub("", label))).strip(" ,.")
    return plain.casefold() or label.casefold()
