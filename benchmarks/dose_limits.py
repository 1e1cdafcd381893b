"""Dose limits read from label text, held against sixty labels that were read by hand, beside the simplest reading.

``python -m benchmarks dose-limits``. The labels are the open data beside the project.
"""

import random
import re
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from retrieval.importers.openfda import OpenFdaLabels
from retrieval.labels.limits import dose_limit, renal_limits
from retrieval.labels.maxima import amounts, in_mg
from retrieval.labels.text import LabelText, sentences
from service_contracts.quantity import Quantity

from benchmarks.machine import machine

__all__ = ["run", "wilson"]

_ARCHIVE = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "drug_labels.tar.xz"
_READ = Path(__file__).with_name("dose_limits_read.yaml")
_SEED, _SAMPLE = 20261125, 60
_SECTION = "dosage_and_administration"
_Read = Callable[[LabelText], float | None]


def run() -> str:
    """Measure and return the report."""
    read = {one["set_id"]: one for one in yaml.safe_load(_READ.read_text())["labels"]}
    with TemporaryDirectory(prefix="preceptor-") as folder, tarfile.open(_ARCHIVE) as tar:
        tar.extractall(folder, filter="data")
        path = Path(folder) / "drug_labels" / "openfda_875" / "openfda_labels_875.jsonl.xz"
        labels = sorted(OpenFdaLabels().labels(path), key=lambda one: (one.set_id, one.title))
    labels = [one for one in labels if len(one.ingredients) == 1]
    sample = [labels[place] for place in sorted(random.Random(_SEED).sample(range(len(labels)), _SAMPLE))]
    assert [one.set_id for one in sample] == list(read), "the sample is not the one that was read"
    return _report(labels, sample, read)


def _ours(label: LabelText) -> float | None:
    found = dose_limit(label)
    return None if found is None or found[0].max_daily is None else _mg(found[0].max_daily)


def _simplest(label: LabelText) -> float | None:
    """Take the largest amount of any sentence that has one of the words by which a maximum is known."""
    spoken = [
        _mg(amount)
        for one in sentences(_SECTION, label.sections.get(_SECTION, ""))
        if re.search(r"maxim|exceed", one.text, re.I)
        for amount in amounts(one.text)
    ]
    return max(spoken, default=None)


def _mg(amount: Quantity) -> float:
    mg = in_mg(amount)
    return amount.value if mg is None else mg


def wilson(hits: int, of: int) -> str:
    """Return a share with its Wilson interval at 95 %."""
    if of == 0:
        return "none"
    z, share = 1.96, hits / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * (share * (1 - share) / of + z * z / (4 * of * of)) ** 0.5
    return f"{hits} of {of} = {share:.1%} [{max(0, middle - half):.1%}, {min(1, middle + half):.1%}]"


def _row(name: str, of: _Read, sample: Sequence[LabelText], read: dict[str, Any]) -> str:
    wanted = {key: _mg(Quantity(value=one["most"], unit=one["unit"])) for key, one in read.items() if "most" in one}
    found = {one.set_id: value for one in sample if (value := of(one)) is not None}
    right = sum(abs(wanted.get(key, -1) - value) < 1e-6 for key, value in found.items())
    below = sum(value < wanted[key] - 1e-6 for key, value in found.items() if key in wanted)
    return f"| {name} | {wilson(right, len(found))} | {wilson(right, len(wanted))} | {below} |"


def _kidneys(sample: Sequence[LabelText], read: dict[str, Any]) -> str:
    wanted = {(key, *one) for key, row in read.items() for one in map(tuple, row.get("kidneys", []))}
    found = {
        (
            label.set_id,
            limit.measure,
            limit.below.value,
            limit.action,
            *([_mg(most)] if (most := limit.max_daily) else []),
        )
        for label in sample
        for limit, _ in renal_limits(label)
    }
    return f"precision {wilson(len(found & wanted), len(found))}, recall {wilson(len(found & wanted), len(wanted))}"


def _report(labels: Sequence[LabelText], sample: Sequence[LabelText], read: dict[str, Any]) -> str:
    stated = [found[0] for label in labels if (found := dose_limit(label)) is not None]
    routes: dict[str, int] = {}
    for one in stated:
        routes[str(one.route)] = routes.get(str(one.route), 0) + 1
    kidneys = [limit for label in labels for limit, _ in renal_limits(label)]
    return "\n".join(
        [
            "# Dose limits read from labels",
            "",
            f"Machine: {machine()}. `python -m benchmarks dose-limits`.",
            f"{_SAMPLE} of {len(labels)} labels of one ingredient, drawn with a fixed seed before the rules were",
            "written and read by hand (`benchmarks/dose_limits_read.yaml` says how, and by whom). The rules were tried",
            "on the others only. Right: the same amount a day. Simplest: the largest amount of any sentence that says",
            "maximum or exceed. Too low is what would flag an allowed dose. Intervals are Wilson's at 95 %.",
            "",
            "| the most a day | precision | recall | too low |",
            "| --- | ---: | ---: | ---: |",
            _row("read by rules", _ours, sample, read),
            _row("simplest", _simplest, sample, read),
            "",
            f"By kidney function, of the same labels: {_kidneys(sample, read)}.",
            "",
            f"Of all {len(labels)} labels: {len(stated)} with a most a day ("
            + ", ".join(f"{route} {count}" for route, count in sorted(routes.items(), key=lambda one: -one[1]))
            + f"), {len(kidneys)} limits by kidney function ({sum(one.max_daily is not None for one in kidneys)} with"
            " an amount). Each most names the products it was stated for and holds for no other.",
            "",
            "Not read: tables, amounts whose frequency stands in another sentence, labels of several routes, and a",
            "section that speaks of a larger amount than its maximum anywhere. What kidneys change is mostly said in",
            "tables and in two sentences, of which the second has the amount: those are missed.",
            "",
        ]
    )
