"""One module per kind of check; each reads a case and records claims and flags."""
