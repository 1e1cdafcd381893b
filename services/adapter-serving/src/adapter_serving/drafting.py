"""One draft: the template's fixed text at once, the rest as the adapter writes it, an end within the deadline."""

import time
from collections.abc import AsyncIterator, Mapping

from service_contracts.chart import ChartReference
from service_contracts.drafts import DraftEvent, DraftFinished, DraftRequest, DraftSentence, DraftStarted, ModelIdentity
from service_runtime.deadline import Deadline
from service_runtime.log import LogCode, log

from adapter_serving.adapters import AdapterUnknown
from adapter_serving.batcher import Batcher
from adapter_serving.engine import Row, Written
from adapter_serving.items import Item
from adapter_serving.models import Models
from adapter_serving.phrasing.guess import guess
from adapter_serving.template import PlannedItem, Template

__all__ = ["Drafter"]

_CHARACTERS_A_TOKEN = 8
"""More than any text needs: an item longer than this many characters a token is not even read."""


class Drafter:
    """Writes drafts. What is not finished in time, or was cut off, is named as missing and never sent as if whole."""

    def __init__(
        self,
        models: Models,
        templates: Mapping[str, Template],
        *,
        max_items: int,
        max_prompt_tokens: int,
        answer_reserve_ms: int,
    ) -> None:
        self._models = models
        self._templates = templates
        self._max_items = max_items
        self._max_prompt_characters = max_prompt_tokens * _CHARACTERS_A_TOKEN
        self._answer_reserve_ms = answer_reserve_ms

    async def draft(self, request: DraftRequest) -> AsyncIterator[DraftEvent]:
        """Stream the draft; raise ``AdapterError`` before the first event, ``EngineFailed`` at any time."""
        started = time.monotonic()
        deadline = Deadline(max(1, request.budget_ms - self._answer_reserve_ms))
        template = self._templates.get(request.task)
        if template is None:
            raise AdapterUnknown("no adapter is promoted for this task")
        identity, batcher = await self._models.get(request.task, request.adapter, template)
        yield DraftStarted(model=identity)
        fixed, planned = template.plan(request.chart)
        for text in fixed:
            yield DraftSentence(section=text.section, index=text.index, text=text.text, generated=False)
        open_items = dict(enumerate(planned))
        counts = [0, 0]
        async for written in self._written(batcher, planned, deadline):
            counts[0] += written.prompt_tokens
            counts[1] += written.generated_tokens
            if written.whole:
                place = open_items.pop(written.key)
                yield DraftSentence(
                    section=place.section, index=place.index, text=written.text, sources=(place.item.source,)
                )
        yield self._finished(request, list(open_items.values()), counts, started, identity)

    async def _written(
        self, batcher: Batcher, planned: list[PlannedItem], deadline: Deadline
    ) -> AsyncIterator[Written]:
        rows = [
            Row(key, place.item.prompt, guess(place.item))
            for key, place in enumerate(planned[: self._max_items])
            if self._readable(place.item)
        ]
        if rows and not deadline.expired:
            async for written in batcher.write(rows, deadline):
                yield written

    def _readable(self, item: Item) -> bool:
        return len(item.text) + sum(map(len, item.values.values())) <= self._max_prompt_characters

    def _finished(
        self,
        request: DraftRequest,
        missing: list[PlannedItem],
        counts: list[int],
        started: float,
        identity: ModelIdentity,
    ) -> DraftFinished:
        elapsed_ms = (time.monotonic() - started) * 1000
        log(
            LogCode.DRAFT_FINISHED,
            task=request.task,
            version=identity.adapter_version,
            tokens=counts[1],
            count=len(missing),
            elapsed_ms=round(elapsed_ms),
        )
        return DraftFinished(
            complete=not missing,
            missing=tuple(dict.fromkeys(_reference(place.item.source) for place in missing)),
            prompt_tokens=counts[0],
            generated_tokens=counts[1],
            elapsed_ms=elapsed_ms,
        )


def _reference(source: ChartReference) -> str:
    return source.reference
