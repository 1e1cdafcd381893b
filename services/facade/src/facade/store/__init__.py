"""What the facade keeps: inbox, outbox, documents and decisions, with patient data sealed."""
