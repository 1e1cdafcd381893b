"""The demonstration: discharges one synthetic patient and shows what the EHR then holds."""
