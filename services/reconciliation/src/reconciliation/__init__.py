"""Compares every checkable claim of a draft with evidence and flags what disagrees."""
