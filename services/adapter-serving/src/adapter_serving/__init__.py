"""Drafts clinical documents with a base model and LoRA adapters."""
