"""Turns: one after the other for each account, a short queue, and nothing left behind."""

import asyncio

import pytest

from ticketstub.server.pool import Overloaded
from ticketstub.server.turns import Turns


async def test_one_after_the_other_for_each_subject() -> None:
    """Those of one subject have their turn in the order they came, those of others do not wait for them."""
    turns, seen, gate = Turns(), list[str](), asyncio.Event()

    async def take(subject: str, name: str) -> None:
        async with turns.of(subject):
            seen.append(name)
            if subject == "a":
                await gate.wait()
            seen.append(name)

    tasks = [asyncio.create_task(take(*each)) for each in (("a", "1"), ("a", "2"), ("b", "3"))]
    for _ in range(5):
        await asyncio.sleep(0)
    assert ["1", "3", "3"] == seen
    gate.set()
    await asyncio.gather(*tasks)
    assert ["1", "3", "3", "1", "2", "2"] == seen
    assert {} == turns._queues


async def test_too_many_are_told_at_once() -> None:
    """Beyond one at work and two that wait everybody is told, and who gives up waiting makes room."""
    turns, gate = Turns(waiting=2), asyncio.Event()

    async def take() -> None:
        async with turns.of("a"):
            await gate.wait()

    tasks = [asyncio.create_task(take()) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await take()
    tasks[1].cancel()
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(take()))
    gate.set()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert [None, asyncio.CancelledError, None, None] == [type(each) if each else None for each in done]
    assert {} == turns._queues


async def test_a_failure_ends_a_turn() -> None:
    """What goes wrong in a turn lets the next one have theirs."""
    turns = Turns()
    with pytest.raises(ZeroDivisionError):
        async with turns.of("a"):
            raise ZeroDivisionError
    async with turns.of("a"):
        assert ["a"] == list(turns._queues)
    assert {} == turns._queues
