"""Discharge orders in plain words: shorthand spelled out, specialties as patients know them."""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from service_contracts.chart import OrderKind

__all__ = ["ORDERS", "SPECIALTIES", "VISITS", "Orders", "order_sentence", "visit_sentence"]


class Orders:
    """Orders of a kind: the sentence and the ways of writing it, and orders that are repeated as they stand."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.copied = {OrderKind(kind): tuple(texts) for kind, texts in data["copied"].items()}
        self.said: dict[OrderKind, tuple[tuple[str, tuple[str, ...]], ...]] = {
            OrderKind(kind): tuple((one["sentence"], tuple(one["written"])) for one in entries)
            for kind, entries in data["orders"].items()
        }


_DATA = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
ORDERS = Orders(_DATA)
VISITS: tuple[str, ...] = tuple(_DATA["visits"])
SPECIALTIES: dict[str, str] = _DATA["specialties"]
_ALIASES: dict[str, str] = _DATA["aliases"]

_NUMBER = r"\d+(?:\.\d+)?"
_UNIT = r"(?P<u>days?|d|weeks?|wks?|wk|months?|mo)"
_BLANKS: dict[str, str] = {
    "u": _UNIT,
    "us": _UNIT,
    "side": r"(?P<side>left|right)",
    "s": r"(?P<s>[LR])",
    "who": r"(?P<who>[A-Za-z/ ]+?)",
    "t": rf"(?P<n>\d+(?:(?:-| to )\d+)?) {_UNIT}",
    **{name: rf"(?P<{name}>{_NUMBER})" for name in ("n", "w", "g", "l", "h")},
}
_LONG_UNITS = {"d": "day", "w": "week", "m": "month"}
_NO_TIME = "Follow up with {who}."


def order_sentence(kind: OrderKind, text: str) -> str:
    """Write an activity or diet order; one that is not known is repeated as it stands."""
    plain = _bare(text)
    for pattern, sentence in _patterns(kind):
        match = pattern.fullmatch(plain)
        if match:
            return sentence.format(**_filled(match))
    return f"{plain[:1].upper()}{plain[1:]}." if plain else ""


def visit_sentence(text: str, within: str | None) -> str:
    """Write a follow-up order; ``within`` ("7 days") is used when the text does not say when."""
    plain = _bare(text)
    for pattern in _visit_patterns():
        match = pattern.fullmatch(plain)
        if match is None:
            continue
        person = _person(match["who"])
        if "n" not in match.groupdict():
            return f"See {person} within {within}." if within else f"See {person}."
        values = _filled(match)
        return f"See {person} in {values['n'].replace('-', ' to ')} {values['us']}."
    return order_sentence(OrderKind.FOLLOW_UP, text)


def _bare(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().rstrip(".;").strip()


def _person(who: str) -> str:
    name = who.strip().lower().removeprefix("the ").removesuffix(" clinic")
    name = _ALIASES.get(name, name)
    for spelling in (name, f"the {name}", f"the {name} clinic", f"{name} clinic"):
        if spelling in SPECIALTIES:
            return SPECIALTIES[spelling]
    return f"the {name} clinic"


@cache
def _patterns(kind: OrderKind) -> tuple[tuple[re.Pattern[str], str], ...]:
    said = ORDERS.said.get(kind, ())
    return tuple((_pattern(written), sentence) for sentence, ways in said for written in ways)


@cache
def _visit_patterns() -> tuple[re.Pattern[str], ...]:
    # The most literal first: "F/u with {who} in {t}" fits "{who} follow up in {t}" less than it fits itself.
    literal = sorted((*VISITS, _NO_TIME), key=lambda written: -len(re.sub(r"\{\w+\}", "", written)))
    return tuple(_pattern(written) for written in literal)


def _pattern(written: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", _bare(written))
    # Odd places are the names of blanks.
    return re.compile("".join(_BLANKS[part] if at % 2 else re.escape(part) for at, part in enumerate(parts)), re.I)


def _filled(match: re.Match[str]) -> dict[str, str]:
    values = {name: value for name, value in match.groupdict().items() if value is not None}
    if "u" in values:
        unit = _LONG_UNITS[values["u"][0].lower()]
        values["us"] = unit if values.get("n") == "1" else f"{unit}s"
    if "s" in values:
        values["side"] = {"l": "left", "r": "right"}[values["s"].lower()]
    return values
