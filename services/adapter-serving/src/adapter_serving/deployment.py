"""The Ray Serve application ``adapter-serving``: the streaming method ``draft`` and the HTTP ingress."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from litestar import Litestar
from pydantic import ValidationError
from ray import serve
from service_contracts.drafts import DraftRequest
from service_runtime.log import LogCode, configure_logging, log
from service_runtime.service_auth import ServiceAuth
from service_runtime.settings import VaultSettings
from service_runtime.vault_store import connect_secret_store

from adapter_serving.adapters import AdapterError, Adapters
from adapter_serving.base_model import BaseModelFiles
from adapter_serving.drafting import Drafter
from adapter_serving.engine import Engine
from adapter_serving.ingress import build_ingress, events
from adapter_serving.models import Models
from adapter_serving.settings import AdapterServingSettings
from adapter_serving.template import load_templates

__all__ = ["AdapterServing", "app"]


class AdapterServing:
    """One replica: the promoted adapters are loaded when it starts, others when they are first asked for."""

    async def __init__(self) -> None:  # type: ignore[misc]  # Ray Serve awaits it
        configure_logging("adapter-serving")
        self._settings = settings = AdapterServingSettings()
        self._templates = load_templates(settings.templates_dir)
        adapters = Adapters(settings.adapters_dir, BaseModelFiles.open(settings.model_dir))
        self._models = Models(
            adapters, self._load, first_pass_tokens=settings.first_pass_tokens, pass_tokens=settings.pass_tokens
        )
        self._drafter = Drafter(
            self._models,
            self._templates,
            max_items=settings.max_items,
            max_prompt_tokens=settings.max_prompt_tokens,
            answer_reserve_ms=settings.answer_reserve_ms,
        )
        self._promoted = sorted(adapters.promoted())
        for task in self._promoted:
            try:
                await self._models.get(task, None, self._templates[task])
            except (AdapterError, KeyError):
                # Already logged. The replica stays: it answers with the reason, and /healthz does not say it can serve.
                continue
        log(LogCode.SERVICE_STARTED)

    def _load(self, folder: Path) -> Engine:
        # Only here, so that the processes that import this module to deploy it stay without torch.
        from adapter_serving.transformers_engine.engine import TransformersEngine

        settings = self._settings
        return TransformersEngine(
            settings.model_dir,
            folder,
            threads=settings.torch_threads,
            weights=settings.weights,
            max_prompt_tokens=settings.max_prompt_tokens,
            max_sentence_tokens=settings.max_sentence_tokens,
        )

    def __serve_build_asgi_app__(self) -> Litestar:
        """Build the HTTP application in the replica (an application object does not pickle)."""
        auth = ServiceAuth(connect_secret_store(VaultSettings()))
        return build_ingress(
            self._drafter,
            auth.accepts,
            self._ready,
            max_body_bytes=self._settings.max_body_bytes,
            max_budget_ms=self._settings.max_budget_ms,
        )

    async def draft(self, request: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        """Stream draft events as plain values; the last is ``finished``, or ``failed`` with a code."""
        try:
            wanted = DraftRequest.model_validate(request)
        except ValidationError:
            # Without the error's text: it quotes the chart.
            yield {"event": "failed", "code": "drafting-unavailable", "message": "the request is not a valid one"}
            return
        async for event in events(self._drafter, wanted):
            yield event

    def _ready(self) -> bool:
        return bool(self._promoted) and all(self._models.ready(task) for task in self._promoted)


def app(_: Mapping[str, str]) -> serve.Application:
    """Return the application for a Serve config whose ``import_path`` is ``adapter_serving.deployment:app``."""
    settings = AdapterServingSettings()
    deployment = serve.deployment(
        name="AdapterServing",
        num_replicas=settings.replicas,
        ray_actor_options={"num_cpus": settings.num_cpus},
        max_ongoing_requests=settings.max_ongoing_requests,
        max_queued_requests=settings.max_queued_requests,
    )
    return deployment(serve.ingress()(AdapterServing)).bind()
