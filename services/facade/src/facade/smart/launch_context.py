"""What a launch is about, read from the EHR with the clinician's own token."""

from dataclasses import dataclass
from typing import Any

import httpx
from fhir_support.client import FhirAnswerInvalid, FhirClient, FhirRequestRefused, FhirServerUnavailable
from fhir_support.references import InvalidReference, resource_key
from service_runtime.request_id import REQUEST_ID_HEADER, current_request_id

from facade.ehr.registry import Ehr
from facade.smart.errors import ContextMissing, EhrRefused, EhrUnavailable
from facade.smart.launch_steps import SignedIn
from facade.smart.people import display_name, practitioner_name

__all__ = ["LaunchContext", "UserToken", "read_launch_context", "user_client"]


class UserToken:
    """A ``TokenSource`` that has one token and no other."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def token(self) -> str:
        """Return the token."""
        return self._token

    async def renew(self, refused: str) -> str:
        """Return the refused token again: there is none to replace it."""
        return refused


@dataclass(frozen=True)
class LaunchContext:
    """The names to show, where the granted scopes let us read them."""

    practitioner_name: str | None
    patient_name: str | None
    patient_birth_date: str | None
    patient_sex: str | None


def user_client(ehr: Ehr, http: httpx.AsyncClient, token: str) -> FhirClient:
    """Return a FHIR client that acts as the clinician; it sends the token to the EHR's FHIR base and nowhere else."""
    request_id = current_request_id()
    headers = {REQUEST_ID_HEADER: request_id} if request_id else {}
    return FhirClient(ehr.fhir_base, http, UserToken(token), retries=1, headers=headers)


async def read_launch_context(ehr: Ehr, client: FhirClient, signed_in: SignedIn, encounter: str) -> LaunchContext:
    """Read the stay and check that it is the patient's; raise ``LaunchRefused``.

    The stay must be readable: who may not read it in the EHR may not see its document here. Names are not needed
    to work and are left out where the granted scopes do not reach.
    """
    stay = await _read(client, encounter)
    if stay is None:
        raise ContextMissing("encounter-not-readable", "The EHR did not allow this launch to read the stay.")
    try:
        subject = resource_key(str(stay.get("subject", {}).get("reference")), ehr.fhir_base).reference
    except InvalidReference:
        subject = None
    if subject != signed_in.patient:
        raise ContextMissing("encounter-of-another-patient", "The EHR named a stay of another patient.")
    person = await _read(client, signed_in.patient) or {}
    clinician = await _read(client, signed_in.practitioner) or {}
    return LaunchContext(
        practitioner_name=practitioner_name(clinician),
        patient_name=display_name(person),
        patient_birth_date=person.get("birthDate"),
        patient_sex=person.get("gender"),
    )


async def _read(client: FhirClient, reference: str) -> dict[str, Any] | None:
    """Return a resource, or None where the clinician's token does not reach it."""
    try:
        return await client.read(reference)
    except FhirRequestRefused as error:
        if error.status in (401, 403, 404, 410):
            return None
        raise EhrRefused(f"read-http-{error.status}") from None
    except FhirServerUnavailable as error:
        raise EhrUnavailable(f"read-{error}") from None
    except FhirAnswerInvalid:
        raise EhrRefused("read-answer-invalid") from None
