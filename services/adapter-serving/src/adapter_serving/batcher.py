"""Runs an engine in one thread; puts rows of several drafts into each pass, so that no draft waits for another."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Sequence

from service_runtime.deadline import Deadline
from service_runtime.log import LogCode, log

from adapter_serving.engine import Engine, Row, Written

__all__ = ["Batcher", "EngineFailed"]


class EngineFailed(Exception):
    """The engine raised; what it was writing is lost."""


class _Job:
    def __init__(self, rows: Sequence[Row], deadline: Deadline) -> None:
        self.waiting = deque(rows)
        self.deadline = deadline
        self.left = len(rows)
        self.started = False
        self.abandoned = False
        self.loop = asyncio.get_running_loop()
        self.news: asyncio.Queue[Written | EngineFailed] = asyncio.Queue()

    @property
    def over(self) -> bool:
        return self.abandoned or self.deadline.expired

    def tell(self, news: Written | EngineFailed) -> None:
        try:
            self.loop.call_soon_threadsafe(self.news.put_nowait, news)
        except RuntimeError:
            self.abandoned = True  # the caller's event loop is closed


class Batcher:
    """Takes rows of drafts in turn. A pass holds at most ``pass_tokens`` tokens, padding included; one that brings a
    draft's first sentences holds ``first_pass_tokens``, so that the reader sees something early."""

    def __init__(self, engine: Engine, *, first_pass_tokens: int, pass_tokens: int) -> None:
        self._engine = engine
        self._first_pass_tokens = first_pass_tokens
        self._pass_tokens = pass_tokens
        self._jobs: deque[_Job] = deque()
        self._work = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the engine's thread runs."""
        return self._thread.is_alive() and not self._closed

    async def write(self, rows: Sequence[Row], deadline: Deadline) -> AsyncIterator[Written]:
        """Yield rows as they are written, until all are or the deadline is over; raise ``EngineFailed``.

        A consumer that leaves takes its waiting rows with it.
        """
        job = _Job(rows, deadline)
        with self._work:
            if self._closed:
                raise EngineFailed
            self._jobs.append(job)
            self._work.notify()
        try:
            while job.left:
                try:
                    news = await asyncio.wait_for(job.news.get(), deadline.remaining_s)
                except TimeoutError:
                    return
                if isinstance(news, EngineFailed):
                    raise news
                job.left -= 1
                yield news
        finally:
            job.abandoned = True

    def close(self) -> None:
        """Stop after the pass at hand."""
        with self._work:
            self._closed = True
            self._work.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._work:
                while not self._closed and not self._jobs:
                    self._work.wait()
                if self._closed:
                    return
                batch = self._take()
            if batch:
                self._write(batch)

    def _write(self, batch: list[tuple[_Job, Row]]) -> None:
        # Keys are the callers'; inside a pass a row is known by its place.
        rows = [Row(at, row.prompt, row.guess) for at, (_, row) in enumerate(batch)]
        try:
            for written in self._engine.write(rows, lambda: self._closed or all(job.over for job, _ in batch)):
                job, row = batch[written.key]
                job.tell(Written(row.key, written.text, written.whole, written.prompt_tokens, written.generated_tokens))
        # The thread must outlive whatever a model library raises; the drafts concerned are told.
        except Exception as error:  # noqa: BLE001
            log(LogCode.REQUEST_FAILED, level=logging.ERROR, stage="engine", error_type=type(error).__name__)
            for job in {id(job): job for job, _ in batch}.values():
                job.waiting.clear()
                job.tell(EngineFailed())

    def _take(self) -> list[tuple[_Job, Row]]:
        """Take the next pass's rows, one of each draft in turn."""
        batch: list[tuple[_Job, Row]] = []
        widest = 0
        budget = self._pass_tokens
        while self._jobs:
            job = self._jobs[0]
            if job.over or not job.waiting:
                self._jobs.popleft()
                continue
            if not job.started:
                budget = self._first_pass_tokens
            widest = max(widest, self._engine.size(job.waiting[0]))
            if batch and widest * (len(batch) + 1) > budget:
                break
            batch.append((job, job.waiting.popleft()))
            self._jobs.rotate(-1)
        for job, _ in batch:
            job.started = True
        return batch
