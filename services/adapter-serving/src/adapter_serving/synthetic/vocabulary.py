"""What synthetic stays are made of, from ``vocabulary.toml`` and ``orders.toml``; their headers explain every word."""

import tomllib
from pathlib import Path
from typing import Any

from service_contracts.chart import OrderKind

__all__ = ["ORDERS", "VISITS", "VOCABULARY", "Orders", "Vocabulary"]


def _strings(values: Any) -> tuple[str, ...]:
    return tuple(str(value) for value in values)


class Vocabulary:
    """Drugs, doses and ways of writing an order for a medicine."""

    def __init__(self, data: dict[str, Any]) -> None:
        rare = _strings(data["rare_conditions"])
        kept = data["held_out_rare_conditions"]
        self.drugs = _strings(data["drugs"])
        self.held_out_drugs = _strings(data["held_out_drugs"])
        self.syllables = _strings(data["syllables"])
        self.endings = _strings(data["endings"])
        self.doses = _strings(data["doses"])
        self.indications = _strings(data["indications"])
        self.manners = _strings(data["manners"])
        self.unclear_orders = _strings(data["unclear_orders"])
        self.rare_conditions, self.held_out_rare_conditions = rare[:-kept], rare[-kept:]
        self.rhythms: tuple[tuple[str, float | None, tuple[str, ...]], ...] = tuple(
            (words, times or None, _strings(written)) for words, times, written in data["rhythms"]
        )
        self.brands: dict[str, str] = data["brands"]
        self.route_words = {route: _strings(one["written"]) for route, one in data["routes"].items()}
        self.route_drugs = {
            route: (_strings(one["drugs"]), _strings(one["doses"]))
            for route, one in data["routes"].items()
            if "drugs" in one
        }


class Orders:
    """Orders of a kind: the sentence and the ways of writing it, and orders that are repeated as they stand."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.copied = {OrderKind(kind): _strings(texts) for kind, texts in data["copied"].items()}
        self.said: dict[OrderKind, tuple[tuple[str, tuple[str, ...]], ...]] = {
            OrderKind(kind): tuple((one["sentence"], _strings(one["written"])) for one in entries)
            for kind, entries in data["orders"].items()
        }


_FOLDER = Path(__file__).parent
_ORDERS = tomllib.loads((_FOLDER / "orders.toml").read_text())
VOCABULARY = Vocabulary(tomllib.loads((_FOLDER / "vocabulary.toml").read_text()))
ORDERS = Orders(_ORDERS)
VISITS = _strings(_ORDERS["visits"])
