"""Reads the free text of an order ("500mg PO q6h PRN pain x 7 days") for a guess that the model then verifies.

What is misread here costs a second pass of the model and nothing else: a guess is never sent as it is.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from adapter_serving.phrasing.medications import Sig

__all__ = ["RHYTHMS", "read_order"]

_NUMBER = r"\d+(?:[.,]\d+)*"
_DOSE = re.compile(
    rf"(?<![\w/.-])(?P<a>{_NUMBER})(?:\s*(?P<sep>/|-|to)\s*(?P<b>{_NUMBER}))?\s*(?P<u>mg/m2|mg/kg|mg|mcg|ug|g|mL|"
    r"L|mEq|IU|units?|tab(?:let)?s?|cap(?:sule)?s?|puffs?|drops?|patch(?:es)?|sprays?|packets?)(?![\w/])",
    re.I,
)
_UNIT_WORDS = {"iu": "units", "unit": "units", "ug": "mcg", "ml": "mL", "meq": "mEq", "l": "L"}
_FORMS = {
    "tab": "tablet",
    "cap": "capsule",
    "puf": "puff",
    "dro": "drop",
    "pat": "patch",
    "spr": "spray",
    "pac": "packet",
}
_ROUTES: tuple[tuple[str, str], ...] = (
    (r"p\.?o\.?|by mouth|orally|oral", "oral"),
    (r"sl|sublingual(?:ly)?|under the tongue", "sublingual"),
    (r"sc|sq|subq|subcut(?:aneous(?:ly)?)?", "subcutaneous"),
    (r"im|intramuscular(?:ly)?", "intramuscular"),
    (r"iv|intravenous(?:ly)?", "intravenous"),
    (r"inh|inhaled|(?:by )?inhalation|nebulized|neb", "inhaled"),
    (r"top|topical(?:ly)?|to affected area", "topical"),
    (r"td|transdermal|to skin", "transdermal"),
    (r"ophth|ophthalmic|(?:in )?both eyes|ou", "ophthalmic"),
    (r"otic", "otic"),
    (r"nasal|intranasal|in each nostril", "nasal"),
    (r"pr|rectal(?:ly)?", "rectal"),
    (r"pv|vaginal(?:ly)?", "vaginal"),
)
RHYTHMS: tuple[tuple[str, float | None, tuple[str, ...]], ...] = tuple(
    (words, times or None, tuple(written))
    for words, times, written in tomllib.loads(Path(__file__).with_name("rhythms.toml").read_text())["rhythms"]
)
# The longest spelling first: "every night at bedtime" holds "every night".
_SPELLINGS = sorted(
    ((spelling, words) for words, _, written in RHYTHMS for spelling in written), key=lambda one: -len(one[0])
)
_RHYTHM = re.compile(rf"(?<!\w)(?:{'|'.join(re.escape(spelling) for spelling, _ in _SPELLINGS)})(?!\w)", re.I)
_WORDS = {spelling.lower(): words for spelling, words in reversed(_SPELLINGS)}
_EVERY = re.compile(rf"(?<!\w)(?:q|every)\s*({_NUMBER})(?:\s*(?:-|to)\s*({_NUMBER}))?\s*(?:hours?|hrs?|h)(?!\w)", re.I)
_NEEDED = re.compile(
    r"(?<!\w)(?:prn|as needed)(?:\s+(?:for\s+)?(?P<why>(?!x\b|for\b)[a-z ]+?)(?=\s+x\s*\d|\s+for\s+\d|[,;.]|$))?", re.I
)
_MANNER = re.compile(
    r"(?<!\w)(with food|with meals|before meals|after meals|on an empty stomach|with water)(?!\w)", re.I
)
_LONG = re.compile(rf"(?<!\w)(?:x|for)\s*({_NUMBER})\s*(days?|d|weeks?|wks?|months?)(?!\w)", re.I)


def read_order(text: str | None, known: Mapping[str, str]) -> Sig:
    """Return what ``text`` says, completed by the structured values ``known`` (fields of ``Sig`` by name)."""
    text = text or ""
    needed = _NEEDED.search(text)
    return Sig(
        dose=_dose(text) or known.get("dose"),
        route=next((route for pattern, route in _ROUTES if _has(pattern, text)), None) or known.get("route"),
        rhythm=_rhythm(text) or known.get("rhythm"),
        as_needed=needed is not None or "as_needed" in known,
        indication=needed["why"].strip().lower() if needed and needed["why"] else None,
        manner=_found(_MANNER, text),
        duration=_duration(text) or known.get("duration"),
    )


def _has(pattern: str, text: str) -> bool:
    return re.search(rf"(?<!\w)(?:{pattern})(?!\w)", text, re.I) is not None


def _found(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.search(text)
    return match[1].lower() if match else None


def _dose(text: str) -> str | None:
    match = _DOSE.search(text)
    if match is None:
        return None
    unit = match["u"].lower()
    last = match["b"] or match["a"]
    form = _FORMS.get(unit[:3])
    if form:
        unit = form if float(last.replace(",", "")) <= 1 else f"{form}es" if form == "patch" else f"{form}s"
    unit = _UNIT_WORDS.get(unit, unit)
    if not match["b"]:
        return f"{match['a']} {unit}"
    joint = "/" if match["sep"] == "/" else " to "
    return f"{match['a']}{joint}{match['b']} {unit}"


def _rhythm(text: str) -> str | None:
    known = _RHYTHM.search(text)
    if known:
        return _WORDS[known[0].lower()]
    every = _EVERY.search(text)
    return f"every {every[1]}{f' to {every[2]}' if every[2] else ''} hours" if every else None


def _duration(text: str) -> str | None:
    match = _LONG.search(text)
    if match is None:
        return None
    unit = {"d": "day", "w": "week", "m": "month"}[match[2][0].lower()]
    return f"{match[1]} {unit}{'' if match[1] == '1' else 's'}"
