"""What synthetic stays are made of, from ``vocabulary.toml``; its header explains every word."""

import tomllib
from pathlib import Path
from typing import Any

__all__ = ["VOCABULARY", "Vocabulary"]


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
        self.brands: dict[str, str] = data["brands"]
        self.route_words = {route: _strings(one["written"]) for route, one in data["routes"].items()}
        self.route_drugs = {
            route: (_strings(one["drugs"]), _strings(one["doses"]))
            for route, one in data["routes"].items()
            if "drugs" in one
        }


VOCABULARY = Vocabulary(tomllib.loads(Path(__file__).with_suffix(".toml").read_text()))
