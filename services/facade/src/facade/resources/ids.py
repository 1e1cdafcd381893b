"""The deterministic ids of everything the facade keeps and writes."""

from fhir_support.identifiers import deterministic_id

__all__ = ["document_id", "effect_id", "event_group", "event_id", "patient_scope", "resource_id"]


def event_id(ehr_id: str, dedupe_key: str) -> str:
    """Return the id of a notified event; duplicates have the same."""
    return deterministic_id("event", ehr_id, dedupe_key)


def event_group(ehr_id: str, about: str) -> str:
    """Return the key of all events at an EHR that are about one thing: an encounter, or what a subscription missed."""
    return deterministic_id("event-group", ehr_id, about)


def document_id(ehr_id: str, encounter: str) -> str:
    """Return the id of the document of an encounter. It names the encounter without showing its reference."""
    return deterministic_id("document", ehr_id, encounter)


def effect_id(document: str, kind: str) -> str:
    """Return the id of one write-back for a document."""
    return deterministic_id("effect", document, kind)


def patient_scope(ehr_id: str, patient: str) -> str:
    """Return the encryption scope of a patient: data keys of one patient never open another's data."""
    return deterministic_id("patient", ehr_id, patient)


def resource_id(document: str, name: str) -> str:
    """Return the UUID that identifies a written resource, for example ``composition`` or ``issue:FLAG-ID``."""
    return deterministic_id("resource", document, name)
