"""Settings, logging, secrets, encryption and deadlines shared by Preceptor services."""
