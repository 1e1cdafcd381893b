"""FHIR R4 at the edges of Preceptor: resources, errors, references, identifiers and the HTTP client."""
