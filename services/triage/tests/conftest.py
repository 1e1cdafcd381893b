"""The shared encoder, where `preceptor prepare` has made it, and requests to ask about."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from service_contracts.quantity import Quantity
from service_contracts.triage import MeasurementKind, TriageMeasurement, TriageRequest
from triage.assess import Served
from triage.complaints import Complaints
from triage.floor import Floor, load_floor
from triage.intake import Intake, read_intake
from triage.serving import open_model
from triage.settings import TriageSettings

# A busy machine makes any example late once.
settings.register_profile("triage", deadline=None)
settings.load_profile("triage")

ROOT = Path(__file__).parents[3]
ENCODER = ROOT / ".preceptor" / "cache" / "encoder"
SURVEY = ROOT.parent / "shared" / "data" / "triage.tar.xz"
UNITS = {
    "temperature": "Cel", "pulse": "/min", "respirations": "/min", "systolic": "mm[Hg]", "diastolic": "mm[Hg]",
    "oxygen-saturation": "%", "pain": "{score}",
}  # fmt: skip


def measured(**values: Any) -> tuple[TriageMeasurement, ...]:
    """Measurements by kind; a pair is a value with its unit."""
    found = []
    for name, value in values.items():
        kind = MeasurementKind(name.replace("_", "-"))
        number, unit = value if isinstance(value, tuple) else (value, UNITS[kind.value])
        found.append(TriageMeasurement(kind=kind, value=Quantity(value=number, unit=unit)))
    return tuple(found)


def request(*, years: float | None = 50, complaint: str | None = "chest pain", **more: Any) -> TriageRequest:
    """A patient of that age with that complaint; ``vitals`` are measurements by kind."""
    vitals = more.pop("vitals", {})
    return TriageRequest(
        age=None if years is None else Quantity(value=years, unit="a"),
        complaints=(complaint,) if complaint else (),
        measurements=measured(**vitals),
        **{"budget_ms": 5_000, **more},
    )


def intake(**more: Any) -> Intake:
    """The same, read."""
    return read_intake(request(**more), Complaints())


@pytest.fixture(scope="session")
def floor() -> Floor:
    return load_floor()


@pytest.fixture(scope="session")
def encoder_dir() -> Path:
    if not ENCODER.is_dir():
        pytest.skip("the shared encoder is not there: preceptor prepare makes it")
    return ENCODER


@pytest.fixture(scope="session")
def served(encoder_dir: Path, floor: Floor) -> Served:
    """The shipped model."""
    found = open_model(TriageSettings(encoder_dir=encoder_dir), floor)
    assert found is not None
    return found
