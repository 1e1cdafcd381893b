"""FHIR Subscriptions: the receiver of notifications and the keeper of our own Subscription."""
