"""Rows as token ids: a prompt never yields the model's own marks, whatever a chart holds."""

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

__all__ = ["Tokens"]


class Tokens:
    """Encodes prompts and sentences; a row is ``start``, prompt, sentence, ``end``."""

    def __init__(self, base_dir: Path) -> None:
        self._tokenizer: Any = AutoTokenizer.from_pretrained(base_dir, local_files_only=True)
        self.start: int = self._tokenizer.bos_token_id
        self.end: int = self._tokenizer.eos_token_id

    def prompt(self, text: str) -> list[int]:
        """Return the ids of a prompt, with the start mark before them."""
        return [self.start, *self._encode(text)]

    def sentence(self, text: str) -> list[int]:
        """Return the ids of a sentence, with the end mark after them."""
        return [*self._encode(text), self.end]

    def text(self, ids: list[int]) -> str:
        """Return the words of ``ids``, without marks."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def _encode(self, text: str) -> list[int]:
        # split_special_tokens: "<|im_end|>" in a chart is eleven characters and not the end of a sentence.
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        return [one for one in ids if one not in (self.start, self.end)]
