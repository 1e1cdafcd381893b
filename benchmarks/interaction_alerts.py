"""What orders raise: the VA's critical pairs, random pairs, names that are no drug; and how long the answers take."""

import random
import time
from collections import Counter
from collections.abc import Mapping
from csv import DictReader
from pathlib import Path

from retrieval.index import Index
from retrieval.ingest import Refusal
from retrieval.starter import starter_documents
from service_contracts.evidence import Severity

from benchmarks.interaction_shares import interval, percent
from benchmarks.interaction_sources import evidence_of, interaction_flags, source_of
from benchmarks.machine import quantile

__all__ = ["SEED", "critical_pairs", "random_pairs", "speed", "unresolved_names"]

SEED = 20_261_125
_RANDOM_PAIRS = 5_000
_QUERIES = 200
_DRUGS_A_QUERY = 20
_UNKNOWN = ("zorbazepine", "compound K-77", "herbal tea no. 5", "xx", "metformin plus zorbazepine")


async def critical_pairs(index: Index, folder: Path) -> str:
    """Return what the VA's critical pairs raise."""
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
        f"**{interval(alerts, len(rows))}** raise a critical alert with all sources in (asked: 98 %). Without the "
        f"VA's own facts {interval(without, len(rows))} would. Of {disputed} pairs sources differ in severity, which "
        f"the answer says. Without alert: {', '.join(missing) or 'none'}.\n"
    )


async def random_pairs(index: Index, known: frozenset[str]) -> str:
    """Return what random pairs raise."""
    common = {one for document in starter_documents()[:1] for name in document.names for one in name.ingredients}
    lines = []
    for what, names in (
        ("any known ingredients", sorted(known)),
        ("common discharge medicines (the starter's names)", sorted(one for one in common if ":" not in one)),
    ):
        draw = random.Random(SEED)
        found: Counter[Severity] = Counter()
        for _ in range(_RANDOM_PAIRS):
            a, b = draw.sample(names, 2)
            flags = interaction_flags(await evidence_of(index, a, b), a, b)
            if flags:
                found[flags[0].severity] += 1
        lines.append(
            f"* {what} ({len(names):,} names): critical **{interval(found[Severity.HIGH], _RANDOM_PAIRS)}**, warning "
            f"{percent(found[Severity.MODERATE], _RANDOM_PAIRS)}, information "
            f"{percent(found[Severity.LOW], _RANDOM_PAIRS)}"
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


async def unresolved_names(index: Index, folder: Path, refused: Mapping[str, list[Refusal]]) -> str:
    """Return which names are not resolved, and what was refused while reading."""
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


async def speed(index: Index, known: frozenset[str]) -> str:
    """Return how long queries take."""
    draw = random.Random(SEED)
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
