"""The open guidelines in an index, as a site brings them in: editions of the Task Force, and the CDC's on opioids."""

import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from retrieval.encoder import Encoder
from retrieval.importers.guidelines import GuidelinePages, Provenance
from retrieval.importers.records import Importer
from retrieval.importers.task_force import EDITIONS, TOPICS, TaskForceEditions
from retrieval.index import Index
from retrieval.ingest import ingest
from retrieval.meaning import embed

from benchmarks.open_literature import ARCHIVE, Known, vectors_of

__all__ = ["OLDER_EDITION", "bring_in", "embedded", "guidelines"]

OLDER_EDITION = date(2021, 3, 15)
"""The day of the older edition, which does not say it: that of the copy in the open data."""
_CDC = Provenance("CDC", version="2022 draft", published=date(2022, 2, 10), effective_from=date(2022, 2, 10))
_EDITIONS = ("uspstf_2021_working.json", "prevention_taskforce_api_sample.json")


@contextmanager
def guidelines() -> Iterator[Path]:
    """Give the folder of the guidelines; raise ``FileNotFoundError`` when the data is not there."""
    archive = ARCHIVE.with_name("guidelines.tar.xz")
    with TemporaryDirectory(prefix="preceptor-") as folder, tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
        yield Path(folder) / "guidelines"


async def bring_in(index: Index, folder: Path) -> None:
    """Read what `preceptor ingest task-force` and `preceptor ingest guidelines` read."""
    for name in _EDITIONS:
        known = [*await index.keys(TOPICS), *await index.keys(EDITIONS)]
        await _read(index, TaskForceEditions(known, OLDER_EDITION), folder / "uspstf" / name)
    pages = GuidelinePages(_CDC)
    for one in ("CDC-2022-0024-0002_draft_guideline.txt", "input/resources/plandefinition"):
        for path in pages.inputs(folder / "cdc_opioid" / one):
            await _read(index, pages, path)
    await index.refresh()


async def _read(index: Index, importer: Importer, path: Path) -> None:
    report = await ingest(index, importer, path)
    if report.refused:
        raise RuntimeError(f"{path.name}: {report.refused}")


async def embedded(index: Index, encoder: Encoder, kind: str, questions: Sequence[str]) -> None:
    """Give the passages of a kind their vectors, which are kept, and let ``index`` find by meaning too."""
    waiting = [one.text for one in await index.without_vector(encoder.name, [kind], 100_000)]
    known = vectors_of(encoder, list(questions))
    for start in range(0, len(waiting), 100):
        known |= vectors_of(encoder, waiting[start : start + 100])
    ready = Known(encoder.name, known)
    await embed(index, ready, [kind])
    index.use_encoder(ready)
    await index.refresh()
