"""The two drivers: each runs a flow on a transport, one by calling, one by awaiting. Both are written by hand.

Rule: no logic of its own; what both drivers must do alike is in flows/.
"""

from __future__ import annotations

import os
import time
from typing import TypeVar, cast

from ticketstub.client.flows.request import Senses
from ticketstub.client.flows.steps import Do, Flow, Send, Sleep, Step
from ticketstub.client.transports.base import AsyncTransport, Transport
from ticketstub.errors import PlexError

V = TypeVar("V")


def _chance() -> float:
    return int.from_bytes(os.urandom(4), "big") / 2**32


SENSES = Senses(time.monotonic, time.time, _chance)
"""The real clocks, and real chance."""


def run(flow: Flow[V], transport: Transport) -> V:
    """Drive a flow to its end: do what it yields, hand back what came, throw in what failed."""
    try:
        step = next(flow)
        while True:
            try:
                answer = _do(step, transport)
            except PlexError as failure:
                step = flow.throw(failure)
            except StopIteration as stopped:  # or it would pass for the end of the flow
                raise RuntimeError("a token source or transport raised StopIteration") from stopped
            else:
                step = flow.send(answer)
    except StopIteration as end:
        return cast("V", end.value)
    finally:
        flow.close()


def _do(step: Step, transport: Transport) -> object:
    if isinstance(step, Send):
        return transport.send(step.request, deadline=step.deadline, connect_timeout=step.connect_timeout)
    if isinstance(step, Sleep):
        transport.sleep(step.seconds)
        return None
    return step.work() if isinstance(step, Do) else step.question()


async def arun(flow: Flow[V], transport: AsyncTransport) -> V:
    """As `run`, awaited."""
    try:
        step = next(flow)
        while True:
            try:
                answer = await _ado(step, transport)
            except PlexError as failure:
                step = flow.throw(failure)
            else:
                step = flow.send(answer)
    except StopIteration as end:
        return cast("V", end.value)
    finally:
        flow.close()


async def _ado(step: Step, transport: AsyncTransport) -> object:
    if isinstance(step, Send):
        return await transport.send(step.request, deadline=step.deadline, connect_timeout=step.connect_timeout)
    if isinstance(step, Sleep):
        await transport.sleep(step.seconds)
        return None
    if isinstance(step, Do):
        from asyncio import to_thread  # `Plex` loads none of it

        return await to_thread(step.work)
    from inspect import isawaitable  # as above

    answer = step.question()
    return await answer if isawaitable(answer) else answer
