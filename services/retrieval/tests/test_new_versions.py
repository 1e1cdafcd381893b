"""A new version is found within a minute of its ingestion by another process, and the one before it no longer is."""

import asyncio
import os
import subprocess
import sys
import time
from datetime import date

import pytest
from retrieval.service import RetrievalService
from service_contracts.evidence import PassageQuery

_A_MINUTE = 60.0


def ingest(engine_environment, page, version, effective_from, tmp_path):
    """Run the command as an administrator does."""
    environment = {
        **os.environ,
        **engine_environment,
        "PRECEPTOR_RETRIEVAL_INDEX_DIR": str(tmp_path / "unused"),
        "PRECEPTOR_VAULT_ADDRESS": "https://127.0.0.1:1",
        "PRECEPTOR_VAULT_ROLE": "retrieval",
        "PRECEPTOR_VAULT_LOGIN": "agent",
        "PRECEPTOR_VAULT_AGENT_SOCKET": str(tmp_path / "agent.sock"),
    }
    given = ["--publisher", "A college", "--version", version, "--effective-from", effective_from, "--again"]
    command = [sys.executable, "-m", "preceptor", "ingest", "guidelines", str(page), *given]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


async def test_a_new_version_is_served_within_a_minute_and_by_the_day_asked_about(opensearch, connect_node, tmp_path):
    from retrieval.opensearch_index import open_opensearch_index

    tenant = {"PRECEPTOR_RETRIEVAL_OPENSEARCH_TENANT": "versions"}
    environment = opensearch.environment() | tenant
    page = tmp_path / "opioids.txt"
    page.write_text("Clinicians should avoid ninety morphine equivalents.")
    await asyncio.to_thread(ingest, environment, page, "2016", "2016-03-15", tmp_path)

    async def open_index():
        return await open_opensearch_index(connect_node(), "versions", read=False)

    service = RetrievalService(open_index, refresh_every_s=1.0)
    running = asyncio.create_task(service.run())

    async def versions(as_of=None):
        query = PassageQuery(text="morphine equivalents", source_kinds=("guideline",), as_of=as_of, budget_ms=30_000)
        return [one.source.version for one in await service.passages_for(query)]

    try:
        await until(service, versions, ["2016"])
        page.write_text("Clinicians should carefully justify fifty morphine equivalents.")
        await asyncio.to_thread(ingest, environment, page, "2022", "2022-11-03", tmp_path)
        ingested = time.monotonic()
        await until(service, versions, ["2022"])
        assert time.monotonic() - ingested < _A_MINUTE
        assert await versions(date(2020, 1, 1)) == ["2016"]
        assert await versions(date(2016, 3, 14)) == []
    finally:
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


async def until(service, versions, wanted):
    from retrieval.ingress import NotReady

    for _ in range(600):
        try:
            if await versions() == wanted:
                return
        except NotReady:
            pass
        await asyncio.sleep(0.1)
    raise AssertionError(f"{wanted} was never found")
