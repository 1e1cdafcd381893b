"""From a discharge to a document in the EHR: drafting, delivery and signing."""
