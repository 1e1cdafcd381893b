"""Watches over what models propose: compared with what people decided and what came of it."""
