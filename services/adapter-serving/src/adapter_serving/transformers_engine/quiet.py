"""Keeps two libraries from reporting each other to whoever runs us."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from transformers import logging

__all__ = ["quiet"]


@contextmanager
def quiet() -> Iterator[None]:
    """Hide progress bars, and the warning that peft 0.21 calls an attribute that transformers 5.24 renamed."""
    logging.disable_progress_bar()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
        yield
