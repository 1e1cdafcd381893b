"""The cluster as the index needs it: bounded calls by a client certificate, errors in our words, whole bulks."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from opensearchpy import AsyncOpenSearch
from opensearchpy.exceptions import ConflictError, NotFoundError, OpenSearchException, TransportError
from opensearchpy.serializer import JSONSerializer

from retrieval.index import IndexUnavailable

__all__ = ["Action", "Cluster", "Conflict", "Stamp", "connect"]

Action = tuple[Mapping[str, Any], Mapping[str, Any] | None]
"""One line of a bulk and the row or change that belongs to it."""

Stamp = tuple[int, int]
"""Sequence number and term of a row: another writing of it has another stamp."""

_T = TypeVar("_T")
_CHUNK_ACTIONS = 500
_CHUNK_BYTES = 4_000_000
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0
_BUSY = frozenset({429, 502, 503, 504})
_PAGE = 500


class Conflict(Exception):
    """A row is not what it was when it was read."""


@dataclass(frozen=True)
class Cluster:
    """Calls to one cluster. A bulk goes on trying for ``patience_s`` while the cluster is busy or away."""

    client: AsyncOpenSearch
    patience_s: float = 60.0

    async def get(self, index: str, row_id: str) -> tuple[dict[str, Any], Stamp] | None:
        """Return a row and its stamp as they are now, None when there is none."""
        with _in_our_words():
            try:
                found = await self.client.get(index=index, id=row_id)
            except NotFoundError:
                return None
        return found["_source"], (found["_seq_no"], found["_primary_term"])

    async def put(self, index: str, row_id: str, row: Mapping[str, Any], expected: Stamp | None) -> Stamp:
        """Write a row if it is still what was read (None: not there) and return its stamp; raise ``Conflict``."""
        only: dict[str, Any] = {"op_type": "create"}
        if expected is not None:
            only = {"if_seq_no": expected[0], "if_primary_term": expected[1]}
        with _in_our_words():
            try:
                kept = await self.client.index(index=index, id=row_id, body=dict(row), params=only)
            except ConflictError:
                raise Conflict from None
        return kept["_seq_no"], kept["_primary_term"]

    async def refresh(self, *indices: str) -> None:
        """Let searches see what was written."""
        with _in_our_words():
            await self.client.indices.refresh(index=",".join(indices))

    async def search(self, index: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer of one search, whole or not at all."""
        with _in_our_words():
            found: dict[str, Any] = await self.client.search(
                index=index, body=dict(body), params={"allow_partial_search_results": "false"}
            )
        return found

    async def searches(self, index: str, bodies: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the answers of several searches, asked at once."""
        lines: list[dict[str, Any]] = []
        for body in bodies:
            lines += [{"index": index, "allow_partial_search_results": False}, dict(body)]
        with _in_our_words():
            answers: list[dict[str, Any]] = (await self.client.msearch(body=lines))["responses"]
        for answer in answers:
            if "error" in answer:
                raise IndexUnavailable(f"the cluster answered a search with status {answer.get('status')}")
        return answers

    async def rows(
        self, index: str, query: Mapping[str, Any], *, content: bool | Sequence[str] = True
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield every hit of a query, with ``_id``, ``_source``, ``_seq_no`` and ``_primary_term``, in pages."""
        body: dict[str, Any] = {"query": query, "size": _PAGE, "sort": [{"row": "asc"}], "seq_no_primary_term": True}
        body["_source"] = content
        while hits := (await self.search(index, body))["hits"]["hits"]:
            for hit in hits:
                yield hit
            if len(hits) < _PAGE:
                return
            body["search_after"] = hits[-1]["sort"]

    async def fetch(self, index: str, row_ids: list[str], fields: Iterable[str]) -> list[dict[str, Any]]:
        """Return rows by id, those that are there, in the order asked."""
        with _in_our_words():
            found = await self.client.mget(index=index, body={"ids": row_ids}, params={"_source": ",".join(fields)})
        return [one for one in found["docs"] if one.get("found")]

    async def bulk(self, index: str, actions: Iterable[Action]) -> None:
        """Carry out all actions or raise; one that is tried again after an unclear end is not done twice.

        Raises ``Conflict`` when a row that is to be changed is not what was read.
        """
        deadline = time.monotonic() + self.patience_s
        for chunk in _chunks(actions):
            await self._chunk(index, chunk, deadline)

    async def _chunk(self, index: str, chunk: list[Action], deadline: float) -> None:
        pause = _FIRST_PAUSE_S
        while True:
            chunk, failure = await self._once(index, chunk)
            if not chunk:
                return
            if time.monotonic() + pause > deadline:
                raise IndexUnavailable(f"{len(chunk)} rows could not be written ({failure})")
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    async def _once(self, index: str, chunk: list[Action]) -> tuple[list[Action], str]:
        """Return the actions that are still to be done, and why."""
        lines = [line for action in chunk for line in action if line is not None]
        try:
            answer = await self.client.bulk(index=index, body=lines)
        except TransportError as error:
            if error.status_code == "N/A" or error.status_code in _BUSY:
                return chunk, str(error.status_code)
            raise IndexUnavailable(f"the cluster refused a bulk with status {error.status_code}") from None
        again: list[Action] = []
        failure = ""
        for action, outcome in zip(chunk, answer["items"], strict=True):
            (name, item), *_ = outcome.items()
            status = item["status"]
            if status in _BUSY:
                again.append(action)
                failure = str(status)
            elif status == 409 and name == "update":
                raise Conflict
            # A row that is there already was made by an earlier try, one that is gone was deleted by it.
            elif (
                status >= 300 and not (status == 409 and name == "create") and not (status == 404 and name == "delete")
            ):
                raise IndexUnavailable(f"the cluster refused a row with status {status} ({item['error']['type']})")
        return again, failure

    async def call(self, of: Callable[[AsyncOpenSearch], Coroutine[Any, Any, _T]]) -> _T:
        """Make any other call, its errors in our words."""
        with _in_our_words():
            return await of(self.client)

    async def close(self) -> None:
        """Close the connections."""
        await self.client.close()


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except TransportError as error:
        # The error's own text may hold the query.
        raise IndexUnavailable(f"the cluster answered with status {error.status_code}") from None
    except OpenSearchException as error:
        raise IndexUnavailable(f"the cluster cannot be used ({type(error).__name__})") from None


def _chunks(actions: Iterable[Action]) -> Iterator[list[Action]]:
    serializer = JSONSerializer()
    chunk: list[Action] = []
    size = 0
    for action in actions:
        length = sum(len(serializer.dumps(line)) for line in action if line is not None)
        if chunk and (len(chunk) >= _CHUNK_ACTIONS or size + length > _CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(action)
        size += length
    if chunk:
        yield chunk


def connect(
    url: str,
    ca_file: Path,
    certificate_file: Path,
    key_file: Path,
    *,
    timeout_s: float = 20.0,
    patience_s: float = 60.0,
) -> Cluster:
    """Return the cluster at ``url``; nothing is sent yet. The client shows its certificate and has no password."""
    context = ssl.create_default_context(cafile=str(ca_file))
    context.load_cert_chain(certificate_file, key_file)
    client = AsyncOpenSearch(hosts=[url], ssl_context=context, timeout=timeout_s, max_retries=0)
    return Cluster(client, patience_s)
