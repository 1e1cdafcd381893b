"""Measures an adapter on held-out synthetic stays: ``python -m adapter_serving.evaluate [--stays N]``."""

import argparse
import json
import math
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import track

from adapter_serving.engine import Engine, Row
from adapter_serving.items import Item, ItemKind
from adapter_serving.manifest import Rate
from adapter_serving.phrasing.guess import guess
from adapter_serving.phrasing.names import plain_name
from adapter_serving.prepare import CACHE, MODEL_FOLDER
from adapter_serving.reading_level import grade
from adapter_serving.synthetic.stays import SyntheticStay, stays

__all__ = ["HELD_OUT_SEED", "Report", "evaluate", "main", "wilson"]

HELD_OUT_SEED = 2027
HELD_OUT_STAYS = 60
_NUMBER = re.compile(r"\d+(?:[.,/]\d+)*(?: (?:to|/) \d+(?:[.,]\d+)*)?")
_RHYTHM = re.compile(
    r"once a day(?: in the morning| in the evening| at bedtime)?|once a week|every other day"
    r"|every [\d.]+(?: to [\d.]+)? (?:hours|days)"
    r"|[\d.]+ times a day|as your doctor told you",
    re.I,
)
_PASS = 8


def wilson(hits: int, of: int) -> Rate:
    """Return a share with its 95 % Wilson score interval."""
    if of == 0:
        return Rate(value=0.0, low=0.0, high=1.0, of=0)
    z, share = 1.96, hits / of
    centre = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return Rate(
        value=round(share, 4), low=round(max(0.0, centre - half), 4), high=round(min(1.0, centre + half), 4), of=of
    )


@dataclass
class _Tally:
    hits: int = 0
    of: int = 0

    def add(self, hit: bool) -> None:
        self.hits += hit
        self.of += 1


@dataclass
class Report:
    """What was measured, and the sentences that differ from what was wanted."""

    tallies: dict[str, _Tally] = field(default_factory=dict)
    grades: list[float] = field(default_factory=list)
    grades_with_names: list[float] = field(default_factory=list)
    differing: list[tuple[str, str, str]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, name: str, hit: bool) -> None:
        """Count one case of a measure."""
        self.tallies.setdefault(name, _Tally()).add(hit)

    def metrics(self) -> dict[str, Rate | float]:
        """Return rates with intervals, and the mean reading grades."""
        found: dict[str, Rate | float] = {name: wilson(one.hits, one.of) for name, one in sorted(self.tallies.items())}
        found["reading-grade-mean"] = round(sum(self.grades) / max(1, len(self.grades)), 2)
        found["reading-grade-mean-names-as-spelled"] = round(
            sum(self.grades_with_names) / max(1, len(self.grades_with_names)), 2
        )
        return found


def evaluate(
    engine: Engine,
    held_out: Iterable[SyntheticStay],
    *,
    guesses: bool = True,
    said: Callable[[str], None] | None = None,
) -> Report:
    """Write every item of every stay and compare it with the sentence that tells the order as it is."""
    report = Report()
    for stay in held_out:
        started = time.monotonic()
        examples = list(stay.examples())
        texts = _write(engine, [item for item, _ in examples], guesses)
        report.seconds.append(time.monotonic() - started)
        for (item, wanted), text in zip(examples, texts, strict=True):
            _compare(report, item, wanted, text)
            if text != wanted and said:
                said(f"{item.prompt.strip()}\n   wanted  {wanted}\n   written {text}\n")
        document = "\n".join(text for text in texts if text)
        names = [medication.name for medication in stay.chart.medications]
        report.grades.append(grade(document, names))
        report.grades_with_names.append(grade(document))
        report.add("document-at-grade-6.9-or-lower", report.grades[-1] <= 6.9)
    return report


def _write(engine: Engine, items: Sequence[Item], guesses: bool) -> list[str | None]:
    rows = [Row(at, item.prompt, guess(item) if guesses else "") for at, item in enumerate(items)]
    texts: list[str | None] = [None] * len(rows)
    for start in range(0, len(rows), _PASS):
        for written in engine.write(rows[start : start + _PASS], lambda: False):
            texts[written.key] = written.text if written.whole else None
    return texts


def _compare(report: Report, item: Item, wanted: str, text: str | None) -> None:
    report.add("finished", text is not None)
    text = text or ""
    report.add(f"exact-{item.kind}", text == wanted)
    if text != wanted:
        report.differing.append((item.prompt.strip(), wanted, text))
    if item.kind is ItemKind.MEDICATION:
        name = plain_name(item.text).name.lower()
        report.add("medicine-named", name in text.lower())
        report.add("dose-and-numbers-faithful", _NUMBER.findall(text) == _NUMBER.findall(wanted))
        report.add("frequency-faithful", _lower(_RHYTHM, text) == _lower(_RHYTHM, wanted))
        report.add("take-or-stop-faithful", text.split(" ")[0] == wanted.split(" ")[0])


def _lower(pattern: re.Pattern[str], text: str) -> list[str]:
    return [match.lower() for match in pattern.findall(text)]


def main() -> None:
    """Run from the command line; the report goes to standard output as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=CACHE / MODEL_FOLDER)
    parser.add_argument("--adapter", type=Path, default=Path(__file__).parent / "adapters" / "discharge-instructions")
    parser.add_argument("--stays", type=int, default=HELD_OUT_STAYS)
    parser.add_argument("--seed", type=int, default=HELD_OUT_SEED)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-guesses", action="store_true", help="decode word by word: slower, the same sentences")
    parser.add_argument("--show", action="store_true", help="print the sentences that differ")
    arguments = parser.parse_args()
    from adapter_serving.transformers_engine.engine import TransformersEngine

    console = Console(stderr=True)
    engine = TransformersEngine(arguments.model, arguments.adapter, threads=arguments.threads)
    held_out = track(
        list(stays(arguments.stays, arguments.seed, held_out=True)), "Drafting held-out stays", console=console
    )
    report = evaluate(engine, held_out, guesses=not arguments.no_guesses, said=print if arguments.show else None)
    metrics = {
        name: value.model_dump() if isinstance(value, Rate) else value for name, value in report.metrics().items()
    }
    seconds = sorted(report.seconds)
    metrics["seconds-per-stay-p50"] = round(seconds[len(seconds) // 2], 2)
    json.dump(metrics, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
