"""Vectors of passages: made by a command, used by a replica when there are any, so that nothing waits for a model."""

import asyncio
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from retrieval.encoder import Encoder
from retrieval.index import Index, IndexUnavailable
from retrieval.reranker_folder import check_folder
from retrieval.reranking import Reranker

__all__ = ["embed", "find_by_meaning", "load_encoder", "load_reranker"]

_BATCH = 32
# Looking for passages without a vector costs as much for many as for few.
_LOOKED_UP = 2000


@lru_cache(maxsize=1)
def load_encoder(folder: Path) -> Encoder:
    """Load the encoder, once; importing what it needs takes seconds, which is why nothing else here does."""
    from retrieval.transformers_engine import SentenceEncoder

    return SentenceEncoder(folder)


def load_reranker(folder: Path) -> Reranker:
    """Load the cross-encoder; raise ``RerankerRefused`` where the folder is not what was written."""
    weight = check_folder(folder)
    from retrieval.transformers_engine import CrossEncoder

    return CrossEncoder(folder, weight)


async def find_by_meaning(index: Index, folder: Path | None, *, look_every_s: float = 30.0) -> None:
    """Let an index use the encoder in ``folder`` once it holds vectors; until then passages are found by words."""
    if folder is None:
        return
    while True:
        if await asyncio.to_thread(folder.is_dir) and await _has_vectors(index):
            break
        # Vectors come from another process, so there is nothing here to wait for but time.
        await asyncio.sleep(look_every_s)
    index.use_encoder(await asyncio.to_thread(load_encoder, folder))


async def _has_vectors(index: Index) -> bool:
    try:
        return (await index.counts())["vector"] > 0
    except IndexUnavailable:
        return False


async def embed(
    index: Index,
    encoder: Encoder,
    kinds: Sequence[str],
    *,
    advance: Callable[[int], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Make the vectors that passages of ``kinds`` lack; return how many. Each batch is kept when it is done."""
    done = 0
    while not stop():
        waiting = await index.without_vector(encoder.name, kinds, _LOOKED_UP)
        if not waiting:
            break
        for start in range(0, len(waiting), _BATCH):
            if stop():
                break
            batch = waiting[start : start + _BATCH]
            vectors = await asyncio.to_thread(encoder.encode, [one.text for one in batch])
            await index.add_vectors(encoder.name, [(one.place, row) for one, row in zip(batch, vectors, strict=True)])
            done += len(batch)
            advance(len(batch))
    return done
