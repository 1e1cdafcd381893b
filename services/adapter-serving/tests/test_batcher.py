"""Passes hold rows of several drafts; deadlines, leavers and failures touch only the drafts they belong to."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from adapter_serving.batcher import Batcher, EngineFailed
from adapter_serving.engine import Row, Written
from service_runtime.deadline import Deadline


def rows(draft: str, count: int) -> list[Row]:
    return [Row(at, f"{draft}{at}") for at in range(count)]


async def collect(stream: AsyncIterator[Written]) -> list[str]:
    return [written.text async for written in stream]


async def test_all_rows_are_written_in_order(scripted: Any) -> None:
    batcher = Batcher(scripted(), first_pass_tokens=20, pass_tokens=40)
    assert await collect(batcher.write(rows("a", 7), Deadline(5_000))) == [f"a{at}" for at in range(7)]
    batcher.close()


async def test_the_first_pass_of_a_draft_is_small(scripted: Any) -> None:
    engine = scripted()
    batcher = Batcher(engine, first_pass_tokens=20, pass_tokens=40)
    await collect(batcher.write(rows("a", 7), Deadline(5_000)))
    batcher.close()
    assert [len(one) for one in engine.passes] == [2, 4, 1]


async def test_two_drafts_share_passes(scripted: Any) -> None:
    engine = scripted(0.02)
    batcher = Batcher(engine, first_pass_tokens=20, pass_tokens=40)
    both = await asyncio.gather(
        collect(batcher.write(rows("a", 6), Deadline(5_000))), collect(batcher.write(rows("b", 6), Deadline(5_000)))
    )
    batcher.close()
    assert both == [[f"a{at}" for at in range(6)], [f"b{at}" for at in range(6)]]
    assert any({text[0] for text in one} == {"a", "b"} for one in engine.passes)


async def test_a_draft_ends_at_its_deadline_while_a_pass_still_runs(scripted: Any) -> None:
    batcher = Batcher(scripted(0.4), first_pass_tokens=20, pass_tokens=20)
    started = asyncio.get_running_loop().time()
    written = await collect(batcher.write(rows("a", 20), Deadline(100)))
    assert asyncio.get_running_loop().time() - started < 0.3
    assert written == []
    batcher.close()


async def test_a_consumer_that_leaves_takes_its_rows_with_it(scripted: Any) -> None:
    engine = scripted(0.02)
    batcher = Batcher(engine, first_pass_tokens=20, pass_tokens=20)
    stream = batcher.write(rows("a", 40), Deadline(5_000))
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    assert await collect(batcher.write(rows("b", 2), Deadline(5_000))) == ["b0", "b1"]
    batcher.close()
    assert sum(len(one) for one in engine.passes) < 12


async def test_a_model_that_breaks_fails_its_draft_and_serves_the_next(scripted: Any) -> None:
    batcher = Batcher(scripted(fails_at="bad"), first_pass_tokens=20, pass_tokens=20)
    with pytest.raises(EngineFailed):
        await collect(batcher.write([Row(0, "good"), Row(1, "bad"), Row(2, "later")], Deadline(5_000)))
    assert await collect(batcher.write(rows("b", 1), Deadline(5_000))) == ["b0"]
    assert batcher.alive
    batcher.close()


async def test_a_closed_batcher_refuses(scripted: Any) -> None:
    batcher = Batcher(scripted(), first_pass_tokens=20, pass_tokens=20)
    batcher.close()
    assert not batcher.alive
    with pytest.raises(EngineFailed):
        await collect(batcher.write(rows("a", 1), Deadline(5_000)))
