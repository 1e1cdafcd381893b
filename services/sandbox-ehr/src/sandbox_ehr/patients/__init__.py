"""The synthetic patients and their stays."""
