"""Ingestion as a run: resumed without duplicates, all or nothing for each batch, and honest about what was refused."""

import json

import pytest
from retrieval.importers.openfda import OpenFdaLabels
from retrieval.importers.records import RecordRefused
from retrieval.index import WriteCounts
from retrieval.ingest import ingest, input_id

RECORDS = 130


@pytest.fixture
def labels(tmp_path):
    path = tmp_path / "labels.jsonl"
    lines = [
        json.dumps(
            {
                "openfda": {
                    "spl_set_id": [f"set-{n}"],
                    "spl_id": [f"v-{n}"],
                    "substance_name": [f"DRUG{n}"],
                    "route": ["ORAL"],
                },
                "dosage_and_administration": ["The maximum daily dose is 40 mg."],
            }
        )
        for n in range(RECORDS)
    ]
    path.write_text("\n".join(lines))
    return path


class Dies(Exception):
    """The process was killed."""


class Fragile(OpenFdaLabels):
    """Dies at a record, as a killed process does: nothing after it happens."""

    def __init__(self, dies_at):
        super().__init__()
        self.dies_at = dies_at

    def records(self, path):
        for number, record in enumerate(super().records(path), start=1):
            if number == self.dies_at:
                raise Dies
            yield record


async def state(index):
    await index.refresh()
    counts = await index.counts()
    return index.version, counts["document"], counts["fact"], counts["passage"]


async def test_a_run_reads_everything_and_a_second_one_nothing(index, labels):
    report = await ingest(index, OpenFdaLabels(), labels)
    assert (report.counts, report.facts, report.passages) == (WriteCounts(added=RECORDS), RECORDS, RECORDS)
    again = await ingest(index, OpenFdaLabels(), labels)
    assert (again.counts, again.skipped) == (WriteCounts(), RECORDS)
    forced = await ingest(index, OpenFdaLabels(), labels, again=True)
    assert forced.counts == WriteCounts(unchanged=RECORDS)


@pytest.mark.parametrize("dies_at", [1, 20, 21, 77, RECORDS])
async def test_a_run_that_dies_is_resumed_to_the_same_index_without_duplicates(
    index, labels, dies_at, tmp_path, secrets
):
    with pytest.raises(Dies):
        await ingest(index, Fragile(dies_at), labels)
    kept = (await index.counts())["document"]
    assert kept % 20 == 0 and dies_at - 20 <= kept < dies_at
    report = await ingest(index, OpenFdaLabels(), labels)
    assert (report.skipped, report.counts) == (kept, WriteCounts(added=RECORDS - kept))
    version, documents, facts, passages = await state(index)
    assert (documents, facts, passages) == (RECORDS, RECORDS, RECORDS)
    from retrieval.embedded_index import open_embedded_index

    whole = await open_embedded_index(tmp_path / "whole", secrets)
    await ingest(whole, OpenFdaLabels(), labels)
    assert (await state(whole))[0] == version
    await whole.close()


async def test_a_run_that_is_asked_to_stop_ends_after_a_batch_and_goes_on_later(index, labels):
    done = []
    report = await ingest(index, OpenFdaLabels(), labels, advance=done.append, stop=lambda: len(done) >= 30)
    assert (report.interrupted, report.counts) == (True, WriteCounts(added=40))
    rest = await ingest(index, OpenFdaLabels(), labels)
    assert (rest.interrupted, rest.skipped, rest.counts) == (False, 40, WriteCounts(added=RECORDS - 40))


async def test_what_is_refused_is_reported_with_place_and_reason_and_the_rest_is_kept(index, labels):
    lines = labels.read_text().splitlines()
    lines[3], lines[60] = "{broken", "[]"
    labels.write_text("\n".join(lines))
    report = await ingest(index, OpenFdaLabels(), labels)
    assert report.counts == WriteCounts(added=RECORDS - 2)
    assert [(one.place, one.reason) for one in report.refused] == [
        ("labels.jsonl:4", "not JSON"),
        ("labels.jsonl:61", "not a label"),
    ]


async def test_an_input_that_cannot_be_read_at_all_is_one_refusal(index, tmp_path):
    path = tmp_path / "x.json"
    path.write_text("{")
    report = await ingest(index, OpenFdaLabels(), path)
    assert [one.reason for one in report.refused] == ["not JSON"]


async def test_an_input_that_breaks_off_keeps_what_came_before_and_is_read_again(index, labels):
    class Breaks(OpenFdaLabels):
        def records(self, path):
            for number, record in enumerate(super().records(path)):
                if number == 30:
                    raise RecordRefused("it breaks off")
                yield record

    report = await ingest(index, Breaks(), labels)
    assert report.counts == WriteCounts(added=30)
    rest = await ingest(index, OpenFdaLabels(), labels)
    assert rest.counts == WriteCounts(added=RECORDS - 30, unchanged=10)


def test_an_input_is_known_by_its_content_and_by_what_reads_it(labels, tmp_path):
    importer = OpenFdaLabels()
    known = input_id(importer, labels)
    moved = tmp_path / "sub" / labels.name
    moved.parent.mkdir()
    moved.write_bytes(labels.read_bytes())
    assert input_id(importer, moved) == known
    moved.write_bytes(labels.read_bytes() + b"\n{}")
    assert input_id(importer, moved) != known
    importer.edition += 1
    assert input_id(importer, labels) != known
