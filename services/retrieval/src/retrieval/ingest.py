"""Ingestion: batches of records into an index, resumable, with a report of what was refused and why."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from retrieval.documents import IngestedDocument
from retrieval.importers.records import Importer, RecordRefused
from retrieval.index import Checkpoint, Index, WriteCounts

__all__ = ["IngestReport", "Refusal", "ingest", "input_id"]

_EDGE_BYTES = 1 << 20


@dataclass(frozen=True)
class Refusal:
    """A record or input that was left out, and why."""

    place: str
    reason: str


@dataclass
class IngestReport:
    """What a run did. ``interrupted`` runs continue after the last batch that was written."""

    counts: WriteCounts = field(default_factory=WriteCounts)
    facts: int = 0
    passages: int = 0
    names: int = 0
    skipped: int = 0
    empty: int = 0
    refused: list[Refusal] = field(default_factory=list)
    interrupted: bool = False


def input_id(importer: Importer, path: Path) -> str:
    """Return what an input is known by in checkpoints: importer, edition and a digest of the content's edges and sizes.

    A file that was moved is the same input; one that grew or changed is another, and is read from its beginning.
    """
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(one for one in path.iterdir() if one.is_file())
    for file in files:
        size = file.stat().st_size
        digest.update(f"{file.name}|{size}|".encode())
        with file.open("rb") as content:
            digest.update(content.read(_EDGE_BYTES))
            content.seek(max(0, size - _EDGE_BYTES))
            digest.update(content.read(_EDGE_BYTES))
    return f"{importer.name}/{importer.edition}/{digest.hexdigest()}"


async def ingest(
    index: Index,
    importer: Importer,
    path: Path,
    *,
    again: bool = False,
    advance: Callable[[int], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> IngestReport:
    """Bring one input into the index.

    Batch and checkpoint are stored together, so that a run that dies leaves whole batches and the next one goes on
    after them. ``advance`` is told of records done; ``stop`` asks the run to end after the batch at hand.
    """
    report = IngestReport()
    known = input_id(importer, path)
    done = await index.checkpoint(known)
    position = 0 if done is None or again else done.position
    if done is not None and done.finished and not again:
        report.skipped = position
        advance(position)
        return report
    batch: list[IngestedDocument] = []
    read = 0
    try:
        for record in importer.records(path):
            read += 1
            if read <= position:
                report.skipped += 1
                advance(1)
                continue
            try:
                document = record.convert()
                if document is None:
                    report.empty += 1
                else:
                    batch.append(document)
            except RecordRefused as refusal:
                report.refused.append(Refusal(record.place, str(refusal)))
            advance(1)
            if read - position >= index.batch:
                await _write(index, batch, Checkpoint(known, read), report)
                batch, position = [], read
                if stop():
                    report.interrupted = True
                    return report
    except RecordRefused as refusal:
        report.refused.append(Refusal(path.name, str(refusal)))
        await _write(index, batch, None, report)
        return report
    await _write(index, batch, Checkpoint(known, read, finished=True), report)
    return report


async def _write(
    index: Index, batch: list[IngestedDocument], checkpoint: Checkpoint | None, report: IngestReport
) -> None:
    report.counts += await index.write(batch, checkpoint)
    report.facts += sum(len(document.facts) for document in batch)
    report.passages += sum(len(document.passages) for document in batch)
    report.names += sum(len(document.names) for document in batch)
