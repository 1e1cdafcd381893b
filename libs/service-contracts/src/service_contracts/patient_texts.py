"""Texts about one patient: given to retrieval to keep sealed, searched inside that patient, and forgotten."""

from datetime import date
from typing import Annotated

from pydantic import Field

from service_contracts.evidence import Source
from service_contracts.model import Contract

__all__ = [
    "ForgetPatient",
    "KeepPatientTexts",
    "PatientForgotten",
    "PatientPassageQuery",
    "PatientReference",
    "PatientText",
    "PatientTextsKept",
]

PatientReference = Annotated[str, Field(max_length=512, pattern=r"^https?://\S+/Patient/[A-Za-z0-9.-]{1,64}$")]
"""The absolute FHIR reference: patients of two EHRs may have the same id."""


class PatientText(Contract):
    """A span of a patient's chart; ``source`` says which document it stands in, ``id`` is the patient's own for it."""

    id: str = Field(min_length=1, max_length=256)
    source: Source
    text: str = Field(min_length=1, max_length=20_000)


class KeepPatientTexts(Contract):
    """Texts to be kept; one whose id is kept already takes the place of the former."""

    patient: PatientReference
    texts: tuple[PatientText, ...] = Field(min_length=1, max_length=64)
    budget_ms: int = Field(gt=0)


class PatientTextsKept(Contract):
    """How many texts were kept: all that were given."""

    count: int


class PatientPassageQuery(Contract):
    """Free-text search in what is kept of one patient and in force on ``as_of`` (today when None)."""

    patient: PatientReference
    text: str = Field(min_length=1, max_length=2_000)
    limit: int = Field(default=5, ge=1, le=50)
    as_of: date | None = None
    budget_ms: int = Field(gt=0)


class ForgetPatient(Contract):
    """Whose key is to be destroyed, and with it all that is kept of that patient."""

    patient: PatientReference
    budget_ms: int = Field(gt=0)


class PatientForgotten(Contract):
    """The key is destroyed. ``count`` is how many texts were deleted after it; 0 where nothing was kept."""

    count: int
