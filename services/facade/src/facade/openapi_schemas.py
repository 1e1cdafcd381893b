"""JSON Schemas of the bodies that other systems send and get: as much of FHIR and CDS Hooks as tools need to try us."""

from typing import Any

from facade.cds_hooks.services import SERVICES
from facade.fhir.served import COMMON, SERVED

__all__ = ["BUNDLE", "CDS_REQUEST", "FEEDBACK", "FORM", "OUTCOME", "PARAMETERS", "RESOURCE", "SEARCH", "TEXT"]

Schema = dict[str, Any]

TEXT: Schema = {"type": "string", "maxLength": 200}
RESOURCE: Schema = {"type": "object", "required": ["resourceType"], "properties": {"resourceType": TEXT}}
_REFERENCE: Schema = {"type": "object", "properties": {"reference": TEXT}}
_VALUES: Schema = {
    "valueString": TEXT,
    "valueCode": TEXT,
    "valueUri": TEXT,
    "valueCanonical": TEXT,
    "valueBoolean": {"type": "boolean"},
    "valueReference": _REFERENCE,
    "resource": RESOURCE,
}
_NAMED: Schema = {"type": "object", "required": ["name"], "properties": {"name": TEXT, **_VALUES}}
_PART: Schema = {"type": "array", "items": _NAMED}
PARAMETERS: Schema = {
    "type": "object",
    "required": ["resourceType"],
    "properties": {
        "resourceType": {"const": "Parameters"},
        "parameter": {
            "type": "array",
            "items": {"type": "object", "required": ["name"], "properties": {**_NAMED["properties"], "part": _PART}},
        },
    },
}
_ENTRY: Schema = {
    "type": "object",
    "properties": {
        "fullUrl": TEXT,
        "resource": {"anyOf": [PARAMETERS, RESOURCE]},
        "request": {"type": "object", "properties": {"method": {"enum": ["GET", "POST"]}, "url": TEXT}},
    },
}
BUNDLE: Schema = {
    "type": "object",
    "required": ["resourceType", "type"],
    "properties": {
        "resourceType": {"const": "Bundle"},
        "type": {"enum": ["history", "batch", "transaction", "collection"]},
        "entry": {"type": "array", "items": _ENTRY},
    },
}
CDS_REQUEST: Schema = {
    "type": "object",
    "required": ["hook", "hookInstance", "context"],
    "properties": {
        "hook": {"enum": sorted({one.hook for one in SERVICES.values()})},
        "hookInstance": {"type": "string", "format": "uuid"},
        "fhirServer": TEXT,
        "fhirAuthorization": {"type": "object", "properties": {"access_token": TEXT, "scope": TEXT}},
        "context": {
            "type": "object",
            "properties": {
                **dict.fromkeys(("userId", "patientId", "encounterId"), TEXT),
                "selections": {"type": "array", "items": TEXT},
                "draftOrders": BUNDLE,
            },
        },
        "prefetch": {"type": "object", "additionalProperties": RESOURCE},
    },
}
FEEDBACK: Schema = {
    "type": "object",
    "required": ["feedback"],
    "properties": {
        "feedback": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["card", "outcome"],
                "properties": {
                    "card": {"type": "string", "format": "uuid"},
                    "outcome": {"enum": ["accepted", "overridden"]},
                    "outcomeTimestamp": {"type": "string", "format": "date-time"},
                    "acceptedSuggestions": {"type": "array", "items": {"type": "object", "properties": {"id": TEXT}}},
                    "overrideReason": {"type": "object"},
                },
            },
        }
    },
}
_CODES = sorted({code for one in SERVED.values() for code in one.parameters} | set(COMMON))
_RESULT = ("_count", "_elements", "_include", "_revinclude", "_sort", "_summary", "_total")
SEARCH: Schema = dict.fromkeys([*_CODES, *_RESULT], TEXT)
FORM: Schema = {"type": "object", "properties": SEARCH}
OUTCOME: Schema = {
    "type": "object",
    "required": ["resourceType", "issue"],
    "properties": {"resourceType": {"const": "OperationOutcome"}, "issue": {"type": "array", "minItems": 1}},
}
