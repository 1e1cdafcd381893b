"""What a batch of documents changes in an index: which versions come, which go, and which end earlier than they did."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from service_contracts.evidence import Source

from retrieval.documents import IngestedDocument
from retrieval.index import WriteCounts
from retrieval.opensearch.cluster import Cluster
from retrieval.opensearch.names import Names
from retrieval.opensearch.queries import visible
from retrieval.opensearch.rows import DocumentRow, document_row, passage_rows
from retrieval.opensearch.writing import Change
from retrieval.stored import last_days
from retrieval.wanted import NEVER

__all__ = ["remove_documents", "revise"]

_BATCH_STEP = 1_000_000
Hit = dict[str, Any]


@dataclass
class _Version:
    """One version of a document: as it is kept, as it comes, or both when it is replaced."""

    arrived: int
    kept: tuple[DocumentRow, Hit] | None = None
    coming: IngestedDocument | None = None

    @property
    def digest(self) -> str:
        return self.coming.digest if self.coming is not None else self._row.digest

    @property
    def source(self) -> Source:
        return self.coming.source if self.coming is not None else self._row.source

    @property
    def _row(self) -> DocumentRow:
        assert self.kept is not None
        return self.kept[0]


@dataclass
class _Work:
    cluster: Cluster
    names: Names
    change: Change
    versions: dict[str, dict[str, _Version]] = field(default_factory=dict)


async def revise(cluster: Cluster, names: Names, change: Change, documents: Sequence[IngestedDocument]) -> WriteCounts:
    """Fill ``change`` with what ``documents`` mean; return what that is."""
    work = _Work(cluster, names, change)
    await _read_versions(work, list(dict.fromkeys(document.key for document in documents)))
    added = replaced = unchanged = 0
    touched: dict[str, None] = {}
    for place, document in enumerate(documents):
        versions = work.versions.setdefault(document.key, {})
        known = versions.get(document.version)
        if known is not None and known.digest == document.digest:
            unchanged += 1
            continue
        # A version that is replaced arrives anew, as one that comes for the first time.
        arrived = change.number * _BATCH_STEP + place
        kept = None if known is None else known.kept
        versions[document.version] = _Version(arrived, kept, document)
        added, replaced = (added + 1, replaced) if known is None else (added, replaced + 1)
        touched[document.key] = None
    replacing = [key for key in touched if any(one.kept for one in work.versions[key].values())]
    if replacing:
        await cluster.refresh(names.passages)
    for key in touched:
        await _revise_document(work, list(work.versions[key].values()))
    return WriteCounts(added, replaced, unchanged)


async def _revise_document(work: _Work, versions: list[_Version]) -> None:
    versions.sort(key=lambda one: one.arrived)
    days = last_days([one.source for one in versions], datetime.now(tz=UTC).date())
    for version, until in zip(versions, days, strict=True):
        if version.coming is not None:
            if version.kept is not None:
                await _remove(work, *version.kept)
            _add(work, version.coming, version.arrived, until)
        elif version.kept is not None and version.kept[0].superseded_on != until:
            await _end(work, *version.kept, until)


def _add(work: _Work, document: IngestedDocument, arrived: int, until: date | None) -> None:
    row = document_row(document, arrived, until)
    row_id = work.change.add(work.change.documents, row)
    kept = DocumentRow.read(row_id, row)
    work.change.weigh(kept.weight, kept.counts)
    for passage in passage_rows(document, row_id, until):
        work.change.add(work.change.passages, passage)


async def _remove(work: _Work, kept: DocumentRow, hit: Hit) -> None:
    work.change.remove(work.change.documents, hit)
    work.change.weigh(kept.weight, kept.counts, -1)
    async for passage in work.cluster.rows(work.names.passages, _of(work, kept), content=False):
        work.change.remove(work.change.passages, passage)


async def _end(work: _Work, kept: DocumentRow, hit: Hit, until: date | None) -> None:
    """Put a copy that ends on another day in the place of a version."""
    change = work.change
    change.remove(change.documents, hit)
    change.weigh(kept.weight, kept.counts, -1)
    row = {name: value for name, value in kept.content.items() if name not in ("removed", "superseded_on")}
    if until is not None:
        row["superseded_on"] = until.isoformat()
    row_id = change.add(change.documents, row)
    ended = DocumentRow.read(row_id, row)
    change.weigh(ended.weight, ended.counts)
    day = NEVER if until is None else until.toordinal()
    async for passage in work.cluster.rows(work.names.passages, _of(work, kept)):
        change.remove(change.passages, passage)
        copy = {name: value for name, value in passage["_source"].items() if name != "removed"}
        change.add(change.passages, {**copy, "document": row_id, "until": day})


def _of(work: _Work, kept: DocumentRow) -> dict[str, Any]:
    return visible(work.change.head, {"term": {"document": kept.id}})


async def _read_versions(work: _Work, keys: Sequence[str]) -> None:
    query = visible(work.change.head, {"term": {"type": "document"}}, {"terms": {"key": list(keys)}})
    await work.cluster.refresh(work.names.documents)
    async for hit in work.cluster.rows(work.names.documents, query):
        row = DocumentRow.read(hit["_id"], hit["_source"])
        work.versions.setdefault(row.key, {})[row.version] = _Version(row.arrived, (row, hit))


async def remove_documents(cluster: Cluster, names: Names, change: Change, keys: Sequence[str]) -> int:
    """Fill ``change`` with the removal of all versions of documents; return how many there are."""
    work = _Work(cluster, names, change)
    await _read_versions(work, keys)
    kept = [version.kept for versions in work.versions.values() for version in versions.values() if version.kept]
    if kept:
        await cluster.refresh(names.passages)
    for row, hit in kept:
        await _remove(work, row, hit)
    return len(kept)
