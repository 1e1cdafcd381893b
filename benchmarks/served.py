"""The retrieval service on an index, as its route serves it, without HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from retrieval.index import Index
from retrieval.ingress import NotReady
from retrieval.service import RetrievalService

__all__ = ["served"]

_TRIES, _PAUSE_S = 2_000, 0.05


@asynccontextmanager
async def served(index: Index) -> AsyncIterator[RetrievalService]:
    """Give a service whose index is open; it closes the index in the end."""

    async def opened() -> Index:
        return index

    service = RetrievalService(opened, refresh_every_s=3600)
    running = asyncio.create_task(service.run())
    try:
        for _ in range(_TRIES):
            try:
                service.check()
                break
            except NotReady:
                await asyncio.sleep(_PAUSE_S)
        yield service
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
