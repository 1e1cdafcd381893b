"""Answers of others, limited in size and time, without cookies, and as they were sent."""

import asyncio
import logging
from collections.abc import AsyncIterator

import httpx
from service_runtime.log import LogCode, log

from facade.ehr.refusals import AnswerRefused

__all__ = ["bounded"]


async def bounded(response: httpx.Response, max_bytes: int, deadline: float) -> httpx.Response:
    """Return ``response`` with its body limited to ``max_bytes`` and the loop's time ``deadline``."""
    reason, length = None, response.headers.get("content-length", "")
    if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
        # What a few bytes unfold to is not known before they are unfolded.
        reason = "encoded"
    elif length.isdecimal() and int(length) > max_bytes:
        reason = "too-large"
    if reason is not None:
        await response.aclose()
        log(LogCode.OUTBOUND_REFUSED, level=logging.WARNING, reason=reason)
        raise AnswerRefused(reason)
    # A cookie would be kept for the next request, which may be another clinician's.
    headers = [(name, value) for name, value in response.headers.raw if name.lower() != b"set-cookie"]
    assert isinstance(response.stream, httpx.AsyncByteStream)
    return httpx.Response(
        response.status_code,
        headers=headers,
        stream=_BoundedStream(response.stream, max_bytes, deadline),
        extensions=response.extensions,
    )


class _BoundedStream(httpx.AsyncByteStream):
    """The bytes of an answer, up to a size and a moment."""

    def __init__(self, stream: httpx.AsyncByteStream, max_bytes: int, deadline: float) -> None:
        self._stream = stream
        self._max_bytes = max_bytes
        self._deadline = deadline

    async def __aiter__(self) -> AsyncIterator[bytes]:
        received = 0
        parts = aiter(self._stream)
        while True:
            try:
                async with asyncio.timeout_at(self._deadline):
                    part = await anext(parts)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise httpx.ReadTimeout("the answer takes too long") from None
            received += len(part)
            if received > self._max_bytes:
                log(LogCode.OUTBOUND_REFUSED, level=logging.WARNING, reason="too-large")
                raise AnswerRefused("too-large")
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()
