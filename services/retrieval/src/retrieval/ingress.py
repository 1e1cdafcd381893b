"""The HTTP surface: POST /v1/evidence, /v1/passages and /v1/answers, GET /healthz without a token.

Where texts about patients are kept, also POST /v1/patient-texts, /v1/patient-passages and /v1/patient-texts/forget: the
patient is named in the body, because addresses are written down everywhere. Elsewhere these routes are not there.
"""

import time
from collections.abc import Callable
from typing import Any, Protocol

from litestar import Litestar, MediaType, Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from pydantic import TypeAdapter
from service_contracts.answers import Answer, AnswerQuery
from service_contracts.evidence import Evidence, EvidenceQuery, Passage, PassageQuery
from service_contracts.patient_texts import (
    ForgetPatient,
    KeepPatientTexts,
    PatientForgotten,
    PatientPassageQuery,
    PatientTextsKept,
)
from service_runtime.ingress import Refused, Verifier, build_service, only_services, read_contract, request_id_headers
from service_runtime.log import LogCode, log

__all__ = ["NotReady", "PatientDesk", "Searcher", "build_ingress"]

_PASSAGES = TypeAdapter(list[Passage])


class NotReady(Exception):
    """The index is not open, or was not in time; ``reason`` is one of ours and holds no data."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Searcher(Protocol):
    """What the ingress serves. Each method raises ``NotReady`` while there is no index to ask."""

    def check(self) -> None:
        """Return when queries can be answered."""
        ...

    async def evidence_for(self, query: EvidenceQuery) -> Evidence:
        """Return the facts about the subjects of a query."""
        ...

    async def passages_for(self, query: PassageQuery) -> list[Passage]:
        """Return the best passages for a text."""
        ...

    async def answers_for(self, query: AnswerQuery) -> Answer:
        """Return the sentences that answer a question, or why there are none."""
        ...


class PatientDesk(Protocol):
    """What is served of patients' texts. Each method raises ``NotReady`` when it was not done."""

    async def keep(self, wanted: KeepPatientTexts) -> PatientTextsKept:
        """Keep texts of a patient."""
        ...

    async def passages(self, query: PatientPassageQuery) -> list[Passage]:
        """Return the best passages of one patient."""
        ...

    async def forget(self, wanted: ForgetPatient) -> PatientForgotten:
        """Destroy a patient's key, and what it opened."""
        ...


def build_ingress(
    searcher: Callable[[], Searcher],
    accepts: Verifier,
    *,
    max_body_bytes: int,
    max_budget_ms: int,
    patients: PatientDesk | None = None,
) -> Litestar:
    """Return the application; every route is listed here and in ``_patient_routes``."""
    guards = [only_services(accepts)]

    @get("/healthz", sync_to_thread=False)
    def healthz() -> dict[str, str]:
        searcher().check()
        return {"status": "ok"}

    @post("/v1/evidence", guards=guards, status_code=200)
    async def evidence(request: Request[Any, Any, Any]) -> Response[bytes]:
        started, headers = time.monotonic(), request_id_headers(request)
        query = read_contract(EvidenceQuery, await request.body(), max_budget_ms)
        found = await searcher().evidence_for(query)
        _served("/v1/evidence", len(found.facts), started)
        return Response(found.model_dump_json().encode(), media_type=MediaType.JSON, headers=headers)

    @post("/v1/passages", guards=guards, status_code=200)
    async def passages(request: Request[Any, Any, Any]) -> Response[bytes]:
        started, headers = time.monotonic(), request_id_headers(request)
        query = read_contract(PassageQuery, await request.body(), max_budget_ms)
        found = await searcher().passages_for(query)
        _served("/v1/passages", len(found), started)
        return Response(_PASSAGES.dump_json(found), media_type=MediaType.JSON, headers=headers)

    @post("/v1/answers", guards=guards, status_code=200)
    async def answers(request: Request[Any, Any, Any]) -> Response[bytes]:
        started, headers = time.monotonic(), request_id_headers(request)
        query = read_contract(AnswerQuery, await request.body(), max_budget_ms)
        found = await searcher().answers_for(query)
        _served("/v1/answers", len(found.sentences), started)
        return Response(found.model_dump_json().encode(), media_type=MediaType.JSON, headers=headers)

    routes: list[HTTPRouteHandler] = [healthz, evidence, passages, answers]
    if patients is not None:
        routes += _patient_routes(patients, accepts, max_budget_ms)
    return build_service(routes, max_body_bytes=max_body_bytes, refusals={NotReady: _index_not_open})


def _patient_routes(patients: PatientDesk, accepts: Verifier, max_budget_ms: int) -> list[HTTPRouteHandler]:
    guards = [only_services(accepts)]

    @post("/v1/patient-texts", guards=guards, status_code=200)
    async def keep(request: Request[Any, Any, Any]) -> Response[bytes]:
        started, headers = time.monotonic(), request_id_headers(request)
        kept = await patients.keep(read_contract(KeepPatientTexts, await request.body(), max_budget_ms))
        _served("/v1/patient-texts", kept.count, started)
        return Response(kept.model_dump_json().encode(), media_type=MediaType.JSON, headers=headers)

    @post("/v1/patient-passages", guards=guards, status_code=200)
    async def search(request: Request[Any, Any, Any]) -> Response[bytes]:
        started, headers = time.monotonic(), request_id_headers(request)
        found = await patients.passages(read_contract(PatientPassageQuery, await request.body(), max_budget_ms))
        _served("/v1/patient-passages", len(found), started)
        return Response(_PASSAGES.dump_json(found), media_type=MediaType.JSON, headers=headers)

    @post("/v1/patient-texts/forget", guards=guards, status_code=200)
    async def forget(request: Request[Any, Any, Any]) -> Response[bytes]:
        started, headers = time.monotonic(), request_id_headers(request)
        gone = await patients.forget(read_contract(ForgetPatient, await request.body(), max_budget_ms))
        _served("/v1/patient-texts/forget", gone.count, started)
        return Response(gone.model_dump_json().encode(), media_type=MediaType.JSON, headers=headers)

    return [keep, search, forget]


def _index_not_open(error: NotReady) -> Refused:
    return Refused(503, error.reason, "the index cannot be searched now")


def _served(route: str, count: int, started: float) -> None:
    elapsed_ms = round((time.monotonic() - started) * 1000, 1)
    log(LogCode.REQUEST_SERVED, route=route, count=count, elapsed_ms=elapsed_ms)
