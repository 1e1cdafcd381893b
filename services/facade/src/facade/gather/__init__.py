"""From the FHIR resources of one stay to a chart without FHIR."""
