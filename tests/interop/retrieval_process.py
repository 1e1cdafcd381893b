"""The real retrieval application in a process, with a small index of its own: one guideline and one plan's formulary.

The index is not embedded, so passages are found by their words alone, and no model is loaded.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

import uvicorn
from retrieval.documents import DrugName, IngestedDocument, PassageText
from retrieval.embedded_index import EmbeddedIndex, open_embedded_index
from retrieval.ingress import build_ingress
from retrieval.service import RetrievalService
from service_contracts.evidence import Fact, FormularyStatus, Source
from service_runtime.log import configure_logging
from service_runtime.service_auth import ServiceAuth
from service_runtime.settings import VaultSettings
from service_runtime.vault_store import connect_secret_store

PLAN = "plan-north"
GUIDELINE = (
    "Offer metformin as the first drug to adults with type 2 diabetes. "
    "Check kidney function before metformin is started. Do not offer metformin when eGFR is below 30 mL/min."
)


def _source(title: str, identifier: str) -> Source:
    since = date(2025, 1, 1)
    return Source(
        title=title, publisher="A publisher", identifier=identifier, version="2", section="All", effective_from=since
    )


def _documents() -> list[IngestedDocument]:
    guideline, plan = _source("Diabetes", "https://example.org/diabetes"), _source("North: drug formulary", PLAN)
    drug = FormularyStatus(plan=PLAN, drug="metformin 500 MG Oral Tablet", rxcui="861007", covered=True, tier="Generic")
    fact = Fact(id="formulary/1", body=drug, statement="North covers metformin.", verbatim=False, source=plan)
    passage = PassageText("guideline/1#2", "All", GUIDELINE)
    return [
        IngestedDocument("guideline/1", "guideline", guideline, passages=(passage,)),
        IngestedDocument(
            "formulary/1", "formulary", plan, (fact,), (), (DrugName("metformin", ("metformin",), ("861007",)),)
        ),
    ]


async def _serve(port: int, folder: Path) -> None:
    secrets = connect_secret_store(VaultSettings())

    async def opened() -> EmbeddedIndex:
        index = await open_embedded_index(folder, secrets)
        await index.write(_documents())
        return index

    service = RetrievalService(opened, refresh_every_s=60)

    @asynccontextmanager
    async def working() -> AsyncIterator[None]:
        task = asyncio.create_task(service.run())
        yield
        task.cancel()

    app = build_ingress(lambda: service, ServiceAuth(secrets).accepts, max_body_bytes=1_048_576, max_budget_ms=60_000)
    async with working():
        config = uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, access_log=False)
        await uvicorn.Server(config).serve()


def main() -> None:
    """Serve on the port of the first argument, with the index in the folder of the second."""
    configure_logging("retrieval")
    asyncio.run(_serve(int(sys.argv[1]), Path(sys.argv[2])))


if __name__ == "__main__":
    main()
