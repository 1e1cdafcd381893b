"""Both engines: how well and how fast passages are found, how fast documents go in, and how that changes with size.

``python -m benchmarks retrieval``. What each part found is kept in .preceptor/cache/benchmark, and the report is made
of what is kept: PRECEPTOR_BENCHMARK_PARTS names the parts to measure again, ``speed-embedded,speed-opensearch`` on a
quiet machine. The parts ``growth-*``, sizes beyond 100,000, are measured when they are named or
PRECEPTOR_BENCHMARK_GROWTH is set: they take half an hour and 6 GB. OpenSearch is left out, saying so, where Java or
Maven is missing.
"""

import asyncio
import json
import os
import signal
import socket
import sys
import warnings
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
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
from retrieval.index_key import index_key
from retrieval.opensearch.cluster import connect
from retrieval.opensearch_index import open_opensearch_index
from rich.console import Console
from service_runtime.secrets import MemorySecretStore

from benchmarks.machine import machine
from benchmarks.open_literature import KEPT, unpacked
from benchmarks.retrieval_quality import Open, Quality, bioasq_recall, scifact
from benchmarks.retrieval_report import PARTS, Taken, report
from benchmarks.retrieval_speed import Speed, grow, opened_anew

__all__ = ["run"]

_CHECKOUT = Path(__file__).resolve().parents[1]
_SIZES = {
    "speed-embedded": (10_000, 100_000),
    "speed-opensearch": (10_000, 100_000),
    "growth-embedded": (300_000, 1_000_000),
    "growth-opensearch": (300_000, 1_000_000),
}
console = Console(stderr=True)
_Rows = Sequence[Quality] | Sequence[Speed]


def run() -> str:
    """Measure the parts that are wanted and return the report of all that is known."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the node does not outlive the benchmark
    warnings.simplefilter("ignore")  # the secrets of an index that lives as long as the benchmark
    named = os.environ.get("PRECEPTOR_BENCHMARK_PARTS", "")
    growing = bool(os.environ.get("PRECEPTOR_BENCHMARK_GROWTH"))
    parts = named.split(",") if named else [part for part in PARTS if growing or not part.startswith("growth")]
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        raise SystemExit(f"No part is called {', '.join(unknown)}. There are: {', '.join(PARTS)}.")
    missing = ""
    with unpacked() as folder, TemporaryDirectory(prefix="preceptor-") as scratch:
        for part in parts:
            if part.endswith("embedded"):
                _keep(part, partial(_embedded, part, folder, Path(scratch) / part))
        try:
            with ExitStack() as stack:
                wanted = [part for part in parts if part.endswith("opensearch")]
                node = stack.enter_context(_node(Path(scratch))) if wanted else None
                for part in wanted:
                    assert node is not None
                    _keep(part, partial(_opensearch, part, folder, node))
        except ToolMissing as error:
            missing = f"OpenSearch was not measured: {error}."
    return report({part: Taken.read(path) for part in PARTS if (path := _kept(part)).exists()}, missing)


def _kept(part: str) -> Path:
    return KEPT / f"retrieval-{part}.json"


def _keep(part: str, measure: Callable[[], _Rows]) -> None:
    """Measure a part and keep what it found, and how busy the machine was."""
    console.print(f"{part} ...")
    before, began = os.getloadavg()[0], datetime.now(tz=UTC)
    rows = [asdict(row) for row in measure()]
    taken = {
        "rows": rows,
        "machine": machine(),
        "when": began.isoformat(timespec="minutes"),
        "load": [round(before, 1), round(os.getloadavg()[0], 1)],
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
    }
    KEPT.mkdir(parents=True, exist_ok=True)
    _kept(part).write_text(json.dumps(taken))


def _measured(part: str, folder: Path, open_index: Open, growing: Callable[[Index], Awaitable[list[Speed]]]) -> _Rows:
    what, engine = part.split("-")

    async def measure() -> _Rows:
        if what == "scifact":
            return await scifact(folder, engine, open_index)
        if what == "bioasq":
            return await bioasq_recall(folder, engine, open_index)
        index = await open_index(what)
        try:
            return await growing(index)
        finally:
            await index.close()

    return asyncio.run(measure())


def _embedded(part: str, folder: Path, scratch: Path) -> _Rows:
    secrets = MemorySecretStore()

    async def open_index(name: str) -> Index:
        return await open_embedded_index(scratch / name, secrets)

    async def growing(index: Index) -> list[Speed]:
        place = scratch / part.split("-")[0]
        anew = partial(opened_anew, place, await index_key(place, secrets))
        return await grow(folder, "embedded", index, _SIZES[part], open_anew=anew, said=console.print)

    return _measured(part, folder, open_index, growing)


def _opensearch(part: str, folder: Path, running: RunningOpenSearch) -> _Rows:
    node = running.node

    async def open_index(name: str) -> Index:
        keys = node.clients_dir
        files = node.authority_file, keys / "retrieval.pem", keys / "retrieval-key.pem"
        return await open_opensearch_index(connect(node.address, *files, timeout_s=60), name)

    async def memory() -> int:
        return int(psutil.Process(running.process.pid).memory_info().rss) >> 20

    async def growing(index: Index) -> list[Speed]:
        return await grow(folder, "opensearch", index, _SIZES[part], memory, said=console.print)

    return _measured(part, folder, open_index, growing)


@contextmanager
def _node(scratch: Path) -> Iterator[RunningOpenSearch]:
    java_program()
    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(int(probe.getsockname()[1]))
    distribution = assembled(_CHECKOUT / ".preceptor" / "cache")
    node = OpenSearchNode(scratch / "opensearch", distribution, ports[0], ports[1], heap="1g")
    with running_opensearch(node, _CHECKOUT / "policies" / "opensearch", scratch / "opensearch.log") as running:
        yield running
