"""Discharge orders in plain words: shorthand spelled out, specialties as patients know them."""

import re
import tomllib
from pathlib import Path

from adapter_serving.phrasing.names import sentence_case

__all__ = ["SPECIALTIES", "activity_sentence", "diet_sentence", "visit_sentence"]

_DATA = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
SPECIALTIES: dict[str, str] = _DATA["specialties"]
_ALIASES: dict[str, str] = _DATA["aliases"]


def _table(name: str) -> tuple[tuple[str, str], ...]:
    return tuple((pattern, plain) for pattern, plain in _DATA["rewritten"][name])


_ACTIVITY, _DIET, _TIMES = _table("activity"), _table("diet"), _table("times")
_VISIT = re.compile(
    r"^(?:please )?(?:follow[- ]?up|f/u|fu|see|return to|appointment|visit)\b(?: with| in| to)?\s*"
    r"(?:the )?(?P<who>[A-Za-z/ ]+?)?\s*"
    r"(?:clinic|office)?\s*(?:(?:in|within|after)\s+(?P<n>\d+(?:\s*(?:-|to)\s*\d+)?)\s*(?P<u>days?|d|weeks?|wks?|months?|mos?))?$",
    re.I,
)


def activity_sentence(text: str) -> str:
    """Write an activity order."""
    return _sentence(_spelled(text, _ACTIVITY))


def diet_sentence(text: str) -> str:
    """Write a diet order."""
    return _sentence(_spelled(text, _DIET))


def visit_sentence(text: str, within: str | None) -> str:
    """Write a follow-up order; ``within`` ("7 days") is used when the text does not say when."""
    match = _VISIT.match(text.strip().rstrip("."))
    if match is None:
        return _sentence(_spelled(text, ()))
    who = (match["who"] or "").strip().lower()
    who = _ALIASES.get(who, who)
    person = SPECIALTIES.get(who) or SPECIALTIES.get(f"the {who}") or (f"the {who} clinic" if who else "your doctor")
    if match["n"]:
        unit = {"d": "day", "w": "week", "m": "month"}[match["u"][0].lower()]
        number = re.sub(r"\s*(?:-|to)\s*", " to ", match["n"])
        return f"See {person} in {number} {unit}{'' if number == '1' else 's'}."
    return f"See {person} within {within}." if within else f"See {person}."


def _spelled(text: str, table: tuple[tuple[str, str], ...]) -> str:
    words = text.strip().rstrip(".;")
    for pattern, plain in (*table, *_TIMES):
        words = re.sub(pattern, plain, words, flags=re.I)
    return re.sub(r"\s+", " ", words).strip()


def _sentence(words: str) -> str:
    plain = sentence_case(words) if words.isupper() else words
    return f"{plain[:1].upper()}{plain[1:]}." if plain else ""
