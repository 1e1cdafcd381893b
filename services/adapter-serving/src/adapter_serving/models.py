"""The adapters of a replica, each with its engine: loaded once, after its files were checked."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from service_contracts.drafts import ModelIdentity
from service_runtime.log import LogCode, log

from adapter_serving.adapters import Adapters
from adapter_serving.batcher import Batcher
from adapter_serving.engine import Engine
from adapter_serving.template import Template

__all__ = ["Models"]


class Models:
    """Gives the engine of an adapter. ``load`` makes an engine of an adapter's folder; it may take seconds."""

    def __init__(
        self, adapters: Adapters, load: Callable[[Path], Engine], *, first_pass_tokens: int, pass_tokens: int
    ) -> None:
        self._adapters = adapters
        self._load = load
        self._first_pass_tokens = first_pass_tokens
        self._pass_tokens = pass_tokens
        self._loaded: dict[str, tuple[ModelIdentity, Batcher]] = {}
        self._loading = asyncio.Lock()

    async def get(self, task: str, name: str | None, template: Template) -> tuple[ModelIdentity, Batcher]:
        """Return identity and batcher of the adapter ``name``, or of the task's promoted one; raise ``AdapterError``.

        What was loaded was checked then; a file changed since is noticed by the next load and not served by this one.
        """
        wanted = name if name is not None else self._adapters.promoted().get(task)
        held = self._loaded.get(wanted) if wanted is not None else None
        if held is not None and held[0].template == template.name:
            return held
        async with self._loading:
            if wanted is not None and wanted in self._loaded and self._loaded[wanted][0].template == template.name:
                return self._loaded[wanted]
            return await asyncio.to_thread(self._open, task, name, template)

    def _open(self, task: str, name: str | None, template: Template) -> tuple[ModelIdentity, Batcher]:
        started = time.monotonic()
        adapter = self._adapters.open(task, name, template)
        engine = self._load(adapter.folder)
        # Read again: the files that were loaded must be those that were checked.
        checked = self._adapters.open(task, name, template)
        identity = checked.identity()
        batcher = Batcher(engine, first_pass_tokens=self._first_pass_tokens, pass_tokens=self._pass_tokens)
        self._loaded[identity.adapter] = identity, batcher
        elapsed = round((time.monotonic() - started) * 1000)
        log(
            LogCode.ADAPTER_LOADED, digest=identity.adapter_digest, version=identity.adapter_version, elapsed_ms=elapsed
        )
        return self._loaded[identity.adapter]

    def ready(self, task: str) -> bool:
        """Whether the promoted adapter of ``task`` is loaded and its engine runs."""
        held = self._loaded.get(self._adapters.promoted().get(task, ""))
        return held is not None and held[1].alive

    def close(self) -> None:
        """Stop the engines."""
        for _, batcher in self._loaded.values():
            batcher.close()
