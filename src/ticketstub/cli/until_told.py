"""Runs a local Plex until it is told to stop.

Rule: SIGTERM and Ctrl-C are the order, from the first moment on, and not a failure.
"""

from __future__ import annotations

import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Generator
    from types import FrameType

    from ticketstub.server.local_plex import LocalPlex


class Ending:
    """The order to stop, which may come before there is an event loop to tell."""

    def __init__(self) -> None:
        self._ordered = False
        self._tell: Callable[[], object] = lambda: None

    @contextmanager
    def on_signals(self) -> Generator[None]:
        """Take SIGINT and SIGTERM as the order, for as long as the `with` lasts."""
        before = {each: signal.signal(each, self._order) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def _order(self, _signal: int, _frame: FrameType | None) -> None:
        self._ordered = True
        with suppress(RuntimeError):  # the loop is closed: it has ended already
            self._tell()

    def tells(self, loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
        """Pass the order on to this event, also one that came before."""
        self._tell = lambda: loop.call_soon_threadsafe(stop.set)
        if self._ordered:
            stop.set()


def run_until_told(plex: LocalPlex, ready: Callable[[], None], ending: Ending, *, looks_at_sockets: bool) -> None:
    """Run a local Plex to its ordered end.

    Args:
        plex: that one.
        ready: called once every address answers.
        ending: the order to stop.
        looks_at_sockets: what its event loop must be able to do (see `new_event_loop`).
    """
    import asyncio

    from ticketstub.server.listening import new_event_loop

    async def until_told() -> None:
        stop = asyncio.Event()
        ending.tells(asyncio.get_running_loop(), stop)
        await plex.serve(ready, stop)

    with asyncio.Runner(loop_factory=lambda: new_event_loop(looks_at_sockets=looks_at_sockets)) as runner:
        runner.run(until_told())
