"""The FHIR R4 endpoint: a complete server behind a front that enforces tokens and scopes."""
