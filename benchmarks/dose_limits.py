"""Dose limits read from label text, held against labels that were read by hand, beside the simplest reading.

``python -m benchmarks dose-limits``. The labels are the open data beside the project.
"""

import random
import re
import tarfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from retrieval.importers.openfda import OpenFdaLabels
from retrieval.labels.kidneys import renal_limits
from retrieval.labels.limits import dose_limits
from retrieval.labels.maxima import amounts, in_mg
from retrieval.labels.text import LabelText, sentences
from service_contracts.quantity import Quantity

from benchmarks.machine import machine

__all__ = ["run", "wilson"]

_ARCHIVE = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "drug_labels.tar.xz"
_READ = Path(__file__).with_name("dose_limits_read.yaml")
_READ_AGAIN = Path(__file__).with_name("dose_limits_read_again.yaml")
_SEED, _SEED_AGAIN, _SEED_KIDNEYS, _SAMPLE, _KIDNEYS = 20261125, 20261201, 20261202, 60, 30
_SECTION = "dosage_and_administration"
_OF_KIDNEYS = re.compile(r"creatinine clearance|glomerular filtration|CrCl|CL ?cr|eGFR", re.I)
_Rows = dict[str, dict[str, Any]]
_Read = Callable[[LabelText], float | None]

_FIRST_SIGHT = """\
These figures are of labels that the rules have seen by now. What they did on labels that they had not seen, before
anyone looked at what was missed or wrong there and mended them:

| first sight | the most a day: precision | recall | too low | kidneys: precision | recall |
| --- | ---: | ---: | ---: | ---: | ---: |
| first 60 | 14 of 17 | 14 of 19 | 0 | 4 of 4 | 4 of 8 |
| second 60 | 11 of 14 | 11 of 15 | 0 | 3 of 3 | 3 of 7 |
| 30 that speak of kidneys | | | | 6 of 11 | 6 of 17 |

What was wrong then was said of children, of weak kidneys or of a trial, was another drug's, or stood in a table whose
doses may be exceeded; that is seen now. Expect of a new label something between the two."""
_NOT_READ = """\
Not read: sentences that name their patients by "these populations", drugs dosed by weight or surface, strengths
in tablets without an amount, limits a week, a maximum beside which the section allows more to anybody. A kidney limit
is not read where anything that is told of its range cannot be, or where more is told of it elsewhere."""


@dataclass(frozen=True)
class _Sample:
    name: str
    labels: Sequence[LabelText]
    read: _Rows


def run() -> str:
    """Measure and return the report."""
    with TemporaryDirectory(prefix="preceptor-") as folder, tarfile.open(_ARCHIVE) as tar:
        tar.extractall(folder, filter="data")
        path = Path(folder) / "drug_labels" / "openfda_875" / "openfda_labels_875.jsonl.xz"
        labels = sorted(OpenFdaLabels().labels(path), key=lambda one: (one.set_id, one.title))
    labels = [one for one in labels if len(one.ingredients) == 1]
    again = yaml.safe_load(_READ_AGAIN.read_text())
    first = _drawn("first 60", _SEED, _SAMPLE, labels, yaml.safe_load(_READ.read_text())["labels"])
    left = [one for one in labels if one.set_id not in first.read]
    second = _drawn("second 60", _SEED_AGAIN, _SAMPLE, left, again["labels"])
    left = [one for one in left if one.set_id not in second.read and _OF_KIDNEYS.search(_told(one))]
    kidneys = _drawn("30 that speak of kidneys", _SEED_KIDNEYS, _KIDNEYS, left, again["kidneys_only"])
    return _report(labels, [first, second], kidneys)


def _drawn(name: str, seed: int, count: int, labels: Sequence[LabelText], rows: list[dict[str, Any]]) -> _Sample:
    sample = [labels[place] for place in sorted(random.Random(seed).sample(range(len(labels)), count))]
    assert [one.set_id for one in sample] == [one["set_id"] for one in rows], "the sample is not the one that was read"
    return _Sample(name, sample, {one["set_id"]: one for one in rows})


