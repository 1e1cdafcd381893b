"""Drug labels, whatever format they came in: their sentences, the facts these state, the document they make."""
