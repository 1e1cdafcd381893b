"""Labels as downloaded in bulk: DailyMed's zips of zips, openFDA's zips of long JSON; real, cut off and hostile."""

import gzip
import io
import json
import zipfile
from zipfile import ZipFile

import pytest
from retrieval.importers import dailymed_spl
from retrieval.importers.dailymed_spl import DailyMedLabels
from retrieval.importers.openfda import OpenFdaLabels
from retrieval.importers.records import RecordRefused
from retrieval.ingest import ingest

SPL = """<?xml version="1.0" encoding="UTF-8"?><?xml-stylesheet href="x.xsl" type="text/xsl"?>
<document xmlns="urn:hl7-org:v3"><code code="34391-3" displayName="{kind}"/><setId root="{set_id}"/>
<versionNumber value="1"/><component><structuredBody><component><section><code code="34068-7"/>
<text>Take one tablet a day.</text></section></component></structuredBody></component></document>"""


def spl(set_id="s1", kind="HUMAN PRESCRIPTION DRUG LABEL"):
    return SPL.format(set_id=set_id, kind=kind).encode()


def zipped(members, compression=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with ZipFile(out, "w", compression) as made:
        for name, data in members.items():
            made.writestr(name, data)
    return out.getvalue()


def release(folder, members, name="dm_spl_release_human_rx_part1.zip"):
    path = folder / name
    path.write_bytes(zipped(members, zipfile.ZIP_STORED))
    return path


def said(importer, path):
    found = []
    for record in importer.records(path):
        try:
            document = record.convert()
            found.append(document.key if document else None)
        except RecordRefused as refusal:
            found.append(str(refusal))
    return found


async def test_a_release_of_real_labels_is_read_as_it_comes(index, open_data, tmp_path):
    files = sorted((open_data("drug_labels") / "spl_xml").glob("*.xml"))
    members = {
        f"prescription/20240101_{file.stem}.zip": zipped({f"{file.stem}.xml": file.read_bytes(), "a.jpg": b"\xff\xd8"})
        for file in files
    }
    path = release(tmp_path, members)
    importer = DailyMedLabels()
    assert importer.inputs(tmp_path) == [path] and importer.count(path) == len(files) == 5
    report = await ingest(index, importer, path)
    alone = [record.convert() for file in files for record in importer.records(file)]
    assert report.counts.added == len({one.key for one in alone}) and report.refused == []
    assert report.passages == sum(len(one.passages) for one in alone) > 100
    assert (await ingest(index, importer, path)).skipped == len(files)


async def test_a_release_that_was_stopped_goes_on_without_opening_what_was_read(index, tmp_path, monkeypatch):
    members = {f"otc/{n:05}.zip": zipped({"d.xml": spl(f"s{n}")}) for n in range(index.batch + 5)}
    path = release(tmp_path, members)
    assert (await ingest(index, DailyMedLabels(), path, stop=lambda: True)).interrupted
    opened = []
    real = dailymed_spl.member_bytes
    monkeypatch.setattr(dailymed_spl, "member_bytes", lambda *given: opened.append(1) or real(*given))
    rest = await ingest(index, DailyMedLabels(), path)
    assert (rest.skipped, rest.counts.added, len(opened)) == (index.batch, 5, 10)


def bomb():
    return zipped({"d.xml": b"<a>" + b" " * 40_000_000})


def locked():
    data = bytearray(zipped({"d.xml": spl()}))
    data[data.index(b"PK\x03\x04") + 6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("member", "why"),
    [
        (zipped({"d.xml": spl()}), "label/s1"),
        (zipped({"x/y/D.XML": spl()}), "label/s1"),
        (zipped({"a.xml": spl(), "b.xml": spl()}), "2 documents where one is expected"),
        (zipped({"a.jpg": b""}), "0 documents where one is expected"),
        (zipped({"../../etc/d.xml": spl()}), "reaches outside"),
        (zipped({"..\\d.xml": spl()}), "reaches outside"),
        (zipped({"/d.xml": spl()}), "reaches outside"),
        (zipped({"inner.zip": zipped({"d.xml": spl()})}), "0 documents where one is expected"),
        (zipped({"d.xml": spl(kind="PRESCRIPTION ANIMAL DRUG LABEL")}), "not a drug for people"),
        (b"not a zip", "not a zip"),
        (zipped({"d.xml": spl()})[:-30], "not a zip"),
        (locked(), "locked with a password"),
        (bomb(), "swells"),
        (zipped({"d.xml": b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + spl()}), "entities"),
        (zipped({"d.xml": spl().decode().replace("UTF-8", "UTF-16").encode("utf-16")}), "label/s1"),
    ],
)
def test_a_member_that_is_no_label_is_refused_and_the_rest_is_read(tmp_path, member, why):
    path = release(tmp_path, {"prescription/a.zip": member, "prescription/b.zip": zipped({"d.xml": spl("good")})})
    first, second = said(DailyMedLabels(), path)
    assert why in first and second == "label/good"


def test_damage_within_a_member_is_that_member_s(tmp_path):
    path = release(tmp_path, {"a.zip": zipped({"d.xml": spl()}), "b.zip": zipped({"d.xml": spl("good")})})
    data = bytearray(path.read_bytes())
    data[200:240] = bytes(40)
    path.write_bytes(data)
    first, second = said(DailyMedLabels(), path)
    assert "damaged" in first or "not a zip" in first
    assert second == "label/good"


def test_a_zip_of_one_document_is_read_too(tmp_path):
    assert said(DailyMedLabels(), release(tmp_path, {"d.xml": spl(), "pictures/a.jpg": b""})) == ["label/s1"]


def test_what_is_no_zip_is_refused_whole(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(RecordRefused, match="not a zip"):
        DailyMedLabels().count(path)


def label(n):
    return {
        "set_id": f"set-{n}", "effective_time": "20240101", "version": "1",
        "openfda": {"substance_name": ["TESTADRINE"], "route": ["ORAL"]},
        "dosage_and_administration": ["The maximum daily dose is 40 mg."],
    }  # fmt: skip


def bulk(labels):
    return json.dumps({"meta": {"disclaimer": "x", "results": {"total": len(labels)}}, "results": labels}).encode()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("drug-label-0001-of-0001.json.zip", zipped({"drug-label-0001-of-0001.json": bulk([label(1), label(2)])})),
        ("a.json", bulk([label(1), label(2)])),
        ("a.json.gz", gzip.compress(bulk([label(1), label(2)]))),
        ("a.json", b"\n\t" + json.dumps([label(1), label(2)]).encode()),
        ("a.jsonl.gz", gzip.compress(b"\n".join(json.dumps(label(n)).encode() for n in (1, 2)))),
    ],
    ids=["zip", "json", "gzip", "list", "lines"],
)
def test_openfda_s_labels_are_read_in_each_shape_of_the_download(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    (path,) = OpenFdaLabels().inputs(tmp_path)
    assert OpenFdaLabels().count(path) == 2
    assert said(OpenFdaLabels(), path) == ["label/set-1", "label/set-2"]


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("a.json.zip", b"no", "not a zip"),
        ("a.json.zip", zipped({"a.json": bulk([label(1)])[:-9]}), "not JSON"),
        ("a.json.zip", zipped({"a.json": b'{"results": [' + b" " * 60_000_000}), "swells"),
        ("a.json.zip", zipped({"a.json": b'{"results": [3]}'}), "not a list of objects"),
        ("a.json", b'{"results": ' + b"[" * 300_000, "nested without end"),
        ("a.json", b"3", "not a list of objects"),
        ("a.json", b"\xff\xfe{\0}\0", "not JSON"),
        ("a.jsonl.gz", gzip.compress(b"{}\n" * 9)[:-9], "damaged or cut off"),
    ],
    ids=["no-zip", "cut-off", "swells", "numbers", "nested", "a-number", "utf-16", "gzip-cut-off"],
)
def test_a_download_that_is_damaged_or_hostile_is_refused(tmp_path, name, data, why):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(RecordRefused, match=why):
        OpenFdaLabels().count(tmp_path / name)
