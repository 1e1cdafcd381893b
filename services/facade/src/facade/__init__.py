"""The only surface an EHR can reach: it routes, authorises, gathers context and shapes FHIR."""
