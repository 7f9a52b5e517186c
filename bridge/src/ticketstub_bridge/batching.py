"""Reading for many requests at once: one query for all that wait at the same moment.

Rule: a read begins after every request that it answers has arrived, so that no answer is older than its question. While
a read is running, later requests gather for the next one. A request that is given up changes nothing for the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Generic, TypeVar

T = TypeVar("T")

_TURNS = 3
"""Turns of the event loop between two reads: the answers go out, the next requests come in, and they get here. So a
read answers about all requests that are open, and its thread and the loop do not hinder each other."""


class BatchReader(Generic[T]):
    """Reads values by their keys, one batch at a time.

    Args:
        read: reads the values of some keys; it leaves out those that have none.
        limit: how many requests one read answers at most.
    """

    def __init__(self, read: Callable[[Collection[str]], Awaitable[Mapping[str, T]]], *, limit: int = 100) -> None:
        self._read = read
        self._limit = limit
        self._waiting: list[tuple[str, asyncio.Future[T | None]]] = []
        self._reading: asyncio.Task[None] | None = None

    async def get(self, key: str) -> T | None:
        """Return the value of a key, or `None` if there is none.

        Raises:
            Exception: what `read` raised; each request of its batch gets that.
        """
        future: asyncio.Future[T | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((key, future))
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_all())
        return await future

    async def _read_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._limit], self._waiting[self._limit :]
                await self._read_batch([waiting for waiting in batch if not waiting[1].done()])
                for _ in range(_TURNS):
                    await asyncio.sleep(0)
        finally:
            self._reading = None

    async def _read_batch(self, batch: list[tuple[str, asyncio.Future[T | None]]]) -> None:
        try:
            values = await self._read({key for key, _ in batch})
        except Exception as error:  # noqa: BLE001  # whatever it was, each request reports it
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for key, future in batch:
            if not future.done():
                future.set_result(values.get(key))
