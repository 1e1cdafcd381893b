"""The EHRs the facade works with and how it reads and writes them with its own identity."""
