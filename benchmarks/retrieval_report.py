"""The report on retrieval, made of what its parts found, each at its time and under its load."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.retrieval_quality import Quality
from benchmarks.retrieval_speed import Opening, Speed

__all__ = ["PARTS", "Taken", "report"]

PARTS = tuple(
    f"{what}-{engine}" for engine in ("embedded", "opensearch") for what in ("scifact", "bioasq", "speed", "growth")
)

_LOAD = (
    "Load is the average of the minute before the part began and before it ended: client and engine take one or two of",
    "it, what is beyond that was other work on the same cores. Intervals are of 95 %, by drawing the questions anew",
    "5,000 times; differences are paired by question.",
)
_AGAIN = (
    "Nothing was chosen on these claims. The cross-encoder is the one that `preceptor ingest train-reranker` makes of",
    "all training claims; its order counts a tenth of that of the search, as much, or alone. Milliseconds: those of",
    "the second reading, p50 / p95.",
)
_SPEED = (
    "Passages are sentences of real abstracts in new orders; their vectors are those of real abstracts, each moved a",
    "little, and are given, not computed. Processor: the time of the client's process, for the embedded engine that of",
    "the whole search. Narrowed: one kind, two publishers of fifty. Words alone: tantivy without the rest, the peer.",
    "Ingested: passages in documents of ten, as many at once as an ingestion writes, without their vectors. Found: the",
    "refresh after all that came. New version: from its writing until it is found. Opened: by another process, from",
    "the file until it answers. MB: of that process, once opened / at most; for OpenSearch of the node.",
)


@dataclass(frozen=True)
class Taken:
    """What a part found, on which machine, when, and how busy that machine was."""

    quality: tuple[Quality, ...]
    speed: tuple[Speed, ...]
    machine: str
    when: str
    load: tuple[float, float]
    nice: int

    @staticmethod
    def read(path: Path) -> "Taken":
        """Read what was kept."""
        kept = json.loads(path.read_text())
        quality = [Quality(**row) for row in kept["rows"] if "way" in row]
        speed = [_speed(row) for row in kept["rows"] if "passages" in row]
        return Taken(tuple(quality), tuple(speed), kept["machine"], kept["when"], tuple(kept["load"]), kept["nice"])


def _speed(row: dict[str, object]) -> Speed:
    opening = row.pop("opening")
    assert opening is None or isinstance(opening, dict)
    return Speed(**row, opening=None if opening is None else Opening(**opening))  # type: ignore[arg-type]


def report(parts: Mapping[str, Taken], missing: str) -> str:
    """Return the report in Markdown."""
    lines = ["# Retrieval", "", "`python -m benchmarks retrieval`.", *([missing] if missing else []), ""]
    machines = dict.fromkeys(part.machine for part in parts.values())
    lines += [f"Machine: {one}. OpenSearch 3.4.0, one node beside the client, 1 GiB heap." for one in machines]
    lines += [
        *_LOAD,
        "",
        "| part | taken | load | nice |",
        "| --- | --- | ---: | ---: |",
        *(
            f"| {name} | {one.when} | {one.load[0]} to {one.load[1]} | {one.nice} |"
            if (one := parts.get(name)) is not None
            else f"| {name} | not measured | - | - |"
            for name in PARTS
        ),
        "",
        "## SciFact, the half of the development claims that is at hand: nDCG@10",
        "",
        *_AGAIN,
        "",
        "| engine | found by | nDCG@10 | difference to words; read again: to words and meaning | read again ms |",
        "| --- | --- | ---: | ---: | ---: |",
        *_quality(parts, "scifact"),
        "",
        "## BioASQ 7b to 10b: recall@20 of the snippets of a question, among those of all questions",
        "",
        "| engine | found by | recall@20 | difference to words | read again ms |",
        "| --- | --- | ---: | ---: | ---: |",
        *_quality(parts, "bioasq"),
        "",
        "## One client: ms at p50 / p95 beyond the vector of the question, and what goes in",
        "",
        *_SPEED,
        "",
        "| engine | passages | hybrid | processor | narrowed | words alone | ingested/s | vectors/s | found s"
        " | new version s | opened s | MB |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(row.row() for name in PARTS if name in parts for row in parts[name].speed),
        "",
    ]
    return "\n".join(lines)


def _quality(parts: Mapping[str, Taken], what: str) -> list[str]:
    lines = []
    for name in PARTS:
        if name.startswith(what) and name in parts:
            rows = parts[name].quality
            for place, row in enumerate(rows):
                # Words are what the others are held against; a second reading, against the search that it reads.
                other = None if place == 0 else rows[0]
                if row.times_ms:
                    other = next(one for one in rows if one.way == "words and meaning")
                lines.append(row.row(other))
    return lines
