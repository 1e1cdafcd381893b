"""Synthetic stays with the sentences that tell them to patients: what the adapter learns from and is measured on."""
