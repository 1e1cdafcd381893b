"""The life of the index in one process: opened, given the starter knowledge, refreshed while it serves."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from service_contracts.answers import Abstention, Answer, AnswerQuery, AnswerSentence, QuestionKind
from service_contracts.evidence import Evidence, EvidenceQuery, Passage, PassageQuery
from service_runtime.log import LogCode, log
from service_runtime.secrets import SecretError

from retrieval.answering import stands_in, supported_sentences
from retrieval.index import Index, IndexFailure, IndexUnavailable
from retrieval.ingress import NotReady
from retrieval.reranking import READ_AGAIN, Reranker, reranked
from retrieval.starter import load_starter

__all__ = ["RetrievalService"]

_SOURCE_KINDS = {QuestionKind.GUIDELINE: ("guideline", "policy"), QuestionKind.LITERATURE: ("literature",)}
_PASSAGES_READ = 50


class RetrievalService:
    """Answers from an index that ``open_index`` opens; until that has succeeded every query fails with ``NotReady``.

    An index that cannot be opened is tried again: a sealed secret store is unsealed, a wrong key file is put right.
    """

    def __init__(self, open_index: Callable[[], Awaitable[Index]], *, refresh_every_s: float) -> None:
        self._open_index = open_index
        self._refresh_every_s = refresh_every_s
        self._index: Index | None = None
        self._reason = "index-opening"
        self._drugs: frozenset[str] = frozenset()
        self._drugs_of = ""
        self._one_reading = asyncio.Lock()
        self.reranker: Reranker | None = None
        """Reads the best passages again; set once it is loaded, if there is one."""

    def check(self) -> None:
        """See ``Searcher.check``."""
        self._opened()

    async def evidence_for(self, query: EvidenceQuery) -> Evidence:
        """See ``Searcher.evidence_for``."""
        return await self._opened().evidence(query)

    async def passages_for(self, query: PassageQuery) -> list[Passage]:
        """See ``Searcher.passages_for``; raises ``TimeoutError`` when the query's time runs out."""
        ends = time.monotonic() + query.budget_ms / 1000
        async with asyncio.timeout(query.budget_ms / 1000):
            if self.reranker is None:
                return await self._searched(query)
            found = await self._searched(query.model_copy(update={"limit": max(query.limit, READ_AGAIN)}))
            # A quarter of what is left stays for the way back.
            return await self._read_again(query, found, self.reranker, ends - (ends - time.monotonic()) / 4)

    async def _read_again(
        self, query: PassageQuery, found: list[Passage], reranker: Reranker, stop_at: float
    ) -> list[Passage]:
        """Return the best after a second reading, or as the search put them when that is not done by ``stop_at``."""
        late = partial(_late, stop_at)
        try:
            # One at a time: two readings on one core are late together.
            async with asyncio.timeout(stop_at - time.monotonic()), self._one_reading:
                return await asyncio.to_thread(reranked, query.text, found, reranker, query.limit, late)
        except TimeoutError:
            return found[: query.limit]

    async def _searched(self, query: PassageQuery) -> list[Passage]:
        try:
            return await self._opened().passages(query)
        except IndexUnavailable:
            raise NotReady("index-unavailable") from None

    async def answers_for(self, query: AnswerQuery) -> Answer:
        """See ``Searcher.answers_for``: an answer that is late is none."""
        index = self._opened()
        wanted = PassageQuery(
            text=query.question,
            limit=_PASSAGES_READ,
            source_kinds=_SOURCE_KINDS[query.kind],
            as_of=query.as_of,
            budget_ms=query.budget_ms,
        )
        try:
            async with asyncio.timeout(query.budget_ms / 1000):
                version, passages = index.version, await self._searched(wanted)
                advice = query.kind is QuestionKind.GUIDELINE
                judge = partial(supported_sentences, query.question, passages, self._drugs, advice=advice)
                sentences = await asyncio.to_thread(judge)
                cited = await self._verified(index, sentences, query)
        except TimeoutError:
            return Answer(abstained=Abstention.DEADLINE, index_version=index.version)
        except IndexUnavailable:
            raise NotReady("index-unavailable") from None
        if not cited:
            why = Abstention.NOT_VERIFIED if sentences else Abstention.NOT_SUPPORTED
            return Answer(abstained=why if passages else Abstention.NOTHING_FOUND, index_version=version)
        read = {passage.id: passage for _, passage in cited}
        return Answer(
            sentences=tuple(sentence for sentence, _ in cited), passages=tuple(read.values()), index_version=version
        )

    async def _verified(
        self, index: Index, sentences: Sequence[tuple[AnswerSentence, Passage]], query: AnswerQuery
    ) -> list[tuple[AnswerSentence, Passage]]:
        """Return the first sentences that stand in their version as it came in, in force, with what was read of it."""
        cited: list[tuple[AnswerSentence, Passage]] = []
        read: dict[str, Passage | None] = {}
        dropped = 0
        for sentence, found in sentences:
            if len(cited) == query.limit:
                break
            if found.id not in read:
                read[found.id] = await index.quoted(found)
            kept = read[found.id]
            if kept is not None and stands_in(sentence, found, kept, query.as_of):
                cited.append((sentence, kept))
            else:
                dropped += 1
        if dropped:
            log(LogCode.CITATIONS_DROPPED, level=logging.ERROR, count=dropped, version=index.version)
        return cited

    def _opened(self) -> Index:
        if self._index is None:
            raise NotReady(self._reason)
        return self._index

    async def run(self) -> None:
        """Open the index and keep it fresh until cancelled."""
        try:
            while True:
                if self._index is None:
                    await self._open()
                else:
                    await self._refresh(self._index)
                await asyncio.sleep(self._refresh_every_s)
        finally:
            if self._index is not None:
                await self._index.close()
                self._index = None

    async def _open(self) -> None:
        started = time.monotonic()
        try:
            index = await self._open_index()
            await load_starter(index)
            await index.refresh()
            await self._read_drugs(index)
        except SecretError as error:
            self._reason = "secret-store-unavailable"
            log(LogCode.INDEX_OPENED, level=logging.ERROR, reason=self._reason, error_type=type(error).__name__)
            return
        except IndexFailure as error:
            self._reason = "index-not-open"
            log(LogCode.INDEX_OPENED, level=logging.ERROR, reason=self._reason, error_type=type(error).__name__)
            return
        self._index = index
        elapsed_ms = round((time.monotonic() - started) * 1000)
        log(LogCode.INDEX_OPENED, version=index.version, elapsed_ms=elapsed_ms)

    async def _refresh(self, index: Index) -> None:
        started = time.monotonic()
        try:
            if await index.refresh():
                elapsed_ms = round((time.monotonic() - started) * 1000)
                log(LogCode.INDEX_REFRESHED, version=index.version, elapsed_ms=elapsed_ms)
            await self._read_drugs(index)
        # What was read before is still served, and its version says so; the next round tries again.
        except Exception as error:  # noqa: BLE001
            log(LogCode.INDEX_REFRESHED, level=logging.ERROR, reason="failed", error_type=type(error).__name__)

    async def _read_drugs(self, index: Index) -> None:
        """Know the drugs of this version of the index by name; they are many, so no question waits for them."""
        version = index.version
        if version != self._drugs_of:
            self._drugs, self._drugs_of = await index.ingredients(), version


def _late(stop_at: float) -> bool:
    return time.monotonic() > stop_at
