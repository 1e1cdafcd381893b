"""Ingestion: batches of records into an index, resumable, with a report of what was refused and why."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from retrieval.documents import IngestedDocument
from retrieval.importers.records import MISSHAPEN, Importer, Record, RecordRefused, Removal
from retrieval.index import Checkpoint, Index, WriteCounts

__all__ = ["IngestReport", "Refusal", "count", "ingest", "input_id"]

_EDGE_BYTES = 1 << 20
_KEYS_AT_ONCE = 500


@dataclass(frozen=True)
class Refusal:
    """A record or input that was left out, and why."""

    place: str
    reason: str


@dataclass
class IngestReport:
    """What a run did. ``interrupted`` runs continue after the last batch that was written.

    ``removed`` counts versions of documents that the publisher took back. ``broken`` inputs could not be read to their
    end.
    """

    counts: WriteCounts = field(default_factory=WriteCounts)
    facts: int = 0
    passages: int = 0
    names: int = 0
    skipped: int = 0
    empty: int = 0
    removed: int = 0
    refused: list[Refusal] = field(default_factory=list)
    interrupted: bool = False
    broken: bool = False


class _Batch:
    """Documents to write and keys to remove before that, so that the last word on a key in a batch is what holds."""

    def __init__(self) -> None:
        self.documents: list[IngestedDocument] = []
        self.removed: dict[str, None] = {}

    def add(self, document: IngestedDocument) -> None:
        self.documents.append(document)

    def remove(self, keys: tuple[str, ...]) -> None:
        self.removed.update(dict.fromkeys(keys))
        gone = set(keys)
        self.documents = [document for document in self.documents if document.key not in gone]


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
    batch = _Batch()
    read = 0
    try:
        for record in _records(importer, path):
            read += 1
            if read <= position:
                report.skipped += 1
                advance(1)
                continue
            try:
                document = _converted(record)
                if document is None:
                    report.empty += 1
                elif isinstance(document, Removal):
                    report.empty += document.nothing_to_keep
                    batch.remove(document.keys)
                else:
                    batch.add(document)
            except RecordRefused as refusal:
                report.refused.append(Refusal(record.place, str(refusal)))
            advance(1)
            if read - position >= index.batch:
                await _write(index, batch, Checkpoint(known, read), report)
                batch, position = _Batch(), read
                if stop():
                    report.interrupted = True
                    return report
    except RecordRefused as refusal:
        report.refused.append(Refusal(path.name, str(refusal)))
        report.broken = True
        await _write(index, batch, None, report)
        return report
    await _write(index, batch, Checkpoint(known, read, finished=True), report)
    return report


def count(importer: Importer, path: Path) -> int:
    """Return how many records an input has; raise ``RecordRefused`` when it cannot be read."""
    try:
        return importer.count(path)
    except MISSHAPEN as error:
        raise RecordRefused(_misshapen(error)) from None


def _records(importer: Importer, path: Path) -> Iterator[Record]:
    try:
        yield from importer.records(path)
    except MISSHAPEN as error:
        raise RecordRefused(_misshapen(error)) from None


def _converted(record: Record) -> IngestedDocument | Removal | None:
    try:
        return record.convert()
    except MISSHAPEN as error:
        raise RecordRefused(_misshapen(error)) from None


def _misshapen(error: Exception) -> str:
    return f"not of the shape that its format says ({type(error).__name__})"


async def _write(index: Index, batch: _Batch, checkpoint: Checkpoint | None, report: IngestReport) -> None:
    # A run that dies between the two removes once more and writes then: neither is harmed by being done twice.
    keys = tuple(batch.removed)
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        report.removed += await index.remove(keys[start : start + _KEYS_AT_ONCE])
    documents = batch.documents
    report.counts += await index.write(documents, checkpoint)
    report.facts += sum(len(document.facts) for document in documents)
    report.passages += sum(len(document.passages) for document in documents)
    report.names += sum(len(document.names) for document in documents)
