"""Interactions of drugs: each source against the others, the VA's critical pairs, label text, and false interruptions.

``python -m benchmarks interactions`` on ../shared/data/drug_interactions.tar.xz and drug_labels.tar.xz.
"""

import asyncio
import os
import time
import warnings
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from retrieval.embedded_index import open_embedded_index
from retrieval.index import Index
from retrieval.interaction_severity import LEVELS
from rich.console import Console
from service_contracts.evidence import Severity
from service_runtime.secrets import MemorySecretStore

from benchmarks.interaction_alerts import SEED, critical_pairs, random_pairs, speed, unresolved_names
from benchmarks.interaction_label_report import labels_report, phrases_report
from benchmarks.interaction_labels import measure_labels
from benchmarks.interaction_phrases import measure_phrases
from benchmarks.interaction_shares import interval, percent
from benchmarks.interaction_sources import (
    SOURCES,
    STARTER,
    StatedBySource,
    evidence_of,
    load_sources,
    source_of,
    stated_pairs_of,
    unpacked,
)
from benchmarks.machine import machine

__all__ = ["run"]

_DRAWN = 1_000
console = Console(stderr=True)


def run() -> str:
    """Measure and return the report."""
    warnings.simplefilter("ignore")  # the secrets of an index that lives as long as the benchmark
    with unpacked() as folder, TemporaryDirectory(prefix="preceptor-") as scratch:
        return asyncio.run(_measured(folder, Path(scratch)))


async def _measured(folder: Path, scratch: Path) -> str:
    started = time.monotonic()
    secrets = MemorySecretStore()
    index = await open_embedded_index(scratch / "all", secrets)
    refused = await load_sources(index, folder, console.print)
    known = await index.ingredients()
    counts = await index.counts()
    parts = [_head(counts), _mapping()]
    parts.append(await _each_on_the_others(index, stated_pairs_of(folder, known, _DRAWN, SEED)))
    console.print("each source on the others: done")
    parts.append(await critical_pairs(index, folder))
    parts.append(await random_pairs(index, known))
    console.print("random pairs: done")
    alone = await open_embedded_index(scratch / "labels", secrets)
    parts.append(labels_report(await measure_labels(alone, folder, known)))
    await alone.close()
    parts.append(phrases_report(measure_phrases(folder, known)))
    console.print("labels: done")
    parts.append(await unresolved_names(index, folder, refused))
    parts.append(await speed(index, known))
    await index.close()
    parts.append(f"The whole run took {time.monotonic() - started:.0f} s.\n")
    return "\n".join(parts)


def _head(counts: Mapping[str, int]) -> str:
    held = ", ".join(f"{count:,} {name.replace('_', ' ')}s" for name, count in counts.items())
    return (
        "# Interactions of drugs\n\n"
        f"`python -m benchmarks interactions`, {datetime.now(tz=UTC):%Y-%m-%d}. Machine: {machine()}; load "
        f"{os.getloadavg()[0]:.1f}.\n\n"
        f"One embedded index with the starter knowledge and all sources: {held}. Every figure comes from evidence "
        "queries to it, as the service answers them; alerts come from reconciliation's check of an order. Intervals "
        f"are Wilson, 95 %. Samples are drawn with the seed {SEED}.\n"
    )


def _mapping() -> str:
    rows = [f"| {level.source} | {level.published} | {level.severity} | {level.reason} |" for level in LEVELS]
    return "\n".join(("## Severity", "", "| source | its level | here | why |", "| --- | --- | --- | --- |", *rows, ""))


async def _each_on_the_others(index: Index, stated: Mapping[str, StatedBySource]) -> str:
    names = [*SOURCES, STARTER]
    head = [
        "## Each source on the others",
        "",
        "Of the pairs that the source of a row states (classes written out; a thousand drawn where there are more), "
        "how many do others state? Its own facts are left out. Names and classes are those of all sources together. "
        "The last columns: pairs that it calls high, and how many of them the others together call high, or state at "
        "all.",
        "",
        f"| pairs of | stated | asked | {' | '.join(names)} | all others | high: asked | others: high | others: any |",
        f"|{' --- |' * (len(names) + 7)}",
    ]
    rows = []
    for name in names:
        found: Counter[str] = Counter()
        asked = stated[name].sampled
        severities = stated[name].pairs
        for a, b in asked:
            by = await _by_source(index, a, b)
            others = {one: severity for one, severity in by.items() if one != name}
            found.update(others.keys())
            found["any"] += bool(others)
            if severities[a, b] is Severity.HIGH:
                found["high asked"] += 1
                found["high"] += Severity.HIGH in others.values()
                found["high any"] += bool(others)
        n = len(asked)
        cells = ["" if other == name else percent(found[other], n) for other in names]
        rows.append(
            f"| {name} | {len(severities):,} | {n:,} | {' | '.join(cells)} | {interval(found['any'], n)} | "
            f"{found['high asked']} | {percent(found['high'], found['high asked'])} | "
            f"{percent(found['high any'], found['high asked'])} |"
        )
    return "\n".join((*head, *rows, ""))


async def _by_source(index: Index, a: str, b: str) -> dict[str, Severity]:
    """Return which sources state a pair, and the gravest severity of each."""
    evidence = await evidence_of(index, a, b)
    facts = {fact.id: fact for fact in evidence.facts}
    found: dict[str, Severity] = {}
    for pair in evidence.interactions:
        # Gravest first: the first of a source is its gravest.
        for one in pair.stated:
            found.setdefault(source_of(facts[one.fact_id].source, one.fact_id), one.severity)
    return found
