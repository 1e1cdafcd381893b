"""Everything ``/fhir`` answers with, from a store that holds a failure, a draft, its signature and a risk."""

import asyncio
import json
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from facade.fhir.access import Access
from facade.fhir.audit import Auditor, Call
from facade.fhir.batch import run_batch
from facade.fhir.capability import capability_statement
from facade.fhir.home import Home
from facade.fhir.interactions import Answer, Interactions
from facade.fhir.pages import Pages
from facade.fhir.results import own_resources
from facade.fhir.scopes import parse_scopes
from facade.fhir.served import SERVED
from facade.operations.table import OPERATIONS, advertised
from facade.store.database import Database
from facade.store.resources import Resources
from fhir_support.errors import (
    BadRequest,
    Forbidden,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    NotSupported,
    ServiceUnavailable,
    Unauthorized,
    UnsupportedMediaType,
)
from service_runtime.envelope import EnvelopeCipher
from service_runtime.secrets import MemorySecretStore

__all__ = ["answers"]

BASE, EHR = "https://preceptor.test/fhir/ehr", "https://ehr.test/fhir"
HOME = Home("ehr", EHR, (BASE,))
ERRORS = (
    BadRequest, NotSupported, Unauthorized, Forbidden, NotFound, MethodNotAllowed, NotAcceptable, UnsupportedMediaType,
    ServiceUnavailable,
)  # fmt: skip


def answers(examples: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return every kind of answer with a name; ``examples`` is the facade tests' module of that name."""
    with warnings.catch_warnings(), TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # the store of secrets says that it forgets everything
        return asyncio.run(_answers(Path(folder), examples))


async def _answers(folder: Path, examples: Any) -> list[tuple[str, dict[str, Any]]]:
    secrets = MemorySecretStore()
    database = Database(f"sqlite+aiosqlite:///{folder / 'answers.sqlite3'}")
    await database.migrate()
    resources = Resources(database, EnvelopeCipher(secrets, "k"), secrets, key="k", home=lambda _: HOME)
    await _fill(resources, examples)
    access = Access("ehr", "client", f"{EHR}/Practitioner/pr-1", None, parse_scopes("system/*.rs"), HOME, "pr-1")
    call = Call(access, BASE, "request-1", "192.0.2.1")
    server = Interactions(resources, Auditor(resources), Pages(resources))
    found = [answer async for answer in _asked(server, call)]
    await database.close()
    found += [("metadata", capability_statement(BASE, advertised(OPERATIONS)))]
    return found + [(f"outcome {kind.__name__}", kind().outcome()) for kind in ERRORS]


async def _asked(server: Interactions, call: Call) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Ask in every way; every answer has a body."""

    async def get(path: tuple[str, ...], pairs: list[tuple[str, str]], _: Any) -> Answer:
        if len(path) == 1:
            return await server.search(call, path[0], pairs, strict=True)
        return await server.read(call, path[0], path[1])

    for kind, served in SERVED.items():
        everything = [("_include", f"{kind}:{code}") for code in served.includes]
        everything += [("_revinclude", f"{one.name}:{code}") for one in SERVED.values() for code in one.includes]
        yield f"{kind}: search with all includes", _body(await server.search(call, kind, everything, strict=True))
        for summary in ("true", "text", "data", "count"):
            answer = await server.search(call, kind, [("_summary", summary)], strict=True)
            yield f"{kind}: _summary={summary}", _body(answer)
        answer = await server.search(call, kind, [("_count", "1"), ("_elements", "meta")], strict=True)
        yield f"{kind}: one element, one of a page", _body(answer)
        history = _body(await server.history(call, kind, None, [("_count", "10")], strict=True))
        yield f"{kind}: history", history
        for number, entry in enumerate(history["entry"]):
            yield f"{kind}: version {number}", entry["resource"]
    batch = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [
            {"request": {"method": "GET", "url": url}} for url in ("Device", "Task/x", "Patient", "Composition?x=y")
        ],
    }
    yield "batch", await run_batch(json.dumps(batch).encode(), get)
    # What was asked so far has been recorded: reads, searches, histories, each with its patient or with none.
    record = _body(await server.search(call, "AuditEvent", [("_sort", "-_lastUpdated")], strict=True))
    yield "the record of all that", record


def _body(answer: Answer) -> dict[str, Any]:
    assert answer.body is not None
    return answer.body


async def _fill(resources: Resources, examples: Any) -> None:
    """Keep a failure, the draft that came after it, its signature and a risk assessment."""
    stored, made = examples.stored_document(), examples.bundles()
    draft = made["document"]
    written = {
        name: f"{entry['resource']['resourceType']}/r-{number}"
        for number, (name, entry) in enumerate(zip(draft.names, draft.bundle["entry"], strict=True))
    }
    for transaction, named in ((made["failure"], {}), (draft, {}), (made["signature"], written)):
        for resource in own_resources(
            transaction, document_id=stored.id, ehr_base=EHR, model=stored.document.model, written=named
        ):
            await resources.put(await resources.prepare("ehr", resource, patient=stored.patient, at=examples.AT))
    risk = {
        "resourceType": "RiskAssessment",
        "id": "risk-1",
        "status": "preliminary",
        "subject": {"reference": f"{EHR}/{stored.patient}"},
        "occurrenceDateTime": "2026-11-24T10:30:00Z",
        "prediction": [{"outcome": {"text": "Emergency Severity Index"}, "qualitativeRisk": {"text": "3"}}],
    }
    await resources.put(await resources.prepare("ehr", risk, patient=stored.patient, at=examples.AT))
