"""Readers of the formats that evidence is published in, one module each."""
