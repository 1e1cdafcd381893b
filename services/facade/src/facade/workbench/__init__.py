"""The clinician's page: the draft with its flags, the decisions on them, and the signature."""
