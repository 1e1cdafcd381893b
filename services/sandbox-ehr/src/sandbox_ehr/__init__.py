"""A strict SMART on FHIR EHR with synthetic patients, for development and demonstration."""
