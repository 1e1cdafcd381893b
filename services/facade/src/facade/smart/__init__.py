"""SMART App Launch: how a clinician comes from an EHR to a session of ours."""
