"""Search parameters of R4 that the embedded FHIR server lacks and written-back documents need."""

from typing import Any

__all__ = ["ADDED_SEARCH_PARAMETERS", "add_search_parameters"]

# Type -> parameter -> (kind, element paths, target type). Names and paths are those of the R4 definitions.
ADDED_SEARCH_PARAMETERS: dict[str, dict[str, tuple[str, tuple[str, ...], str | None]]] = {
    "Composition": {
        "identifier": ("token", ("identifier",), None),
        "status": ("token", ("status",), None),
        "type": ("token", ("type",), None),
        "category": ("token", ("category",), None),
        "title": ("string", ("title",), None),
        "date": ("date", ("date",), None),
        "subject": ("reference", ("subject",), None),
        "patient": ("reference", ("subject",), "Patient"),
        "encounter": ("reference", ("encounter",), None),
        "author": ("reference", ("author",), None),
        "attester": ("reference", ("attester.party",), None),
        "entry": ("reference", ("section.entry",), None),
    },
    "DetectedIssue": {
        "identifier": ("token", ("identifier",), None),
        "code": ("token", ("code",), None),
        "identified": ("date", ("identifiedDateTime", "identifiedPeriod"), None),
        "patient": ("reference", ("patient",), "Patient"),
        "author": ("reference", ("author",), None),
        "implicated": ("reference", ("implicated",), None),
    },
    "RiskAssessment": {
        "identifier": ("token", ("identifier",), None),
        "date": ("date", ("occurrenceDateTime", "occurrencePeriod"), None),
        "subject": ("reference", ("subject",), None),
        "patient": ("reference", ("subject",), "Patient"),
        "encounter": ("reference", ("encounter",), None),
        "condition": ("reference", ("condition",), None),
        "performer": ("reference", ("performer",), None),
    },
    "QuestionnaireResponse": {
        "identifier": ("token", ("identifier",), None),
        "status": ("token", ("status",), None),
        "authored": ("date", ("authored",), None),
        "subject": ("reference", ("subject",), None),
        "patient": ("reference", ("subject",), "Patient"),
        "encounter": ("reference", ("encounter",), None),
        "author": ("reference", ("author",), None),
    },
    "List": {
        "identifier": ("token", ("identifier",), None),
        "status": ("token", ("status",), None),
        "code": ("token", ("code",), None),
        "date": ("date", ("date",), None),
        "subject": ("reference", ("subject",), None),
        "patient": ("reference", ("subject",), "Patient"),
        "encounter": ("reference", ("encounter",), None),
        "item": ("reference", ("entry.item",), None),
    },
}


def add_search_parameters(table: dict[str, Any], make: Any) -> None:
    """Add what is missing to the server's ``table``; ``make(name, kind, paths, target)`` builds one entry."""
    for resource_type, parameters in ADDED_SEARCH_PARAMETERS.items():
        known = table.setdefault(resource_type, {})
        for name, (kind, paths, target) in parameters.items():
            known.setdefault(name, make(name, kind, paths, target))
