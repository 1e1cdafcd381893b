"""Proposes an acuity level for a patient who has just arrived, above a published safety floor."""
