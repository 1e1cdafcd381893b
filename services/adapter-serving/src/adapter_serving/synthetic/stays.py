"""Whole synthetic stays, deterministic by seed; a held-out stay has drugs and conditions that no training stay has."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from service_contracts.chart import Chart, ChartCondition, ChartOrder, ChartProcedure, ChartReference, OrderKind

from adapter_serving.items import Item, ItemKind, chart_items
from adapter_serving.phrasing.conditions import (
    CONDITIONS,
    PROCEDURES,
    procedure_sentence,
    reason_sentence,
    warning_sentence,
)
from adapter_serving.synthetic.medications import medication_order
from adapter_serving.synthetic.orders import order
from adapter_serving.synthetic.vocabulary import VOCABULARY

__all__ = ["SyntheticStay", "condition_examples", "stays"]

_DAY = date(2026, 1, 1)
_ROOTS = (
    "myelo",
    "lepto",
    "dermo",
    "para",
    "vaso",
    "gastro",
    "thromb",
    "cardi",
    "oste",
    "neur",
    "bronch",
    "hemo",
    "lymph",
    "cyst",
    "enter",
    "spondyl",
)
_TAILS = ("osis", "itis", "oma", "pathy", "penia", "algia", "megaly")
_NOUNS = ("syndrome", "disease", "disorder", "fever")
_PLACES = ("Chronic", "Acute", "Left", "Recurrent", "Mild", "Diffuse")


@dataclass(frozen=True)
class SyntheticStay:
    """A chart and the sentence of each of its items, in the order of ``chart_items``."""

    chart: Chart
    sentences: tuple[str, ...]

    def examples(self) -> Iterator[tuple[Item, str]]:
        """Yield each item with its sentence."""
        yield from zip(chart_items(self.chart), self.sentences, strict=True)


def stays(count: int, seed: int, *, held_out: bool = False) -> Iterator[SyntheticStay]:
    """Yield ``count`` stays; the same for the same arguments."""
    rng = random.Random(f"{seed}-{held_out}")  # noqa: S311  synthetic data, not a secret
    for number in range(count):
        yield _stay(rng, number, held_out)


def condition_examples(seed: int, rounds: int) -> Iterator[tuple[Item, str]]:
    """Yield the reason and the warning for every written form of every known condition, ``rounds`` times."""
    source = ChartReference(reference="Condition/synthetic")
    for _ in range(rounds):
        for condition in CONDITIONS:
            for name in condition.written:
                yield Item(ItemKind.REASON, name, source), reason_sentence(name)
                yield Item(ItemKind.WARNING, name, source), warning_sentence(name)
    rng = random.Random(seed)  # noqa: S311  synthetic data, not a secret
    for _ in range(rounds * 40):
        name = _invented(rng)
        yield Item(ItemKind.REASON, name, source), reason_sentence(name)
        yield Item(ItemKind.WARNING, name, source), warning_sentence(name)


def _stay(rng: random.Random, number: int, held_out: bool) -> SyntheticStay:
    condition = _condition(rng, held_out)
    procedures = [rng.choice(rng.choice(PROCEDURES).written)] if rng.random() < 0.5 else []
    listed = [
        medication_order(rng, _reference("MedicationRequest", number, position), held_out=held_out)
        for position in range(rng.choice((2, 4, 5, 6, 7, 8, 10, 12)))
    ]
    orders: list[ChartOrder] = []
    said: list[str] = []
    for position, kind in enumerate((OrderKind.ACTIVITY, OrderKind.DIET, OrderKind.FOLLOW_UP)):
        one, sentences = order(rng, kind, _reference("ServiceRequest", number, position))
        orders.append(one)
        said += sentences
    chart = Chart(
        patient=_reference("Patient", number, 0),
        encounter=_reference("Encounter", number, 0),
        conditions=(ChartCondition(source=_reference("Condition", number, 0), name=condition, principal=True),),
        procedures=tuple(ChartProcedure(source=_reference("Procedure", number, 0), name=name) for name in procedures),
        medications=tuple(medication for medication, _ in listed),
        orders=tuple(orders),
        as_of=_DAY,
    )
    told = (
        reason_sentence(condition),
        *(procedure_sentence(name) for name in procedures),
        *(sentence for _, sentence in listed),
        *said,
        warning_sentence(condition),
    )
    return SyntheticStay(chart, told)


def _condition(rng: random.Random, held_out: bool) -> str:
    if rng.random() < 0.3:
        rare = VOCABULARY.held_out_rare_conditions if held_out else VOCABULARY.rare_conditions
        named = rng.choice(rare) if held_out or rng.random() < 0.5 else _invented(rng)
        return named + rng.choice(("", "", ", unspecified", ", initial encounter"))
    return rng.choice(rng.choice(CONDITIONS).written)


def _invented(rng: random.Random) -> str:
    # A condition of no known name teaches to repeat a name, instead of taking it for the nearest known one.
    word = "".join(rng.sample(_ROOTS, 2)).capitalize()
    return rng.choice(
        (
            f"{word}{rng.choice(_TAILS)}",
            f"{word} {rng.choice(_NOUNS)}",
            f"{rng.choice(_PLACES)} {word.lower()}{rng.choice(_TAILS)}",
        )
    )


def _reference(kind: str, stay: int, position: int) -> ChartReference:
    return ChartReference(reference=f"{kind}/synthetic-{stay}-{position}", version="1")
