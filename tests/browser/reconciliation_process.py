"""The real reconciliation application in a process, with a plain drafting and the shipped facts beside it.

Drafting writes one sentence per item of the chart, as the template of discharge instructions would; evidence is what
the shipped knowledge says. What is tested with it is the page: drafting by a model and retrieval by search have tests
of their own. The file named by the second argument, while it exists, stands for a drafting service that is down.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from reconciliation.clients import DraftingFailed, EvidenceUnavailable
from reconciliation.ingress import build_ingress
from reconciliation.reconcile import Reconciler
from retrieval.fact_base import FactBase
from retrieval.starter import starter_documents
from retrieval.stored import StoredFact
from service_contracts.chart import ChartMedication, MedicationChange
from service_contracts.drafts import (
    DraftEvent,
    DraftFinished,
    DraftRequest,
    DraftSentence,
    DraftStarted,
    ModelIdentity,
    SectionKey,
)
from service_contracts.evidence import Evidence, EvidenceQuery
from service_runtime.log import configure_logging
from service_runtime.service_auth import ServiceAuth
from service_runtime.settings import VaultSettings
from service_runtime.vault_store import connect_secret_store

_MODEL = ModelIdentity(
    base="plain sentences",
    base_digest=f"sha256:{'0' * 64}",
    adapter="discharge-instructions",
    adapter_version="test",
    adapter_digest=f"sha256:{'1' * 64}",
    template="discharge-instructions",
    template_version="test",
)
_TIMES = {1: "once a day", 2: "twice a day", 3: "3 times a day", 4: "4 times a day"}
_ROUTES = {
    "oral": ("Take", " by mouth"),
    "inhaled": ("Inhale", ""),
    "subcutaneous": ("Inject", " under the skin"),
}
_WARNINGS = (
    "Call 911 if you have chest pain, trouble breathing, or you faint.",
    "Call your doctor if you have a fever, new swelling, or you gain more than 3 pounds in a day.",
)


class PlainDrafting:
    """Writes what the chart says, item by item."""

    def __init__(self, down: Path, pause_s: float) -> None:
        self._down = down
        self._pause_s = pause_s

    async def draft(self, request: DraftRequest) -> AsyncIterator[DraftEvent]:
        """See ``reconciliation.clients.Drafting``."""
        if self._down.exists():
            raise DraftingFailed("drafting-unavailable", "the drafting service does not answer")
        yield DraftStarted(model=_MODEL)
        chart = request.chart
        reasons = [one.name for one in chart.conditions if one.principal] or [chart.reason or "care"]
        texts: list[tuple[SectionKey, str, tuple[object, ...]]] = [
            (SectionKey.REASON, f"You were in the hospital because of this: {reasons[0]}.", ())
        ]
        texts += [(SectionKey.MEDICATIONS, _instruction(one), (one.source,)) for one in chart.medications]
        kinds = {"activity": SectionKey.ACTIVITY, "diet": SectionKey.DIET, "follow-up": SectionKey.FOLLOW_UP}
        texts += [(kinds[one.kind], one.text, (one.source,)) for one in chart.orders]
        texts += [(SectionKey.WARNING_SIGNS, text, ()) for text in _WARNINGS]
        count: dict[SectionKey, int] = {}
        for section, text, sources in texts:
            index = count.get(section, 0)
            count[section] = index + 1
            await asyncio.sleep(self._pause_s)
            yield DraftSentence(section=section, index=index, text=text, sources=sources)
        yield DraftFinished(complete=True)


def _instruction(medication: ChartMedication) -> str:
    if medication.change is MedicationChange.STOPPED:
        return f"Stop taking {medication.name}."
    unit = {"ug": "mcg"}.get(medication.dose.unit, medication.dose.unit) if medication.dose else ""
    dose = f" {medication.dose.value:g} {unit}" if medication.dose else ""
    verb, how = _ROUTES.get(medication.route or "oral", ("Use", ""))
    times = _TIMES.get(int(medication.times_per_day or 0), "as your doctor told you")
    days = f" for {medication.duration.value:g} days" if medication.duration else ""
    return f"{verb} {medication.name.lower()}{dose}{how} {times}{days}."


class ShippedFacts:
    """Answers from the facts that ship with retrieval, held in memory."""

    def __init__(self, down: Path) -> None:
        documents = starter_documents()
        facts = [
            StoredFact(fact, document.source.effective_from, document.source.superseded_on)
            for document in documents
            for fact in document.facts
        ]
        self._base = FactBase(facts, [name for document in documents for name in document.names])
        self._down = down

    async def evidence(self, query: EvidenceQuery) -> Evidence:
        """See ``reconciliation.clients.EvidenceSource``."""
        if self._down.exists():
            raise EvidenceUnavailable
        return self._base.evidence(query, "starter")


def main() -> None:
    """Serve on the port of the first argument; the second is the folder of the switches."""
    configure_logging("reconciliation")
    port, switches = int(sys.argv[1]), Path(sys.argv[2])
    auth = ServiceAuth(connect_secret_store(VaultSettings()))
    reconciler = Reconciler(
        PlainDrafting(switches / "drafting-down", pause_s=float(sys.argv[3])), ShippedFacts(switches / "evidence-down")
    )
    app = build_ingress(reconciler, auth.accepts, max_body_bytes=4_194_304, max_budget_ms=60_000)
    uvicorn.run(app, host="127.0.0.1", port=port, log_config=None, access_log=False)


if __name__ == "__main__":
    main()
