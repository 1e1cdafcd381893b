"""A synchronous request is answered in its time, or with an OperationOutcome ``timeout``: never with a guess."""

import asyncio
import time
from dataclasses import replace

import pytest
from facade.operations.prepared import Prepared
from facade.operations.table import OPERATIONS


class Hangs:
    """An operation that takes longer than it may, before it knows what is wanted or while it runs."""

    def __init__(self, where):
        self.where = where

    async def prepare(self, *_):
        if self.where == "prepare":
            await asyncio.sleep(60)

        async def run(_):
            await asyncio.sleep(60)

        return Prepared(None, 50, run)


@pytest.mark.parametrize("where", ["prepare", "run"])
async def test_an_operation_that_hangs_is_answered_timeout(alone, p, monkeypatch, where):
    monkeypatch.setitem(OPERATIONS, "ask", replace(OPERATIONS["ask"], budget_ms=50))
    monkeypatch.setitem(alone.container.operations.by_name, "ask", Hangs(where))
    began = time.monotonic()
    answer = await alone.invoke("ask", p.given("question", "string", "When is metformin stopped?"))
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (504, "timeout")
    assert time.monotonic() - began < 10
    assert await alone.events() == [("$ask", "8", None)]


def test_every_deadline_is_that_of_its_task_and_a_little_more_is_waited_for_the_answer():
    expected = {"draft": (5_000, 6.0), "check": (5_000, 6.0), "ask": (10_000, 11.0), "formulary": (1_000, 2.0)}
    assert {name: (OPERATIONS[name].budget_ms, OPERATIONS[name].limit_s) for name in expected} == expected
