"""Whose a stay or another resource of the EHR is, and whether the caller's scopes reach that patient.

The EHR is read with our own access, which reaches every patient: the caller's own is decided here, before anything of
the chart is used. A patient beyond it is not found, as one that does not exist.
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Any

from fhir_support.client import FhirAnswerInvalid, FhirClientError, FhirNotFound, FhirServerUnavailable
from fhir_support.errors import NotFound, ServiceUnavailable, Unprocessable
from service_contracts.chart import Chart

from facade.ehr.connections import EhrConnections
from facade.fhir.access import Access
from facade.gather.reads import gather_chart
from facade.operations.parameters import Given

__all__ = ["OfPatient", "Stays"]

_ID = re.compile(r"[A-Za-z0-9.-]{1,64}", re.ASCII)
_NONE = "There is no such resource for this token."


@dataclass(frozen=True)
class OfPatient:
    """A resource of the EHR (``reference`` is relative to it) and the patient (``Patient/ID``) it is about."""

    reference: str
    patient: str
    resource: dict[str, Any]


class Stays:
    """Reads from the EHR what an operation is about."""

    def __init__(self, connections: EhrConnections) -> None:
        self._connections = connections

    async def read(
        self, access: Access, given: Given, kind: str, holder: str, scopes: tuple[tuple[str, str], ...]
    ) -> OfPatient:
        """Return the resource of type ``kind`` that ``given`` refers to; ``holder`` is its element for the patient.

        Raises ``InvalidParameters``, ``NotFound`` (also when ``scopes`` do not reach its patient), and what
        ``_failed`` makes of the EHR's answers.
        """
        reference = _reference(access, given, kind)
        try:
            resource = await self._connections.client(access.ehr_id).read(reference)
        except FhirClientError as error:
            raise _failed(error) from None
        patient = access.home.patient((resource.get(holder) or {}).get("reference"))
        if patient is None:
            raise Unprocessable("The resource names no patient of its server.")
        for letter, resource_type in scopes:
            if not any(limit.patient in (None, patient) for limit in access.limits(letter, resource_type)):
                raise NotFound(_NONE)
        return OfPatient(reference, patient, resource)

    async def chart(self, access: Access, encounter: str, as_of: date) -> Chart:
        """Return the chart of a stay; a part that cannot be read is never taken for an empty one."""
        try:
            return await gather_chart(self._connections.client(access.ehr_id), encounter, as_of)
        except FhirClientError as error:
            raise _failed(error) from None
        except (ValueError, KeyError, TypeError, AttributeError):
            # What an EHR sends can be wrong in ways no table lists; the error's text would repeat it.
            raise Unprocessable("The chart cannot be understood.") from None


def _reference(access: Access, given: Given, kind: str) -> str:
    literal = given.value.get("reference") if isinstance(given.value, dict) else None
    canonical = access.home.canonical(literal) if isinstance(literal, str) else ""
    named, _, identifier = canonical.partition("/")
    if named != kind or not _ID.fullmatch(identifier):
        raise given.fault(f"A literal reference to one {kind} of the EHR is needed.")
    return canonical


def _failed(error: FhirClientError) -> NotFound | ServiceUnavailable | Unprocessable:
    if isinstance(error, FhirNotFound):
        return NotFound(_NONE)
    if isinstance(error, FhirServerUnavailable):
        return ServiceUnavailable("The EHR does not answer.")
    if isinstance(error, FhirAnswerInvalid):
        return Unprocessable("The answer of the EHR cannot be used.")
    return Unprocessable("The EHR does not let this be read.")
