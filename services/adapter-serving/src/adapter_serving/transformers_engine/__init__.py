"""The engine on torch, transformers and peft: the only package of this service that imports them."""
