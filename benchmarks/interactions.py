"""Interactions of drugs: each source against the others, the VA's critical pairs, label text, and false interruptions.

``python -m benchmarks interactions`` on ../shared/data/drug_interactions.tar.xz and drug_labels.tar.xz.
"""

import asyncio
import os
import random
import time
import warnings
from collections import Counter
from collections.abc import Mapping
from csv import DictReader
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from retrieval.embedded_index import open_embedded_index
from retrieval.index import Index
from retrieval.ingest import Refusal
from retrieval.interaction_severity import LEVELS
from retrieval.starter import starter_documents
from rich.console import Console
from service_contracts.evidence import Severity
from service_runtime.secrets import MemorySecretStore

from benchmarks.interaction_labels import Half, measure_labels
from benchmarks.interaction_sources import (
    SOURCES,
    STARTER,
    StatedBySource,
    evidence_of,
    interaction_flags,
    load_sources,
    source_of,
    stated_pairs_of,
    unpacked,
)
from benchmarks.machine import machine, quantile

__all__ = ["run"]

_SEED = 20_261_125
_DRAWN = 1_000
_RANDOM_PAIRS = 5_000
_QUERIES = 200
_DRUGS_A_QUERY = 20
_UNKNOWN = ("zorbazepine", "compound K-77", "herbal tea no. 5", "xx", "metformin plus zorbazepine")
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
    parts.append(await _each_on_the_others(index, stated_pairs_of(folder, known, _DRAWN, _SEED)))
    console.print("each source on the others: done")
    parts.append(await _critical(index, folder))
    parts.append(await _random(index, known))
    console.print("random pairs: done")
    alone = await open_embedded_index(scratch / "labels", secrets)
    parts.append(_labels(await measure_labels(alone, folder, known)))
    await alone.close()
    parts.append(await _unresolved(index, folder, refused))
    parts.append(await _speed(index, known))
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
        f"are Wilson, 95 %. Samples are drawn with the seed {_SEED}.\n"
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
        cells = ["" if other == name else _percent(found[other], n) for other in names]
        rows.append(
            f"| {name} | {len(severities):,} | {n:,} | {' | '.join(cells)} | {_interval(found['any'], n)} | "
            f"{found['high asked']} | {_percent(found['high'], found['high asked'])} | "
            f"{_percent(found['high any'], found['high asked'])} |"
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


async def _critical(index: Index, folder: Path) -> str:
    with (folder / "drug_interactions" / "ndfrt_pairs.csv").open(encoding="utf-8") as file:
        rows = [row for row in DictReader(file) if row["severity"] == "Critical"]
    alerts = without = disputed = 0
    missing = []
    for row in rows:
        a, b = (row[side].replace("_", " ") for side in ("drug1", "drug2"))
        evidence = await evidence_of(index, a, b)
        flags = interaction_flags(evidence, a, b)
        alert = any(flag.severity is Severity.HIGH for flag in flags)
        alerts += alert
        if not alert:
            missing.append(f"{a} + {b}")
        facts = {fact.id: fact for fact in evidence.facts}
        stated = [one for pair in evidence.interactions for one in pair.stated]
        others = [one for one in stated if source_of(facts[one.fact_id].source, one.fact_id) != "NDF-RT 2014"]
        without += any(one.severity is Severity.HIGH for one in others)
        disputed += any(pair.disputed for pair in evidence.interactions)
    return (
        "## The VA's critical pairs\n\n"
        f"{len(rows)} pairs under the names that the VA prints, the first ordered for a patient who takes the second: "
        f"**{_interval(alerts, len(rows))}** raise a critical alert with all sources in (asked: 98 %). Without the "
        f"VA's own facts {_interval(without, len(rows))} would. Of {disputed} pairs sources differ in severity, which "
        f"the answer says. Without alert: {', '.join(missing) or 'none'}.\n"
    )


async def _random(index: Index, known: frozenset[str]) -> str:
    common = {one for document in starter_documents()[:1] for name in document.names for one in name.ingredients}
    lines = []
    for what, names in (
        ("any known ingredients", sorted(known)),
        ("common discharge medicines (the starter's names)", sorted(one for one in common if ":" not in one)),
    ):
        draw = random.Random(_SEED)
        found: Counter[Severity] = Counter()
        for _ in range(_RANDOM_PAIRS):
            a, b = draw.sample(names, 2)
            flags = interaction_flags(await evidence_of(index, a, b), a, b)
            if flags:
                found[flags[0].severity] += 1
        lines.append(
            f"* {what} ({len(names):,} names): critical **{_interval(found[Severity.HIGH], _RANDOM_PAIRS)}**, warning "
            f"{_percent(found[Severity.MODERATE], _RANDOM_PAIRS)}, information "
            f"{_percent(found[Severity.LOW], _RANDOM_PAIRS)}"
        )
    return "\n".join(
        (
            "## Random pairs",
            "",
            f"{_RANDOM_PAIRS:,} pairs of two different ingredients each, drawn evenly; what an order would raise "
            "(asked: at most 2 % interrupt, that is, critical):",
            "",
            *lines,
            "",
        )
    )


def _labels(halves: Mapping[bool, Half]) -> str:
    whole = halves[True].add(halves[False])
    rows = []
    for what, half in (("not developed on", halves[False]), ("developed on", halves[True]), ("whole", whole)):
        reachable = half.pairs - half.unknown
        judged = half.stated_right + half.stated_wrong
        rows.append(
            f"| {what} | {half.documents} | {half.pairs:,} | **{_interval(half.found, half.pairs)}** | "
            f"{_interval(half.found, reachable)} | {_percent(half.narrow, half.pairs)} | "
            f"{_percent(half.stated_right, judged)} |"
        )
    missed = halves[False].missed
    unread = sum(count for why, count in missed.items() if why.startswith("both"))
    words = [f"{why.partition(': ')[2]}" for why, _ in missed.most_common() if not why.startswith("both")]
    return "\n".join(
        (
            "## Pairs in label text",
            "",
            "The NLM's corpus of 122 cardiovascular labels (2014): the text alone goes into an index of its own, "
            "with no other source, and each distinct pair that annotators marked in a label is asked of it. Found "
            "means that this very label is cited, for each ingredient meant and for up to three members of a "
            "class. Labels of one first substance are all in one half. The words for classes and the rules were "
            "written with the one half and with openFDA's labels; of the other half the names of the labels' own "
            "drugs were looked at, its total now and then, and once the words missed in it: nothing was written "
            "for them. Baseline: the narrow grammar alone (bans that fill a sentence). Precision: of the pairs "
            "that annotators looked at and the text is read to state, those marked as stated; what is read widely "
            "never interrupts.",
            "",
            "| half | labels | pairs | found | of pairs whose words are known | baseline | precision |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            *rows,
            "",
            f"Missed in the half not developed on: {sum(missed.values())} pairs, {unread} of them because the sentence "
            f"is not read as a statement. 95 % would take a reviewed list of members for these words, and those that "
            f"point back (these agents) resolved. Words that name no known drug or class there: {', '.join(words)}.",
            "",
        )
    )


async def _unresolved(index: Index, folder: Path, refused: Mapping[str, list[Refusal]]) -> str:
    with (folder / "drug_interactions" / "ndfrt_pairs.csv").open(encoding="utf-8") as file:
        names = sorted({row[side].replace("_", " ") for row in DictReader(file) for side in ("drug1", "drug2")})
    unresolved = [name for name in names if not (await evidence_of(index, name)).resolved[0].ingredients]
    silent = []
    for name in _UNKNOWN:
        evidence = await evidence_of(index, name, "warfarin")
        if evidence.resolved[0].ingredients or interaction_flags(evidence, name, "warfarin"):
            silent.append(name)
    lines = [
        "## Not resolved",
        "",
        f"Of {len(names)} names that NDF-RT prints, {len(unresolved)} are unresolved: "
        f"{', '.join(unresolved) or 'none'}. Of {len(_UNKNOWN)} names that are no drug, "
        f"{len(_UNKNOWN) - len(silent)} are answered as unresolved; an order for one is shown as not checked, never as "
        "safe.",
        "",
        "Refused while reading:",
        "",
    ]
    for name, refusals in refused.items():
        kinds = Counter(one.reason for one in refusals)
        said = "; ".join(f"{reason}{f' ({count} times)' if count > 1 else ''}" for reason, count in kinds.most_common())
        lines.append(f"* {name}: {len(refusals)}{f'. {said}' if said else ''}")
    return "\n".join((*lines, ""))


async def _speed(index: Index, known: frozenset[str]) -> str:
    draw = random.Random(_SEED)
    common = sorted(
        {one for document in starter_documents()[:1] for name in document.names for one in name.ingredients}
    )
    lines = []
    for what, names in (("any known ingredients", sorted(known)), ("common discharge medicines", common)):
        times, worked, facts = [], [], []
        for _ in range(_QUERIES):
            drugs = draw.sample(names, _DRUGS_A_QUERY)
            begun, used = time.perf_counter(), time.thread_time()
            evidence = await evidence_of(index, *drugs)
            worked.append((time.thread_time() - used) * 1000)
            times.append((time.perf_counter() - begun) * 1000)
            facts.append(len(evidence.facts))
        lines.append(
            f"* {_DRUGS_A_QUERY} drugs, {what}: processor time p50 {quantile(worked, 0.5):.1f} ms, p95 "
            f"{quantile(worked, 0.95):.1f} ms; elapsed p50 {quantile(times, 0.5):.1f} ms, p95 "
            f"{quantile(times, 0.95):.1f} ms; {sum(facts) / len(facts):.0f} facts in an answer"
        )
    return "\n".join((f"## Speed\n\n{_QUERIES} evidence queries each, one client:\n", *lines, ""))


def _percent(count: int, of: int) -> str:
    return f"{100 * count / of:.1f} %" if of else "–"


def _interval(count: int, of: int) -> str:
    """Return a share with its Wilson interval."""
    if not of:
        return "–"
    z, share = 1.96, count / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    wide = z * ((share * (1 - share) / of + z * z / (4 * of * of)) ** 0.5) / (1 + z * z / of)
    return f"{100 * share:.1f} % ({100 * (middle - wide):.1f} to {100 * (middle + wide):.1f}; {count} of {of})"
