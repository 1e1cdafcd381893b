"""CDS Hooks 2.0: ``/cds-services`` and what an EHR is answered there."""
