"""The two drivers, which run a flow on a transport: `run` for `Plex`, and `arun`, with `await`, for `AsyncPlex`.

Rule: the drivers only perform steps. Everything that both would have to decide is in flows/. Steps that run other flows
are performed in parallel.py.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, TypeVar, cast

from ticketstub.client.flows.request import Clock, Flow, Invoke, RunBlocking, Send, Sleep, Step
from ticketstub.client.transports.base import AsyncTransport, Transport
from ticketstub.errors import PlexError

if TYPE_CHECKING:  # most flows run no others
    from ticketstub.client.config import BackgroundJobs
    from ticketstub.client.parallel import AsyncParallelFlows, ParallelFlows

V = TypeVar("V")

SYSTEM_CLOCK = Clock(time.monotonic, time.time, lambda: int.from_bytes(os.urandom(4), "big") / 2**32)
"""The real clocks and real randomness."""


def run(flow: Flow[V], transport: Transport, jobs: BackgroundJobs) -> V:
    """Run a flow to its end: perform each step, send its result back, throw its failure in.

    Args:
        flow: the flow.
        transport: what its requests are sent with.
        jobs: what the client runs in the background, and what several callers wait for together.
    """
    others: ParallelFlows | None = None
    try:
        step = next(flow)
        while True:
            try:
                if isinstance(step, Send):
                    result: object = transport.send(
                        step.request, deadline=step.deadline, connect_timeout=step.connect_timeout
                    )
                elif isinstance(step, Sleep | RunBlocking | Invoke):
                    result = _perform_step(step, transport)
                else:
                    from ticketstub.client.parallel import ParallelFlows

                    others = others or ParallelFlows(transport, jobs, run)
                    result = others.perform(step)
            except PlexError as failure:
                step = flow.throw(failure)
            except StopIteration as stopped:  # otherwise it would look like the end of the flow
                raise RuntimeError("a token source or transport raised StopIteration") from stopped
            else:
                step = flow.send(result)
    except StopIteration as end:
        return cast("V", end.value)
    finally:
        if others:
            others.cancel_all()
        flow.close()


def _perform_step(step: Sleep | RunBlocking | Invoke, transport: Transport) -> object:
    if isinstance(step, Sleep):
        transport.sleep(step.seconds)
        return None
    return step.work() if isinstance(step, RunBlocking) else step.callback()


async def arun(flow: Flow[V], transport: AsyncTransport, jobs: BackgroundJobs) -> V:
    """As `run`, with `await`."""
    others: AsyncParallelFlows | None = None
    try:
        step: Step = next(flow)
        while True:
            try:
                if isinstance(step, Send):
                    result: object = await transport.send(
                        step.request, deadline=step.deadline, connect_timeout=step.connect_timeout
                    )
                elif isinstance(step, Sleep | RunBlocking | Invoke):
                    result = await _aperform_step(step, transport)
                else:
                    from ticketstub.client.parallel import AsyncParallelFlows

                    others = others or AsyncParallelFlows(transport, jobs, arun)
                    result = await others.perform(step)
            except PlexError as failure:
                step = flow.throw(failure)
            else:
                step = flow.send(result)
    except StopIteration as end:
        return cast("V", end.value)
    finally:
        if others:
            await others.cancel_all()
        flow.close()


async def _aperform_step(step: Sleep | RunBlocking | Invoke, transport: AsyncTransport) -> object:
    if isinstance(step, Sleep):
        await transport.sleep(step.seconds)
        return None
    if isinstance(step, RunBlocking):
        from asyncio import to_thread  # `Plex` does not load asyncio

        return await to_thread(step.work)
    from inspect import isawaitable  # not needed by most programs

    result = step.callback()
    return await result if isawaitable(result) else result
