"""The services of discovery, as data: what each is called for and which data it asks the EHR to send along."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from facade.gather.chart import OBSERVATION_CODES

__all__ = ["CORE", "ORDER_PREFETCH", "SERVICES", "CdsService", "discovery"]

_LOINC = ",".join(f"http://loinc.org|{code}" for code in OBSERVATION_CODES)
_PATIENT = "{{context.patientId}}"

ORDER_PREFETCH: Mapping[str, str] = MappingProxyType(
    {
        "patient": f"Patient/{_PATIENT}",
        "medications": f"MedicationRequest?patient={_PATIENT}&status=active",
        "allergies": f"AllergyIntolerance?patient={_PATIENT}",
        "conditions": f"Condition?patient={_PATIENT}&clinical-status=active",
        "observations": f"Observation?patient={_PATIENT}&code={_LOINC}&_sort=-date&_count=50",
        "coverage": f"Coverage?patient={_PATIENT}&status=active",
    }
)
"""What orders are checked against, in the subset of search that CDS Hooks recommends for prefetch."""

CORE = frozenset({"patient", "medications", "allergies"})
"""Without these no order is checked at all (412); without the others a part of the checks is said not to be done."""


@dataclass(frozen=True)
class CdsService:
    """One service; ``id`` is the end of its address."""

    id: str
    hook: str
    title: str
    description: str
    prefetch: Mapping[str, str] = field(default_factory=dict)
    usage_requirements: str | None = None

    def described(self) -> dict[str, Any]:
        """Return the service as discovery says it, without empty elements."""
        optional = {"prefetch": dict(self.prefetch), "usageRequirements": self.usage_requirements}
        return {
            "hook": self.hook,
            "title": self.title,
            "description": self.description,
            "id": self.id,
            **{name: value for name, value in optional.items() if value},
        }


_NEEDS = (
    "Send the prefetch, or fhirServer with fhirAuthorization that may read the same; fhirServer must be the FHIR base "
    "that is registered. Each call carries a JWT of a registered CDS client (ES384 or RS384)."
)
_SIGNED = "Each call carries a JWT of a registered CDS client (ES384 or RS384). No patient data need be sent along."

SERVICES: Mapping[str, CdsService] = MappingProxyType(
    {
        one.id: one
        for one in (
            CdsService(
                "order-sign",
                "order-sign",
                "Check medication orders before they are signed",
                "Compares draft medication orders with the patient's medications, allergies, kidney function and drug "
                "plan: interactions, dose limits, duplicate therapy. Each card quotes its source; what could not be "
                "checked is said.",
                ORDER_PREFETCH,
                _NEEDS,
            ),
            CdsService(
                "order-select",
                "order-select",
                "Check a medication order when it is selected",
                "Compares the selected medication orders as order-sign does, as soon as they are selected.",
                ORDER_PREFETCH,
                _NEEDS,
            ),
            CdsService(
                "patient-view",
                "patient-view",
                "Open findings in discharge instructions",
                "Tells which drafted discharge instructions of this patient have findings that nobody has decided on, "
                "and which have waited too long for review.",
                usage_requirements=_SIGNED,
            ),
            CdsService(
                "encounter-discharge",
                "encounter-discharge",
                "Findings in the discharge instructions of this stay",
                "Tells what disagrees with the evidence in the drafted discharge instructions of the encounter, and "
                "what of them was not checked.",
                usage_requirements=_SIGNED,
            ),
        )
    }
)


def discovery() -> dict[str, Any]:
    """Return the body of ``GET /cds-services``."""
    return {"services": [one.described() for one in SERVICES.values()]}
