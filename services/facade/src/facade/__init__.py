"""The only surface an EHR can reach: SMART, FHIR, Subscriptions and the clinician's page."""
