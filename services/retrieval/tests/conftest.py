"""Indexes on real files, facts to put into them, and where the open data lies."""

import tarfile
import uuid
import warnings
from collections.abc import Awaitable, Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from preceptor.opensearch.node import OpenSearchNode
from preceptor.opensearch.running import RunningOpenSearch
from retrieval.documents import DrugName, IngestedDocument, PassageText
from retrieval.embedded_index import open_embedded_index
from retrieval.index import Index
from retrieval.opensearch.cluster import Cluster, connect
from retrieval.opensearch_index import open_opensearch_index
from service_contracts.evidence import (
    AllergyClass,
    DoseLimit,
    EvidenceQuery,
    Fact,
    FormularyStatus,
    Interaction,
    Severity,
    Source,
    Subject,
    SubjectKind,
)
from service_contracts.quantity import Coding, Quantity
from service_runtime.secrets import MemorySecretStore

SHARED_DATA = Path(__file__).parents[3].parent / "shared" / "data"


@pytest.fixture
def secrets():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MemorySecretStore()


class Embedded:
    """Indexes in folders."""

    name = "embedded"

    def __init__(self, folder: Path, secrets: MemorySecretStore) -> None:
        self._folder = folder
        self._secrets = secrets

    async def open(self, which: str = "index", **more) -> Index:
        return await open_embedded_index(self._folder / which, self._secrets, **more)


class OpenSearch:
    """Indexes of tenants in one cluster."""

    name = "opensearch"

    def __init__(self, running: RunningOpenSearch) -> None:
        self._running = running
        self._test = uuid.uuid4().hex

    async def open(self, which: str = "index", **more) -> Index:
        return await open_opensearch_index(self.cluster(), f"{which}_{self._test}", **more)

    def cluster(self, client: str = "retrieval", **more) -> Cluster:
        return _connect_node(self._running.node, client, **more)


@pytest.fixture
def connect_node(opensearch):
    """Connect to the running node, with the certificate of a client."""
    return partial(_connect_node, opensearch.node)


def _connect_node(node: OpenSearchNode, client: str = "retrieval", **more) -> Cluster:
    keys = node.clients_dir
    return connect(node.address, node.authority_file, keys / f"{client}.pem", keys / f"{client}-key.pem", **more)


@pytest.fixture
def engine(request, tmp_path, secrets):
    """The embedded engine, or the one that a test names by ``parametrize(..., indirect=True)``."""
    if getattr(request, "param", "embedded") == "opensearch":
        return OpenSearch(request.getfixturevalue("opensearch"))
    return Embedded(tmp_path, secrets)


@pytest.fixture
async def open_index(engine):
    """Open an index of this test, as often as wanted: it is the same one each time, as from another process."""
    opened: list[Index] = []

    async def open_again(which: str = "index", **more) -> Index:
        index = await engine.open(which, **more)
        opened.append(index)
        return index

    yield open_again
    for index in opened:
        await index.close()


@pytest.fixture
async def index(open_index: Callable[[], Awaitable[Index]]):
    return await open_index()


class TopicEncoder:
    """Knows which words mean the same: enough to tell meaning from letters."""

    _TOPICS: ClassVar = {"kidney": 0, "renal": 0, "heart": 1, "cardiac": 1, "sleep": 2}

    def __init__(self, name: str = "topics", dimension: int = 4) -> None:
        self.name = name
        self._dimension = dimension

    def encode(self, texts):
        rows = np.full((len(texts), self._dimension), 0.01, np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().replace(",", " ").split():
                row[self._TOPICS.get(word, 3)] += 1 if word in self._TOPICS else 0.1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def topics():
    return TopicEncoder


class Make:
    """Short ways to say what a test is about."""

    @staticmethod
    def source(version="1", **dates) -> Source:
        return Source(
            title="A label", publisher="A maker", identifier="set-1", version=version, section="Dosage", **dates
        )

    @classmethod
    def document(cls, key="label/1", *, kind="label", facts=(), passages=(), names=(), version="1", **dates):
        source = cls.source(version, **dates)
        return IngestedDocument(
            key,
            kind,
            source,
            tuple(fact.model_copy(update={"source": source}) for fact in facts),
            tuple(PassageText(f"{key}#{n}", "Dosage", text) for n, text in enumerate(passages)),
            tuple(DrugName(*name) for name in names),
        )

    @classmethod
    def fact(cls, fact_id, body, statement="It is written.") -> Fact:
        return Fact(id=fact_id, body=body, statement=statement, verbatim=True, source=cls.source())

    @classmethod
    def dose(cls, ingredient="metformin", mg=2550.0, fact_id=None) -> Fact:
        limit = DoseLimit(ingredient=ingredient, max_daily=Quantity(value=mg, unit="mg"))
        return cls.fact(fact_id or f"dose/{ingredient}", limit)

    @classmethod
    def interaction(cls, a, b, severity=Severity.HIGH) -> Fact:
        return cls.fact(f"interaction/{a}/{b}", Interaction(a=a, b=b, severity=severity, effect="bleeding"))

    @classmethod
    def allergy(cls, name, *ingredients, cross=()) -> Fact:
        body = AllergyClass(name=name, ingredients=ingredients, cross_reactive=cross)
        return cls.fact(f"allergy/{name}", body)

    @classmethod
    def formulary(cls, plan, drug, rxcui=None, **flags) -> Fact:
        return cls.fact(
            f"formulary/{plan}/{drug}", FormularyStatus(plan=plan, drug=drug, rxcui=rxcui, covered=True, **flags)
        )

    @staticmethod
    def subject(text, kind=SubjectKind.DRUG, **codes) -> Subject:
        return Subject(kind=kind, text=text, codes=tuple(Coding(system=s, code=c) for s, c in codes.get("codes", ())))

    @staticmethod
    def query(*subjects, as_of=date(2026, 11, 1), plan=None) -> EvidenceQuery:
        wanted = tuple(Subject(kind=SubjectKind.DRUG, text=one) if isinstance(one, str) else one for one in subjects)
        return EvidenceQuery(subjects=wanted, as_of=as_of, plan=plan, budget_ms=1000)


@pytest.fixture
def make():
    return Make


@pytest.fixture(scope="session")
def open_data(tmp_path_factory):
    """Unpack an archive of the open data and return its folder; the test is skipped where there is none."""
    unpacked: dict[str, Path] = {}

    def unpack(name: str) -> Path:
        archive = SHARED_DATA / f"{name}.tar.xz"
        if not archive.exists():
            pytest.skip(f"the open data is not here: {archive.name}")
        if name not in unpacked:
            folder = tmp_path_factory.mktemp(name)
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data")
            unpacked[name] = folder / name
        return unpacked[name]

    return unpack
