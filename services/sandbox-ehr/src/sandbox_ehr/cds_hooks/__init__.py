"""The EHR as a client of CDS Hooks 2.0 services: orders are checked before they are signed."""
