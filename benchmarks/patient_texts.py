"""Texts about patients on disk: not to be read in the files of either engine, found as well as plain ones, forgotten.

``python -m benchmarks patient-texts``. The secret store is a real OpenBao, the encoder the one that is fetched for the
suite. OpenSearch is left out, saying so, where Java or Maven is missing. Each look into files is also made into files
that hold the same sentences and vectors in plain form: a look that finds nothing there says nothing.
"""

import asyncio
import shutil
import socket
import sqlite3
import statistics
import subprocess
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np
from numpy.typing import NDArray
from preceptor.openbao.running import RunningOpenBao, running_openbao
from preceptor.openbao.server import OpenBaoServer
from preceptor.opensearch.distribution import assembled
from preceptor.opensearch.errors import ToolMissing
from preceptor.opensearch.java import java_program
from preceptor.opensearch.node import OpenSearchNode
from preceptor.opensearch.policies import query_text_leaks
from preceptor.opensearch.running import RunningOpenSearch, running_opensearch
from retrieval.documents import IngestedDocument, PassageText
from retrieval.embedded_index import open_embedded_index
from retrieval.encoder import Encoder
from retrieval.engines import open_texts
from retrieval.index import Index, IndexUnreadable
from retrieval.meaning import embed, load_encoder
from retrieval.opensearch.cluster import connect
from retrieval.opensearch_index import open_opensearch_index
from retrieval.patient_texts import PatientTexts
from retrieval.settings import RetrievalSettings
from rich.console import Console
from service_contracts.evidence import PassageQuery
from service_runtime.secrets import SecretStore
from service_runtime.vault_store import connect_secret_store

from benchmarks.bytes_on_disk import Found, look
from benchmarks.machine import quantile
from benchmarks.open_literature import Known
from benchmarks.patient_texts_report import FORGOTTEN, Engine, report
from benchmarks.planted_patients import Planted, planted

__all__ = ["run"]

_CHECKOUT = Path(__file__).resolve().parents[1]
_ENCODER = _CHECKOUT / ".preceptor" / "cache" / "encoder"
_POLICIES = _CHECKOUT / "policies"
_TODAY = datetime.now(tz=UTC).date()
_AT = 10
_CANARY = "xylophonist quandary"
console = Console(stderr=True)


@dataclass(frozen=True)
class _Work:
    patients: Sequence[Planted]
    encoder: Encoder
    vectors: NDArray[np.float32]

    @property
    def sentences(self) -> list[str]:
        return [one.text for patient in self.patients for one in patient.texts]

    def look(self, *places: Path) -> Found:
        files = [path for place in places for path in sorted(place.rglob("*")) if path.is_file()]
        return look(files, [*self.sentences, _CANARY + " of no patient"], self.vectors)


def run() -> str:
    """Measure and return the report."""
    warnings.simplefilter("ignore")
    work = _planted()
    with TemporaryDirectory(prefix="preceptor-") as folder:
        scratch = Path(folder)
        with _openbao(scratch) as openbao:
            secrets = connect_secret_store(openbao.settings("retrieval"))
            engines = [asyncio.run(_embedded(work, scratch / "embedded", secrets))]
            try:
                with _node(scratch) as node:
                    engines.append(asyncio.run(_opensearch(work, node, scratch, secrets)))
                missing = ""
            except ToolMissing as error:
                missing = f"OpenSearch was not measured: {error}.\n"
        beside = work.look(scratch / "openbao", scratch / "run")
    return report(work.patients, work.vectors.shape[1], engines, beside, missing)


def _planted() -> _Work:
    patients = planted()
    encoder = load_encoder(_ENCODER)
    texts = [one.text for patient in patients for one in patient.texts]
    questions = list(dict.fromkeys(question for patient in patients for question, _ in patient.questions))
    vectors = np.concatenate([encoder.encode(texts[start : start + 50]) for start in range(0, len(texts), 50)])
    asked = encoder.encode([*questions, _CANARY])
    known = dict(zip([*texts, *questions, _CANARY], np.concatenate([vectors, asked]), strict=True))
    return _Work(patients, Known(encoder.name, known), vectors)


