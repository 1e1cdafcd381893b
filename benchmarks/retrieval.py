"""Both engines: how well and how fast passages are found, how fast documents go in, and how that changes with size.

``python -m benchmarks retrieval``. OpenSearch is left out, saying so, where Java or Maven is missing. Sizes beyond
100,000 are measured when PRECEPTOR_BENCHMARK_GROWTH is set: they take half an hour and 6 GB.
"""

import asyncio
import os
import socket
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from preceptor.opensearch.distribution import assembled
from preceptor.opensearch.errors import ToolMissing
from preceptor.opensearch.java import java_program
from preceptor.opensearch.node import OpenSearchNode
from preceptor.opensearch.running import RunningOpenSearch, running_opensearch
from retrieval.embedded_index import open_embedded_index
from retrieval.index import Index
from retrieval.opensearch.cluster import connect
from retrieval.opensearch_index import open_opensearch_index
from rich.console import Console
from service_runtime.secrets import MemorySecretStore

from benchmarks.machine import machine
from benchmarks.open_literature import unpacked
from benchmarks.retrieval_quality import Quality, bioasq_recall, scifact
from benchmarks.retrieval_speed import Speed, grow

__all__ = ["run"]

_CHECKOUT = Path(__file__).resolve().parents[1]
_SIZES, _GROWTH = (10_000, 100_000), {"embedded": (300_000, 1_000_000), "opensearch": (300_000,)}
console = Console(stderr=True)


def run() -> str:
    """Measure and return the report."""
    warnings.simplefilter("ignore")  # the secrets of an index that lives as long as the benchmark
    with unpacked() as folder, TemporaryDirectory(prefix="preceptor-") as scratch:
        quality, recall, speed = _embedded(folder, Path(scratch))
        try:
            with _node(Path(scratch)) as node:
                for have, more in zip((quality, recall, speed), _opensearch(folder, node), strict=True):
                    have += more  # type: ignore[operator]
            missing = ""
        except ToolMissing as error:
            missing = f"OpenSearch was not measured: {error}.\n"
    return _report(quality, recall, speed, missing)


_Measured = tuple[list[Quality], list[Quality], list[Speed]]


def _sizes(engine: str) -> tuple[int, ...]:
    return (*_SIZES, *_GROWTH[engine]) if os.environ.get("PRECEPTOR_BENCHMARK_GROWTH") else _SIZES


def _embedded(folder: Path, scratch: Path) -> _Measured:
    secrets = MemorySecretStore()

    async def open_index(name: str) -> Index:
        return await open_embedded_index(scratch / name, secrets)

    async def measure() -> _Measured:
        quality = await scifact(folder, "embedded", open_index)
        _say(quality)
        recall = await bioasq_recall(folder, "embedded", open_index)
        _say(recall)
        index = await open_index("speed")
        try:
            return quality, recall, await grow(folder, "embedded", index, _sizes("embedded"), said=console.print)
        finally:
            await index.close()

    return asyncio.run(measure())


def _opensearch(folder: Path, running: RunningOpenSearch) -> _Measured:
    node = running.node

    async def open_index(name: str) -> Index:
        keys = node.clients_dir
        files = node.authority_file, keys / "retrieval.pem", keys / "retrieval-key.pem"
        return await open_opensearch_index(connect(node.address, *files, timeout_s=60), name)

    async def memory() -> int:
        return psutil.Process(running.process.pid).memory_info().rss >> 20

    async def measure() -> _Measured:
        quality = await scifact(folder, "opensearch", open_index)
        _say(quality)
        recall = await bioasq_recall(folder, "opensearch", open_index)
        _say(recall)
        index = await open_index("speed")
        try:
            return quality, recall, await grow(folder, "opensearch", index, _sizes("opensearch"), memory, console.print)
        finally:
            await index.close()

    return asyncio.run(measure())


@contextmanager
def _node(scratch: Path) -> Iterator[RunningOpenSearch]:
    java_program()
    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(int(probe.getsockname()[1]))
    distribution = assembled(_CHECKOUT / ".preceptor" / "cache")
    node = OpenSearchNode(scratch / "opensearch", distribution, *ports, heap="1g")
    with running_opensearch(node, _CHECKOUT / "policies" / "opensearch", scratch / "opensearch.log") as running:
        yield running


def _say(found: Sequence[Quality]) -> None:
    for one in found:
        console.print(f"{one.engine}, {one.way}: {one.value:.4f}")


def _report(quality: Sequence[Quality], recall: Sequence[Quality], speed: Sequence[Speed], missing: str) -> str:
    cell: Callable[[Quality], str] = lambda one: "-" if one.p95_ms is None else f"{one.p95_ms:,.0f}"  # noqa: E731
    lines = [
        "# Retrieval",
        "",
        f"Machine: {machine()}. OpenSearch 3.4.0, one node beside the client, 1 GiB heap.",
        missing,
        "## SciFact, the half of the development claims that is at hand: nDCG@10",
        "",
        "| engine | found by | nDCG@10 | p95 ms |",
        "| --- | --- | ---: | ---: |",
        *(f"| {one.engine} | {one.way} | {one.value:.4f} | {cell(one)} |" for one in quality),
        "",
        "## BioASQ 7b to 10b: recall@20 of the snippets of a question, among those of all questions",
        "",
        "| engine | found by | recall@20 |",
        "| --- | --- | ---: |",
        *(f"| {one.engine} | {one.way} | {one.value:.4f} |" for one in recall),
        "",
        "## One client: ms at p50 / p95 beyond the vector of the question, and what goes in",
        "",
        "Narrowed: one kind, two publishers of fifty. Words alone: tantivy without the rest, as the peer. Ingested:",
        "passages in documents of ten, without their vectors; vectors are given, not computed. New version: from its",
        "writing until it is found.",
        "",
        "| engine | passages | hybrid | narrowed | words alone | ingested/s | vectors/s | ready s | new version s"
        " | MB |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(one.row() for one in speed),
        "",
    ]
    return "\n".join(lines)
