"""FHIR R4 resources, errors, references and identifiers for Preceptor services."""
