"""A synchronous request is answered in its time, or with an OperationOutcome ``timeout``: never with a guess."""

import asyncio
import time
from dataclasses import replace

import pytest
from facade.operations.prepared import Answered, Prepared
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


class Waits(Hangs):
    """An operation that ends when it is told to, and says what was left of its time."""

    def __init__(self):
        super().__init__("")
        self.end = asyncio.Event()
        self.left_ms = []

    async def prepare(self, *_):
        async def run(deadline):
            self.left_ms.append(deadline.remaining_ms)
            await self.end.wait()
            return Answered({"resourceType": "Parameters"})

        return Prepared(None, OPERATIONS["ask"].budget_ms, run)


async def asked(alone, p, times):
    question = p.given("question", "string", "When is metformin stopped?")
    return [asyncio.create_task(alone.invoke("ask", question)) for _ in range(times)]


async def test_what_cannot_be_begun_in_time_is_refused_and_what_waited_has_less_time(alone, p, monkeypatch, eventually):
    monkeypatch.setitem(OPERATIONS, "ask", replace(OPERATIONS["ask"], budget_ms=4_000, at_once=2))
    monkeypatch.setitem(alone.container.operations.turns, "ask", asyncio.Semaphore(2))
    waits = Waits()
    monkeypatch.setitem(alone.container.operations.by_name, "ask", waits)
    working = await asked(alone, p, 2)

    async def begun():
        return len(waits.left_ms)

    await eventually(begun, 2)
    (refused,) = await asyncio.gather(*await asked(alone, p, 1))
    assert (refused.status_code, refused.json()["issue"][0]["code"]) == (503, "throttled")
    assert refused.headers["Retry-After"] == "1"
    (waiting,) = await asked(alone, p, 1)
    await asyncio.sleep(1)
    waits.end.set()
    answers = await asyncio.gather(*working, waiting)
    assert [one.status_code for one in answers] == [200, 200, 200]
    assert waits.left_ms[2] < 3_500 < min(waits.left_ms[:2])
    assert sorted(await alone.events()) == [("$ask", "0", None)] * 3 + [("$ask", "8", None)]
