"""The Ray Serve application ``retrieval``: the index of one replica, asked by handle and by HTTP."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from litestar import Litestar
from ray import serve
from service_contracts.evidence import EvidenceQuery, PassageQuery
from service_runtime.log import LogCode, configure_logging, log
from service_runtime.service_auth import ServiceAuth
from service_runtime.settings import VaultSettings
from service_runtime.vault_store import connect_secret_store

from retrieval.encoder import Encoder
from retrieval.engines import open_index as open_engine
from retrieval.engines import open_texts
from retrieval.index import Index, IndexUnavailable
from retrieval.ingress import build_ingress
from retrieval.meaning import find_by_meaning, load_encoder, load_reranker
from retrieval.patient_service import PatientService
from retrieval.patient_texts import PatientTexts
from retrieval.reranking import RerankerRefused
from retrieval.service import RetrievalService
from retrieval.settings import RetrievalSettings

__all__ = ["Retrieval", "app"]


class Retrieval:
    """One replica. It is up at once and says that it is not ready until the index is open."""

    async def __init__(self) -> None:  # type: ignore[misc]  # Ray Serve awaits it, so that it has a running loop
        configure_logging("retrieval")
        self._settings = settings = RetrievalSettings()
        secrets = connect_secret_store(VaultSettings())
        self._auth = ServiceAuth(secrets)

        async def open_index() -> Index:
            index = await open_engine(settings, secrets)
            self._meaning = asyncio.create_task(find_by_meaning(index, settings.encoder_dir))
            if settings.reranker_dir is not None and self._service.reranker is None:
                self._reading_again = asyncio.create_task(self._load_reranker(settings.reranker_dir))
            return index

        async def open_patient_texts() -> PatientTexts:
            encoder: Encoder | None = None
            if (folder := settings.encoder_dir) is not None:
                if not await asyncio.to_thread(folder.is_dir):
                    # Texts that are kept without it would never be found by meaning.
                    raise IndexUnavailable("the sentence encoder is not there")
                encoder = await asyncio.to_thread(load_encoder, folder)
            return await open_texts(settings, secrets, encoder)

        self._patients = PatientService(open_patient_texts) if settings.patient_texts else None
        self._service = RetrievalService(open_index, refresh_every_s=settings.refresh_every_s)
        self._running = asyncio.create_task(self._service.run())

    async def _load_reranker(self, folder: Path) -> None:
        """Facts and passages do not wait for it, and are found without it where it is refused."""
        try:
            self._service.reranker = await asyncio.to_thread(load_reranker, folder)
        except RerankerRefused as refused:
            log(LogCode.RERANKER_REFUSED, level=logging.ERROR, reason=str(refused))

    def __serve_build_asgi_app__(self) -> Litestar:
        return build_ingress(
            lambda: self._service,
            self._auth.accepts,
            max_body_bytes=self._settings.max_body_bytes,
            max_budget_ms=self._settings.max_budget_ms,
            patients=self._patients,
        )

    async def evidence(self, query: Mapping[str, Any]) -> dict[str, Any]:
        """Answer an ``EvidenceQuery``; raise ``NotReady`` while the index is not open."""
        found = await self._service.evidence_for(EvidenceQuery.model_validate(query))
        return found.model_dump(mode="json")

    async def passages(self, query: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Answer a ``PassageQuery``; raise ``NotReady`` while the index is not open."""
        found = await self._service.passages_for(PassageQuery.model_validate(query))
        return [one.model_dump(mode="json") for one in found]


def app(_: Mapping[str, str]) -> serve.Application:
    """Return the application for a Serve config whose ``import_path`` is ``retrieval.deployment:app``."""
    deployment = serve.deployment(
        name="Retrieval",
        ray_actor_options={"num_cpus": 0.25},
        max_ongoing_requests=32,
        max_queued_requests=64,
    )
    return deployment(serve.ingress()(Retrieval)).bind()
