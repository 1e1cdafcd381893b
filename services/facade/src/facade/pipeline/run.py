"""A drafting in progress, which any number may watch from its first sentence."""

import asyncio
from collections.abc import AsyncIterator

from service_contracts.reconciliation import CheckedSentence

from facade.store.documents import StoredDocument

__all__ = ["Run"]


class Run:
    """One drafting. ``is_asked_for`` says that a clinician waits for it."""

    task: asyncio.Task[StoredDocument]
    is_asked_for = False

    def __init__(self) -> None:
        self._sentences: list[CheckedSentence] = []
        self._changed = asyncio.Event()

    def add(self, sentence: CheckedSentence) -> None:
        """Keep a sentence and wake those who watch."""
        self._sentences.append(sentence)
        self.wake()

    def wake(self) -> None:
        """Wake those who watch."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def sentences(self) -> AsyncIterator[CheckedSentence]:
        """Yield every sentence, those of the past first, until the drafting has ended."""
        seen = 0
        while True:
            changed = self._changed
            while seen < len(self._sentences):
                yield self._sentences[seen]
                seen += 1
            if self.task.done():
                return
            await changed.wait()
