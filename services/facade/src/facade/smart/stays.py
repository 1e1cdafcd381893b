"""The hospital stays of a patient, to choose from when the EHR names a patient and no stay."""

from typing import Any

from fhir_support.client import FhirAnswerInvalid, FhirClient, FhirRequestRefused, FhirServerUnavailable

from facade.smart.errors import ContextMissing, EhrRefused, EhrUnavailable

__all__ = ["hospital_stays"]

# v3 ActCode: admitted to a bed. Discharge instructions are written for these.
_HOSPITAL = frozenset({"IMP", "ACUTE", "NONAC", "OBSENC", "SS"})
_SHOWN_STATUS = {"in-progress": "in progress", "finished": "finished", "onleave": "on leave"}
_AT_MOST = 20


async def hospital_stays(client: FhirClient, patient: str) -> tuple[tuple[str, str], ...]:
    """Return ``Encounter/id`` and words for each stay, the newest first; raise ``LaunchRefused``."""
    try:
        found = await client.search("Encounter", [("patient", patient.removeprefix("Patient/"))])
    except FhirRequestRefused as error:
        raise ContextMissing(f"stays-http-{error.status}", "The EHR did not allow the stays to be listed.") from None
    except FhirServerUnavailable:
        raise EhrUnavailable("stays-unavailable") from None
    except FhirAnswerInvalid:
        raise EhrRefused("stays-invalid") from None
    stays = [
        one
        for one in found
        if one.get("resourceType") == "Encounter"
        and one.get("class", {}).get("code") in _HOSPITAL
        and one.get("status") in _SHOWN_STATUS
        and one.get("subject", {}).get("reference") == patient
    ]
    stays.sort(key=_start, reverse=True)
    return tuple((f"Encounter/{one['id']}", _words(one)) for one in stays[:_AT_MOST])


def _start(encounter: dict[str, Any]) -> str:
    return str(encounter.get("period", {}).get("start", ""))


def _words(encounter: dict[str, Any]) -> str:
    start, end = _start(encounter)[:10], str(encounter.get("period", {}).get("end", ""))[:10]
    reasons = [one["text"] for one in encounter.get("reasonCode", []) if isinstance(one.get("text"), str)]
    when = f"{start or 'begin unknown'} to {end or 'now'}"
    return ", ".join([when, _SHOWN_STATUS[encounter["status"]], *reasons[:1]])
