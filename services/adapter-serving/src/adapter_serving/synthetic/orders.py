"""Synthetic activity, diet and follow-up orders with their sentences."""

import random
from collections.abc import Mapping

from service_contracts.chart import ChartOrder, ChartReference, OrderKind
from service_contracts.quantity import Quantity

from adapter_serving.phrasing.orders import ORDERS, SPECIALTIES, VISITS

__all__ = ["order"]

_UNITS = (
    ("days", ("days", "d", "days")),
    ("weeks", ("weeks", "wk", "wks")),
    ("weeks", ("weeks", "wk", "weeks")),
    ("months", ("months", "mo", "months")),
)
_SHORT = {
    "cardiology": ("cardiology", "Cardiology", "cards"),
    "orthopedics": ("orthopedics", "ortho", "orthopedic surgery"),
    "surgery": ("surgery", "general surgery"),
    "primary care": ("primary care", "PCP", "primary care physician", "family medicine"),
    "gastroenterology": ("gastroenterology", "GI"),
    "nephrology": ("nephrology", "renal"),
    "neurology": ("neurology", "neuro"),
    "obstetrics": ("obstetrics", "OB", "OB/GYN"),
    "pulmonology": ("pulmonology", "pulmonary"),
    "oncology": ("oncology", "heme/onc"),
    "infectious disease": ("infectious disease", "ID"),
    "physical therapy": ("physical therapy", "PT"),
}
_UCUM = {"d": "d", "w": "wk", "m": "mo"}


def order(rng: random.Random, kind: OrderKind, source: ChartReference) -> tuple[ChartOrder, list[str]]:
    """Return an order and the sentences of its parts, in order."""
    if kind is OrderKind.FOLLOW_UP and rng.random() < 0.9:
        return _visit(rng, source)
    parts = [_part(rng, kind) for _ in range(rng.choice((1, 1, 2)) if kind is not OrderKind.FOLLOW_UP else 1)]
    if len({said for _, said in parts}) < len(parts) or not all(written[0].isalpha() for written, _ in parts):
        parts = parts[:1]
    if len(parts) == 1:
        return ChartOrder(source=source, kind=kind, text=parts[0][0]), [parts[0][1]]
    text = " ".join(f"{_upper(written).rstrip('.')}." for written, _ in parts)
    return ChartOrder(source=source, kind=kind, text=text), [said for _, said in parts]


def _part(rng: random.Random, kind: OrderKind) -> tuple[str, str]:
    values, written_unit = _values(rng)
    if kind is OrderKind.FOLLOW_UP or rng.random() < 0.2:
        text = rng.choice(ORDERS.copied[kind])
        said = _fill(text, values, values["us"])
        return said, said
    sentence, ways = rng.choice(ORDERS.said[kind])
    return _fill(rng.choice(ways), values, written_unit), _fill(sentence, values, values["us"])


def _values(rng: random.Random) -> tuple[dict[str, str], str]:
    number = rng.choice((1, 2, 2, 3, 4, 5, 6, 6, 7, 8, 10, 12, 14))
    unit, spellings = rng.choice(_UNITS)
    side = rng.choice(("left", "right"))
    values = {
        "n": str(number),
        "us": unit if number != 1 else unit.removesuffix("s"),
        "w": str(rng.choice((5, 8, 10, 10, 15, 20, 25, 30, 40, 50))),
        "g": str(rng.choice((2, 2, 3, 4, 1.5))),
        "l": str(rng.choice((1, 1.2, 1.5, 1.8, 2))),
        "h": str(rng.choice((2, 3, 4))),
        "side": side,
        "s": side[0].upper(),
    }
    written = rng.choice(spellings)
    return values, written if number != 1 else written.removesuffix("s")


def _fill(text: str, values: Mapping[str, str], written_unit: str) -> str:
    return text.format(**values, u=written_unit)


def _visit(rng: random.Random, source: ChartReference) -> tuple[ChartOrder, list[str]]:
    specialty = rng.choice(tuple(SPECIALTIES))
    who = rng.choice(_SHORT.get(specialty, (specialty,)))
    values, _ = _values(rng)
    number = values["n"] if rng.random() < 0.85 else f"{values['n']} to {int(values['n']) + rng.choice((1, 2, 4))}"
    unit = values["us"] if number == values["n"] else values["us"].removesuffix("s") + "s"
    within = None
    if " " not in number and rng.random() < 0.55:
        within = Quantity(value=float(number), unit=_UCUM[unit[0]])
    if within is not None and rng.random() < 0.2:
        text, said = f"Follow up with {who}.", f"See {SPECIALTIES[specialty]} within {number} {unit}."
    elif rng.random() < 0.06:
        text, said, within = f"Follow up with {who}.", f"See {SPECIALTIES[specialty]}.", None
    else:
        text = _upper(
            rng.choice(VISITS).format(who=who, t=f"{number.replace(' to ', rng.choice(('-', ' to ')))} {unit}")
        )
        said = f"See {SPECIALTIES[specialty]} in {number} {unit}."
    return ChartOrder(source=source, kind=OrderKind.FOLLOW_UP, text=text, within=within), [said]


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
