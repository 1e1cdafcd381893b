"""Puts the operations together."""

import asyncio

import httpx
from service_runtime.service_auth import ServiceAuth

from facade.ehr.connections import EhrConnections
from facade.fhir.audit import Auditor
from facade.operations.ask import AskOperation
from facade.operations.check import CheckOperation
from facade.operations.draft import DraftOperation
from facade.operations.formulary import FormularyOperation
from facade.operations.prepared import PreparesOperation
from facade.operations.runner import Operations
from facade.operations.services import HttpServices
from facade.operations.stays import Stays
from facade.operations.triage import TriageOperation
from facade.operations.triage_feedback import TriageFeedbackOperation
from facade.operations.triage_service import TriageService
from facade.pipeline.drafting import Drafting
from facade.settings import FacadeSettings
from facade.store.jobs import Jobs
from facade.store.resources import Resources
from facade.store.triage import TriageRecords

__all__ = ["build_operations"]


def build_operations(
    settings: FacadeSettings,
    *,
    http: httpx.AsyncClient,
    service_auth: ServiceAuth,
    connections: EhrConnections,
    drafting: Drafting,
    resources: Resources,
    jobs: Jobs,
    triage: TriageService | None,
    triage_records: TriageRecords,
) -> Operations:
    """Return the operations of ``facade.operations.table``, each with what it asks."""
    stays = Stays(connections)
    services = HttpServices(
        http, service_auth, retrieval_url=settings.retrieval_url, reconciliation_url=settings.reconciliation_url
    )
    by_name: dict[str, PreparesOperation] = {
        "draft": DraftOperation(stays, drafting, resources),
        "check": CheckOperation(stays, services),
        "ask": AskOperation(services),
        "formulary": FormularyOperation(stays, services),
    }
    if triage is not None:
        by_name["triage"] = TriageOperation(stays, connections, triage, resources, triage_records)
        by_name["triage-feedback"] = TriageFeedbackOperation(resources, triage_records)
    return Operations(by_name, Auditor(resources), jobs, asyncio.Event())
