"""The async driver: awaits what a flow asks for, and the `AsyncSender` that every async client is.

Rule: the twin of driver.py, where everything is explained.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from inspect import isawaitable
from typing import TYPE_CHECKING, Self, TypeVar, Unpack

from ticketstub.driver import SENSES
from ticketstub.errors import PlexError
from ticketstub.flows.caller import Caller
from ticketstub.flows.exchange import exchange
from ticketstub.flows.steps import Ask, Do, Flow, Send, Sleep, Step
from ticketstub.frames import hide_locals, without_this_frame
from ticketstub.link import Link
from ticketstub.options import Options, Settings, derived
from ticketstub.outcome import Err, Ok, Outcome
from ticketstub.transports.base import AsyncTransport
from ticketstub.wire.call import Call
from ticketstub.wire.http import Response

if TYPE_CHECKING:
    from ticketstub.records import Identity, ServerInformation

V = TypeVar("V")


async def run(flow: Flow[V], transport: AsyncTransport) -> V:
    """Drive a flow to its end: do what it yields, hand back what came, throw in what failed."""
    try:
        step = next(flow)
        while True:
            try:
                answer = await _do(step, transport)
            except PlexError as failure:
                step = flow.throw(failure)
            else:
                step = flow.send(answer)
    except StopIteration as end:
        value: V = end.value
        return value
    finally:
        flow.close()


async def _do(step: Step, transport: AsyncTransport) -> object:
    if isinstance(step, Send):
        return await transport.send(step.request, deadline=step.deadline, connect_timeout=step.connect_timeout)
    if isinstance(step, Sleep):
        await transport.sleep(step.seconds)
        return None
    if isinstance(step, Do):
        return await asyncio.to_thread(step.work)
    if isinstance(step, Ask):
        if step.refused is not None and (tell := getattr(step.source, "refused", None)):
            await _awaited(tell(step.refused))
        return await _awaited(step.source())
    return await _awaited(step.question())


async def _awaited(answer: object) -> object:
    return await answer if isawaitable(answer) else answer


@hide_locals
class AsyncSender:
    """As `Sender`, awaited."""

    def __init__(self, settings: Settings, link: Link[AsyncTransport]) -> None:
        self._settings = settings
        self._link = link

    async def send(self, call: Call[V], **options: Unpack[Options]) -> V:
        """As `Sender.send`."""
        return (await self._exchange(call, options))[0]

    async def attempt(self, call: Call[V], **options: Unpack[Options]) -> Outcome[V]:
        """As `Sender.attempt`."""
        try:
            return Ok(*await self._exchange(call, options))
        except PlexError as error:
            return Err(without_this_frame(error), error.response)

    async def _exchange(self, call: Call[V], options: Options) -> tuple[V, Response]:
        settings = derived(self._settings, options) if options else self._settings
        transport = self._link.open()
        device = settings.device or self._link.remembered
        if device is None:
            device = await asyncio.to_thread(self._link.remember)
        return await run(exchange(call, settings, device, time.monotonic), transport)

    async def follow(self, flow: Callable[[Caller], Flow[V]], **options: Unpack[Options]) -> V:
        """As `Sender.follow`."""
        settings = derived(self._settings, options) if options else self._settings
        transport = self._link.open()
        device = settings.device or self._link.remembered
        if device is None:
            device = await asyncio.to_thread(self._link.remember)
        return await run(flow(Caller(settings, device, SENSES, self._link.published)), transport)

    def with_options(self, **options: Unpack[Options]) -> Self:
        """As `Sender.with_options`."""
        copy = object.__new__(type(self))
        AsyncSender.__init__(copy, derived(self._settings, options), self._link)
        return copy

    async def close(self) -> None:
        """As `Sender.close`."""
        if transport := self._link.close():
            await transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._settings.server or self._settings.plex_tv}>"

    async def identity(self, **options: Unpack[Options]) -> Identity:
        """As `Sender.identity`."""
        from ticketstub.wire.media_server import GetIdentity

        return await self.send(GetIdentity(), **options)

    async def server_information(self, **options: Unpack[Options]) -> ServerInformation:
        """As `Sender.server_information`."""
        from ticketstub.wire.media_server import GetServerInformation

        return await self.send(GetServerInformation(), **options)
