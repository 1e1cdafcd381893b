"""Vectors of passages: made by a command, used by a replica when there are any, so that nothing waits for a model."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from retrieval.embedded_index import EmbeddedIndex
from retrieval.passage_search import Encoder

__all__ = ["embed", "find_by_meaning", "load_encoder"]

_BATCH = 32


def load_encoder(folder: Path) -> Encoder:
    """Load the encoder; importing what it needs takes seconds, which is why nothing else here does."""
    from retrieval.transformers_engine import SentenceEncoder

    return SentenceEncoder(folder)


async def find_by_meaning(index: EmbeddedIndex, folder: Path | None, *, look_every_s: float = 30.0) -> None:
    """Let an index use the encoder in ``folder`` once it holds vectors; until then passages are found by words."""
    if folder is None:
        return
    while True:
        if await asyncio.to_thread(lambda: folder.is_dir() and index.store.counts()["vector"]):
            break
        # Vectors come from another process, so there is nothing here to wait for but time.
        await asyncio.sleep(look_every_s)
    index.use_encoder(await asyncio.to_thread(load_encoder, folder))


def embed(
    index: EmbeddedIndex,
    encoder: Encoder,
    kinds: Sequence[str],
    *,
    advance: Callable[[int], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Make the vectors that passages of ``kinds`` lack; return how many. Each batch is kept when it is done."""
    done = 0
    while not stop():
        batch = index.store.without_vector(encoder.name, kinds, _BATCH)
        if not batch:
            break
        vectors = encoder.encode([f"{section}. {text}" if section else text for _, section, text in batch])
        numbers = [number for number, _, _ in batch]
        index.store.add_vectors(
            encoder.name,
            [(number, row.astype(np.float16).tobytes()) for number, row in zip(numbers, vectors, strict=True)],
        )
        done += len(batch)
        advance(len(batch))
    return done