async def _embedded(work: _Work, folder: Path, secrets: SecretStore) -> Engine:
    engine = Engine("embedded")
    settings = RetrievalSettings(index_dir=folder / "sealed")

    async def open_index() -> Index:
        return await open_embedded_index(folder / "plain", secrets)

    async def open_sealed() -> PatientTexts:
        return await open_texts(settings, secrets, work.encoder)

    await _measure(work, engine, open_index, open_sealed)
    # The plain index lies in an encrypted file too, so that it shows nothing of the look itself.
    engine.looks.append(("control: a database without encryption", work.look(_unencrypted(work, folder / "control"))))
    shutil.copytree(folder / "sealed", folder / "before")
    await _forget(work, engine, open_sealed)
    engine.looks.append(("index folder with its log", work.look(folder / "sealed", folder / "before")))
    shutil.rmtree(folder / "sealed")
    shutil.move(folder / "before", folder / "sealed")
    await _opened_again(work, engine, open_sealed, "a copy of the files from before, opened")
    return engine


async def _opensearch(work: _Work, running: RunningOpenSearch, scratch: Path, secrets: SecretStore) -> Engine:
    engine, node = Engine("OpenSearch"), running.node
    keys = node.clients_dir
    files = node.authority_file, keys / "retrieval.pem", keys / "retrieval-key.pem"
    names = ("opensearch_ca_file", "opensearch_certificate_file", "opensearch_key_file")
    settings = RetrievalSettings.model_validate(
        {"index_dir": scratch / "none", "engine": "opensearch", "opensearch_url": node.address}
        | dict(zip(names, files, strict=True))
    )

    async def open_index() -> Index:
        return await open_opensearch_index(connect(node.address, *files, timeout_s=60), "plain")

    async def open_sealed() -> PatientTexts:
        return await open_texts(settings, secrets, work.encoder)

    await _measure(work, engine, open_index, open_sealed)
    with node.client() as admin:
        assert query_text_leaks(admin) == [], "the node would keep the text of queries"
        sealed = _folders(node, admin, "/preceptor-patients-*")
    running.kill()
    engine.looks.append(("index of patients as a power cut leaves it, translog full", work.look(*sealed)))
    running.start_again()
    with node.client() as admin:
        admin.post("/_flush").raise_for_status()
        plain = _folders(node, admin, "/preceptor-*-plain*")
        found = admin.get("/preceptor-*-plain*/_settings").raise_for_status().json()
    # A node that runs replaces its files under the eyes of who looks at them.
    running.stop()
    engine.looks.append(("control: the same in an index in plain text", work.look(*plain)))
    running.start_again()
    with node.client() as admin:
        for name in found:
            admin.delete(f"/{name}").raise_for_status()
    running.stop()
    data, before = node.state_dir / "data", scratch / "before"
    # The copy keeps the owner, whom the node needs. Nothing else runs beside a benchmark.
    subprocess.run(["cp", "-a", str(data), str(before)], check=True)  # noqa: ASYNC221
    running.start_again()
    await _forget(work, engine, open_sealed)
    running.stop()
    engine.looks.append(("data and logs of the node, translogs included", work.look(data, node.state_dir / "logs")))
    engine.looks.append(("copy of the data from before", work.look(before)))
    shutil.rmtree(data)
    shutil.move(before, data)
    running.start_again()
    await _opened_again(work, engine, open_sealed, "a copy of the data from before, under a node of its own")
    return engine


def _folders(node: OpenSearchNode, admin: httpx.Client, indices: str) -> list[Path]:
    """Return the folders of indices, each with its segments and its translog."""
    found = admin.get(f"{indices}/_settings").raise_for_status().json()
    names = {one["settings"]["index"]["uuid"] for one in found.values()}
    return [path for path in (node.state_dir / "data").rglob("*") if path.name in names and path.is_dir()]


