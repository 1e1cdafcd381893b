"""What a label says of doses goes the whole way: it is ingested, found for its own product, and flags the draft."""

import json
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest
from reconciliation.check import Checked, check_document
from reconciliation.document import Sentence
from reconciliation.knowledge import Knowledge
from reconciliation.queries import chart_query
from retrieval.embedded_index import open_embedded_index
from retrieval.importers.openfda import OpenFdaLabels
from retrieval.index import Index
from retrieval.ingest import ingest
from service_contracts.chart import Chart, ChartMedication, ChartObservation, ChartReference
from service_contracts.drafts import SectionKey
from service_contracts.quantity import Coding, Quantity
from service_contracts.reconciliation import ClaimKind
from service_runtime.secrets import MemorySecretStore

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
LOINC = "http://loinc.org"
OURS, OTHER = "900001", "900002"
ROWS = (("Creatinine Clearance (mL/min)", "Dose"), ("30 to 50", "10 mg twice daily"), ("less than 30", "Do not use"))
TEXT = " ".join(
    [
        "2.1 Dosage Take 10 mg twice daily. The maximum daily dose is 40 mg. 2.2 Renal Impairment",
        *(" ".join(row) for row in ROWS),
        "2.3 Severe Disease In patients with eGFR below 20 mL/min/1.73 m 2,",
        "the recommended starting dose is 5 mg once daily.",
        "The dose may be raised to a maximum of 15 mg once daily.",
    ]
)


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[Index]:
    cells = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in ROWS)
    label = {
        "set_id": "set-1",
        "version": "3",
        "openfda": {
            "spl_set_id": ["set-1"], "substance_name": ["TESTADRINE"], "generic_name": ["TESTADRINE"],
            "brand_name": ["TESTOR"], "rxcui": [OURS], "route": ["ORAL"],
        },
        "dosage_and_administration": [TEXT],
        "dosage_and_administration_table": [f"<table><tbody>{cells}</tbody></table>"],
    }  # fmt: skip
    path = tmp_path / "label.jsonl"
    path.write_text(json.dumps(label))
    with pytest.warns(UserWarning, match="memory only"):
        secrets = MemorySecretStore()
    opened = await open_embedded_index(tmp_path / "index", secrets)
    report = await ingest(opened, OpenFdaLabels(), path)
    assert report.refused == []
    await opened.refresh()
    yield opened
    await opened.close()


async def checked(index: Index, mg: float, *, product: str = OURS, **kidneys: float) -> Checked:
    of = Chart(
        patient=ChartReference(reference="Patient/p"),
        encounter=ChartReference(reference="Encounter/e"),
        age_years=60,
        sex="male",
        as_of=date(2026, 12, 1),
        medications=(
            ChartMedication(
                source=ChartReference(reference="MedicationRequest/m", version="1"),
                name="testadrine",
                codes=(Coding(system=RXNORM, code=product),),
                dose=Quantity(value=mg, unit="mg"),
                times_per_day=2,
                route="oral",
            ),
        ),
        observations=tuple(_seen(name, value) for name, value in kidneys.items()),
    )
    answer = await index.evidence(chart_query(of, 1_000))
    line = f"Take testadrine {mg:g} mg by mouth twice a day."
    return check_document(of, [Sentence(SectionKey.MEDICATIONS, 0, line)], Knowledge((answer,)))


def _seen(name: str, value: float) -> ChartObservation:
    loinc, unit = {
        "egfr": ("98979-8", "mL/min/1.73m2"), "creatinine": ("2160-0", "mg/dL"), "weight": ("29463-7", "kg"),
    }[name]  # fmt: skip
    return ChartObservation(
        source=ChartReference(reference=f"Observation/{name}"),
        name=name,
        codes=(Coding(system=LOINC, code=loinc),),
        value=Quantity(value=value, unit=unit),
    )


def flagged(found: Checked) -> dict[ClaimKind, str]:
    """The flags on dose and kidneys, each with the sentence of the label that it cites."""
    facts = {fact.id: fact for fact in found.facts}
    flags = [flag for flag in found.flags if flag.kind in (ClaimKind.DOSE, ClaimKind.RENAL)]
    for flag in flags:
        fact = facts[flag.fact_id]
        assert fact.statement in TEXT, "a flag cites the label word for word"
        assert (fact.verbatim, fact.source.version, fact.source.section) == (True, "3", "dosage and administration")
    return {flag.kind: facts[flag.fact_id].statement for flag in flags}


@pytest.mark.parametrize(
    ("mg", "kidneys", "kinds"),
    [
        (20, {}, set()),
        (25, {}, {ClaimKind.DOSE}),
        # Cockcroft-Gault of a man of 60: 80 * 72 / (72 * creatinine), so 40 mL/min and 20 mL/min.
        (10, {"creatinine": 2.0, "weight": 72}, set()),
        (15, {"creatinine": 2.0, "weight": 72}, {ClaimKind.RENAL}),
        (5, {"creatinine": 4.0, "weight": 72}, {ClaimKind.RENAL}),
        (5, {"egfr": 15}, set()),
        (10, {"egfr": 15}, {ClaimKind.RENAL}),
        (25, {"egfr": 15}, {ClaimKind.DOSE, ClaimKind.RENAL}),
    ],
)
async def test_a_draft_above_what_the_label_states_is_flagged_with_its_words(index, mg, kidneys, kinds):
    assert set(flagged(await checked(index, mg, **kidneys))) == kinds


async def test_the_flag_cites_the_row_of_the_table_or_both_sentences(index):
    row = flagged(await checked(index, 15, creatinine=2.0, weight=72))[ClaimKind.RENAL]
    assert row == "Creatinine Clearance (mL/min) Dose 30 to 50 10 mg twice daily"
    both = flagged(await checked(index, 10, egfr=15))[ClaimKind.RENAL]
    assert "eGFR below 20" in both and both.endswith("a maximum of 15 mg once daily.")


async def test_another_product_of_the_ingredient_is_not_held_to_the_limits_of_this_one(index):
    assert flagged(await checked(index, 25, product=OTHER, creatinine=4.0, weight=72, egfr=15)) == {}
