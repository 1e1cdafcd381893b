"""The FHIR resources the facade writes."""