async def _measure(
    work: _Work,
    engine: Engine,
    open_index: Callable[[], Awaitable[Index]],
    open_sealed: Callable[[], Awaitable[PatientTexts]],
) -> None:
    """Search for the same in plain text, narrowed to a patient inside the search, and in what is sealed."""
    index = await open_index()
    try:
        await index.write([_document(patient) for patient in work.patients])
        await embed(index, work.encoder, ["note"])
        index.use_encoder(work.encoder)
        await index.refresh()
        plain = {
            (patient.reference, question): [
                one.id.rpartition("/")[2]
                for one in await index.passages(
                    PassageQuery(text=question, limit=_AT, publishers=(patient.reference,), budget_ms=60_000)
                )
            ]
            for patient in work.patients
            for question, _ in patient.questions
        }
    finally:
        await index.close()
    texts, times, sealed = await open_sealed(), [], {}
    try:
        for patient in work.patients:
            await texts.add(patient.reference, patient.texts)
        for patient in work.patients:
            await texts.search(patient.reference, _CANARY, _AT, _TODAY)
            for question, _ in patient.questions:
                began = time.perf_counter()
                found = await texts.search(patient.reference, question, _AT, _TODAY)
                times.append((time.perf_counter() - began) * 1000)
                sealed[patient.reference, question] = [one.id for one in found]
    finally:
        await texts.close()
    engine.plain, engine.sealed = _recall(work, plain), _recall(work, sealed)
    engine.same = statistics.fmean(len({*plain[key]} & {*sealed[key]}) / len(plain[key]) for key in plain)
    engine.p95_ms = quantile(times, 0.95)
    console.print(f"{engine.name}: plain {engine.plain:.4f}, sealed {engine.sealed:.4f}, same {engine.same:.4f}")


def _recall(work: _Work, found: dict[tuple[str, str], list[str]]) -> float:
    shares = [
        len(relevant & {*found[patient.reference, question]}) / len(relevant)
        for patient in work.patients
        for question, relevant in patient.questions
    ]
    return statistics.fmean(shares)


def _document(patient: Planted) -> IngestedDocument:
    source = patient.texts[0].source.model_copy(update={"publisher": patient.reference})
    passages = tuple(PassageText(f"{patient.reference}/{one.id}", "", one.text) for one in patient.texts)
    return IngestedDocument(patient.reference, "note", source, passages=passages)


async def _forget(work: _Work, engine: Engine, open_sealed: Callable[[], Awaitable[PatientTexts]]) -> None:
    texts, replica = await open_sealed(), await open_sealed()
    try:
        for patient in work.patients[:FORGOTTEN]:
            await texts.forget(patient.reference)
        engine.forgotten.append(("another replica", await _readable(work, replica)))
    finally:
        await texts.close()
        await replica.close()


async def _opened_again(
    work: _Work, engine: Engine, open_sealed: Callable[[], Awaitable[PatientTexts]], where: str
) -> None:
    texts = await open_sealed()
    try:
        engine.forgotten.append((where, await _readable(work, texts)))
    finally:
        await texts.close()


async def _readable(work: _Work, texts: PatientTexts) -> str:
    """Say of how many of the forgotten, and of how many of the others, anything can be read."""
    read = {True: 0, False: 0}
    for number, patient in enumerate(work.patients):
        try:
            found = await texts.search(patient.reference, patient.questions[0][0], _AT, _TODAY)
        except IndexUnreadable:
            continue
        read[number < FORGOTTEN] += bool(found)
    return f"{read[True]} of {FORGOTTEN} forgotten, {read[False]} of {len(work.patients) - FORGOTTEN} others"


def _unencrypted(work: _Work, folder: Path) -> Path:
    folder.mkdir()
    with sqlite3.connect(folder / "plain.db") as plain:
        plain.execute("CREATE TABLE text (text TEXT, vector BLOB)")
        rows = [
            (text, row.astype(np.float16).tobytes()) for text, row in zip(work.sentences, work.vectors, strict=True)
        ]
        plain.executemany("INSERT INTO text VALUES (?, ?)", rows)
    plain.close()
    return folder


def _ports() -> tuple[int, int]:
    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(int(probe.getsockname()[1]))
    return ports[0], ports[1]


@contextmanager
def _openbao(scratch: Path) -> Iterator[RunningOpenBao]:
    run = scratch / "run"
    server = OpenBaoServer(scratch / "openbao", run, *_ports())
    with running_openbao(server, run / "agent.sock", _POLICIES / "vault", scratch / "openbao.log") as running:
        yield running


@contextmanager
def _node(scratch: Path) -> Iterator[RunningOpenSearch]:
    java_program()
    node = OpenSearchNode(scratch / "opensearch", assembled(_CHECKOUT / ".preceptor" / "cache"), *_ports())
    with running_opensearch(node, _POLICIES / "opensearch", scratch / "opensearch.log") as running:
        yield running
