"""The sync driver: runs a flow on a transport, and the `Sender` that every client is.

Rule: no logic of its own; what both drivers must do alike is in flows/. Its twin is adriver.py.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Self, TypeVar, Unpack

from ticketstub.errors import PlexError
from ticketstub.flows.caller import Caller, Senses
from ticketstub.flows.exchange import exchange
from ticketstub.flows.steps import Ask, Do, Flow, Send, Sleep, Step
from ticketstub.frames import hide_locals, without_this_frame
from ticketstub.link import Link
from ticketstub.options import Options, Settings, derived
from ticketstub.outcome import Err, Ok, Outcome
from ticketstub.transports.base import Transport
from ticketstub.wire.call import Call
from ticketstub.wire.http import Response

if TYPE_CHECKING:
    from ticketstub.records import Identity, ServerInformation

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
        value: V = end.value
        return value
    finally:
        flow.close()


def _do(step: Step, transport: Transport) -> object:
    if isinstance(step, Send):
        return transport.send(step.request, deadline=step.deadline, connect_timeout=step.connect_timeout)
    if isinstance(step, Sleep):
        transport.sleep(step.seconds)
        return None
    if isinstance(step, Ask):
        if step.refused is not None and (tell := getattr(step.source, "refused", None)):
            tell(step.refused)
        return step.source()
    return step.work() if isinstance(step, Do) else step.question()


@hide_locals
class Sender:
    """What sends calls: its settings, and the connections that it shares with those derived from it."""

    def __init__(self, settings: Settings, link: Link[Transport]) -> None:
        self._settings = settings
        self._link = link

    def send(self, call: Call[V], **options: Unpack[Options]) -> V:
        """Make a call and return its value.

        Args:
            call: what to ask, as a value.
            options: how (see `Options`), for this call only.

        Raises:
            PlexError: whatever Plex or the network did; its kinds are drawn in `ticketstub.errors`.
            ValueError: an option or the call itself is wrong; nothing was sent.
        """
        return self._exchange(call, options)[0]

    def attempt(self, call: Call[V], **options: Unpack[Options]) -> Outcome[V]:
        """Make a call and return `Ok(value, response)` or `Err(error, response)`; never raises a `PlexError`."""
        try:
            return Ok(*self._exchange(call, options))
        except PlexError as error:
            return Err(without_this_frame(error), error.response)

    def _exchange(self, call: Call[V], options: Options) -> tuple[V, Response]:
        settings = derived(self._settings, options) if options else self._settings
        transport = self._link.open()
        device = settings.device or self._link.remembered or self._link.remember()
        return run(exchange(call, settings, device, time.monotonic), transport)

    def follow(self, flow: Callable[[Caller], Flow[V]], **options: Unpack[Options]) -> V:
        """Run a flow: several calls that belong together (see `ticketstub.flows`).

        Args:
            flow: given who calls, makes the generator.
            options: how (see `Options`), for each of its calls.
        """
        settings = derived(self._settings, options) if options else self._settings
        transport = self._link.open()
        device = settings.device or self._link.remembered or self._link.remember()
        return run(flow(Caller(settings, device, SENSES, self._link.published)), transport)

    def with_options(self, **options: Unpack[Options]) -> Self:
        """Return a client with these options that shares this one's connections; this one stays as it is."""
        copy = object.__new__(type(self))
        Sender.__init__(copy, derived(self._settings, options), self._link)
        return copy

    def close(self) -> None:
        """Close the connections, also of the clients that share them. Using one of them later is an error."""
        if transport := self._link.close():
            transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._settings.server or self._settings.plex_tv}>"

    def identity(self, **options: Unpack[Options]) -> Identity:
        """Ask the media server who it is. No token is sent (documented)."""
        from ticketstub.wire.media_server import GetIdentity

        return self.send(GetIdentity(), **options)

    def server_information(self, **options: Unpack[Options]) -> ServerInformation:
        """Ask the media server about itself: name, version, platform, whether it is signed in (observed)."""
        from ticketstub.wire.media_server import GetServerInformation

        return self.send(GetServerInformation(), **options)
