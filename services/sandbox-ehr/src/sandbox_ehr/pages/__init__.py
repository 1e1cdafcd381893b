"""The EHR's own pages, rendered on the server."""
