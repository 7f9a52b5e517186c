"""Runs what serves until it is told to stop, in a thread with an event loop of its own.

Rule: whoever enters is let in when it is ready, and what goes wrong is raised there; on leaving it is over, within
seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Generator

_STOPS_WITHIN = 10.0

Serve = Callable[[Callable[[], None], asyncio.Event], Awaitable[None]]
"""Serves until the event is set; calls the function when it is ready."""


@contextlib.contextmanager
def running(serve: Serve, name: str) -> Generator[None, None, None]:
    """Serve for as long as the `with` lasts.

    Args:
        serve: what is run.
        name: the thread's.
    """
    from ticketstub.server.listening import new_event_loop  # loaded only to be run

    ready, endings, failure = threading.Event(), list[Callable[[], object]](), list[BaseException]()

    async def until_told() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        endings.append(lambda: loop.call_soon_threadsafe(stop.set))
        await serve(ready.set, stop)

    def run() -> None:
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(until_told())
        except BaseException as error:  # noqa: BLE001  # it is raised again where it was entered
            failure.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    ready.wait()
    try:
        if not failure:
            yield
    finally:
        with contextlib.suppress(RuntimeError, IndexError):  # it ended by itself
            endings[0]()
        thread.join(_STOPS_WITHIN)
    if failure:
        raise failure[0]
