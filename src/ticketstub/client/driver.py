"""The two drivers, which run a flow on a transport: `run` for `Plex`, and `arun`, with `await`, for `AsyncPlex`.

Rule: the drivers only perform steps. Everything that both would have to decide is in flows/.
"""

from __future__ import annotations

import os
import time
from typing import TypeVar, cast

from ticketstub.client.flows.request import Clock, Flow, RunBlocking, Send, Sleep, Step
from ticketstub.client.transports.base import AsyncTransport, Transport
from ticketstub.errors import PlexError

V = TypeVar("V")

SYSTEM_CLOCK = Clock(time.monotonic, time.time, lambda: int.from_bytes(os.urandom(4), "big") / 2**32)
"""The real clocks and real randomness."""


def run(flow: Flow[V], transport: Transport) -> V:
    """Run a flow to its end: perform each step, send its result back, throw its failure in."""
    try:
        step = next(flow)
        while True:
            try:
                result = _perform_step(step, transport)
            except PlexError as failure:
                step = flow.throw(failure)
            except StopIteration as stopped:  # otherwise it would look like the end of the flow
                raise RuntimeError("a token source or transport raised StopIteration") from stopped
            else:
                step = flow.send(result)
    except StopIteration as end:
        return cast("V", end.value)
    finally:
        flow.close()


def _perform_step(step: Step, transport: Transport) -> object:
    if isinstance(step, Send):
        return transport.send(step.request, deadline=step.deadline, connect_timeout=step.connect_timeout)
    if isinstance(step, Sleep):
        transport.sleep(step.seconds)
        return None
    return step.work() if isinstance(step, RunBlocking) else step.callback()


async def arun(flow: Flow[V], transport: AsyncTransport) -> V:
    """As `run`, with `await`."""
    try:
        step = next(flow)
        while True:
            try:
                result = await _aperform_step(step, transport)
            except PlexError as failure:
                step = flow.throw(failure)
            else:
                step = flow.send(result)
    except StopIteration as end:
        return cast("V", end.value)
    finally:
        flow.close()


async def _aperform_step(step: Step, transport: AsyncTransport) -> object:
    if isinstance(step, Send):
        return await transport.send(step.request, deadline=step.deadline, connect_timeout=step.connect_timeout)
    if isinstance(step, Sleep):
        await transport.sleep(step.seconds)
        return None
    if isinstance(step, RunBlocking):
        from asyncio import to_thread  # `Plex` does not load asyncio

        return await to_thread(step.work)
    from inspect import isawaitable  # not needed by most programs

    result = step.callback()
    return await result if isawaitable(result) else result
