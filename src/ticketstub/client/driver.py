"""The two drivers: each runs a flow on a transport, one by calling, one by awaiting. Both are written by hand.

Rule: no logic of its own; what both drivers must do alike is in flows/.
"""

from __future__ import annotations

import os
import time
from typing import TypeVar, cast

from ticketstub.client.flows.request import Clock, Flow, RunBlocking, Send, Sleep, Step
from ticketstub.client.transports.base import AsyncTransport, Transport
from ticketstub.errors import PlexError

V = TypeVar("V")


def _random() -> float:
    return int.from_bytes(os.urandom(4), "big") / 2**32


SYSTEM_CLOCK = Clock(time.monotonic, time.time, _random)
"""The real clocks, and real chance."""


def run(flow: Flow[V], transport: Transport) -> V:
    """Drive a flow to its end: do what it yields, hand back what came, throw in what failed."""
    try:
        step = next(flow)
        while True:
            try:
                result = _perform_step(step, transport)
            except PlexError as failure:
                step = flow.throw(failure)
            except StopIteration as stopped:  # or it would pass for the end of the flow
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
    """As `run`, awaited."""
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
        from asyncio import to_thread  # `Plex` loads none of it

        return await to_thread(step.work)
    from inspect import isawaitable  # as above

    result = step.callback()
    return await result if isawaitable(result) else result
