"""Finds current, versioned, citable evidence."""