def _told(label: LabelText) -> str:
    return label.sections.get(_SECTION, "") + label.sections.get("contraindications", "")


def _ours(label: LabelText) -> float | None:
    return max((_mg(found.max_daily) for found, _ in dose_limits(label) if found.max_daily), default=None)


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


def _row(name: str, of: _Read, sample: _Sample) -> str:
    wanted = {
        key: _mg(Quantity(value=one["most"], unit=one["unit"])) for key, one in sample.read.items() if "most" in one
    }
    found = {one.set_id: value for one in sample.labels if (value := of(one)) is not None}
    right = sum(abs(wanted.get(key, -1) - value) < 1e-6 for key, value in found.items())
    below = sum(value < wanted[key] - 1e-6 for key, value in found.items() if key in wanted)
    return f"| {sample.name} | {name} | {wilson(right, len(found))} | {wilson(right, len(wanted))} | {below} |"


def _kidneys(sample: _Sample) -> str:
    wanted = {(key, *one) for key, row in sample.read.items() for one in map(tuple, row.get("kidneys", []))}
    found = {
        (
            label.set_id,
            limit.measure,
            limit.below.value,
            limit.action,
            *([_mg(most)] if (most := limit.max_daily) else []),
        )
        for label in sample.labels
        for limit, _ in renal_limits(label)
    }
    right = len(found & wanted)
    return f"| {sample.name} | {wilson(right, len(found))} | {wilson(right, len(wanted))} |"


def _all(labels: Sequence[LabelText]) -> str:
    begun = time.process_time()
    stated = [found for label in labels if (found := dose_limits(label))]
    kidneys = [found for label in labels if (found := renal_limits(label))]
    spent_ms = (time.process_time() - begun) / len(labels) * 1000
    routes: dict[str, int] = {}
    for one, _ in (one for found in stated for one in found):
        routes[str(one.route)] = routes.get(str(one.route), 0) + 1
    by_route = ", ".join(f"{route} {count}" for route, count in sorted(routes.items(), key=lambda one: -one[1]))
    limits = [limit for found in kidneys for limit, _ in found]
    amounts_told = sum(one.max_daily is not None for one in limits)
    return (
        f"Of all {len(labels)} labels: {len(stated)} with a most a day\n({by_route}),\n"
        f"{len(kidneys)} with {len(limits)} limits by kidney function ({amounts_told} with an amount). Each most\n"
        "names the products it was stated for and holds for no other. Reading both takes "
        f"{spent_ms:.0f} ms of a core a label."
    )


def _report(labels: Sequence[LabelText], samples: Sequence[_Sample], kidneys: _Sample) -> str:
    return "\n".join(
        [
            "# Dose limits read from labels",
            "",
            f"Machine: {machine()}. `python -m benchmarks dose-limits`.",
            f"Of {len(labels)} labels of one ingredient, two times {_SAMPLE} were drawn with fixed seeds and read by",
            f"hand, and {_KIDNEYS} more for kidneys alone (`benchmarks/dose_limits_read.yaml` and",
            "`dose_limits_read_again.yaml` say how, and by whom: by who had written the rules). Right: the same amount",
            "a day. Simplest: the largest amount of any sentence that says maximum or exceed. Too low is what would",
            "flag an allowed dose. Intervals are Wilson's at 95 %.",
            "",
            "| the most a day | | precision | recall | too low |",
            "| --- | --- | ---: | ---: | ---: |",
            *(
                row
                for sample in samples
                for row in (_row("read by rules", _ours, sample), _row("simplest", _simplest, sample))
            ),
            "",
            "| by kidney function | precision | recall |",
            "| --- | ---: | ---: |",
            *(_kidneys(sample) for sample in (*samples, kidneys)),
            "",
            _FIRST_SIGHT,
            "",
            _all(labels),
            "",
            _NOT_READ,
            "",
        ]
    )
