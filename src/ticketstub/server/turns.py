"""One after the other, for each account by itself.

Rule: sign-ins to one account wait for each other, so that many right ones at once are not taken for guessing (each
is counted before it is verified), and so that none is between a password's check and its change. A queue that is too
long is told so at once. Nothing is kept of a subject for which nobody waits.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from ticketstub.server.pool import WAITING, Overloaded


class _Queue:
    __slots__ = ("length", "lock")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.length = 0


class Turns:
    """A short queue for each subject.

    Args:
        waiting: how many may wait for the one whose turn it is.
    """

    def __init__(self, waiting: int = WAITING) -> None:
        self._most = waiting + 1
        self._queues: dict[str, _Queue] = {}

    @contextlib.asynccontextmanager
    async def of(self, subject: str) -> AsyncGenerator[None, None]:
        """Wait for one's turn and have it; raises `Overloaded` where too many wait."""
        queue = self._queues.setdefault(subject, _Queue())
        if queue.length >= self._most:
            raise Overloaded
        queue.length += 1
        try:
            async with queue.lock:
                yield
        finally:
            queue.length -= 1
            if not queue.length:
                del self._queues[subject]
