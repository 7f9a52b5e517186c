"""Two connections joined into one: what comes on the one goes out on the other.

Rule: nothing is kept but what the transports hold: who cannot send stops who would bring more. A pair ends together,
within a bounded time, also where one side is silent, half closed or reads nothing; where one side fails, the other sees
no proper end of TLS either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_LINGERS = 5.0
_HALF_CLOSED = 30.0


class Pair:
    """A client's connection (near) and one to where it wants to go (far).

    Args:
        idle_seconds: ends it where nothing came for so long.
    """

    def __init__(self, idle_seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._idle = idle_seconds
        self._stirred = self._loop.time()
        self.over = self._loop.create_future()
        """Done when both connections are closed."""
        self.near, self.far = Leg(self), Leg(self)
        self.near.other, self.far.other = self.far, self.near
        self._timer = self._loop.call_later(idle_seconds, self._look)

    def stir(self) -> None:
        """Note that something came."""
        self._stirred = self._loop.time()

    def half_closed(self) -> None:
        """Give the other half less time than a whole pair has."""
        self._idle = min(self._idle, _HALF_CLOSED)
        self._again(self._idle)

    def end(self, *, abruptly: bool = False) -> None:
        """Close both sides once what is under way has been sent, if that does not take for ever.

        Args:
            abruptly: whether a side of which everything has been sent is cut.
        """
        if self.near.closed and self.far.closed:
            self._timer.cancel()
            if not self.over.done():
                self.over.set_result(None)
            return
        self.near.close(abruptly=abruptly)
        self.far.close(abruptly=abruptly)
        self._timer.cancel()
        self._timer = self._loop.call_later(_LINGERS, self.abort)

    def abort(self) -> None:
        """Cut both sides now."""
        self._timer.cancel()
        self.near.abort()
        self.far.abort()

    def _look(self) -> None:
        left = self._stirred + self._idle - self._loop.time()
        if left <= 0:
            self.abort()
        else:
            self._again(left)

    def _again(self, seconds: float) -> None:
        self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._look)


class Leg(asyncio.Protocol):
    """One side of a pair.

    Attributes:
        passes: returns what of the bytes that come here goes to the other side; `None`: all of them.
        heard: whether anything came here.
    """

    other: Leg
    passes: Callable[[bytes], bytes] | None = None
    heard = False

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._transport: asyncio.Transport | None = None
        self._held = False
        self._lost = False

    @property
    def closed(self) -> bool:
        """Whether there is no connection here, not yet or not any more."""
        return self._lost or self._transport is None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # what streams have
        """Begin; see asyncio.Protocol, as below."""
        self.join(transport)

    def join(self, transport: asyncio.Transport) -> None:
        """Take over a connection."""
        self._transport = transport
        if self._held:
            self.hold()

    def data_received(self, data: bytes) -> None:
        """Pass on."""
        self.heard = True
        passed = data if self.passes is None else self.passes(data)
        if passed:
            self._pair.stir()
            self.other.write(passed)

    def write(self, data: bytes) -> None:
        """Send."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def pause_writing(self) -> None:
        """Let nothing more come from the other side for now."""
        self.other.hold()

    def resume_writing(self) -> None:
        """Let more come."""
        self._pair.stir()
        self.other.release()

    def hold(self) -> None:
        """Read nothing, until released."""
        self._held = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def release(self) -> None:
        """Read on."""
        self._held = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def eof_received(self) -> bool:
        """Pass on that nothing more comes; plain connections stay open the other way."""
        self._pair.half_closed()
        self.other.finish()
        return self._transport is not None and self._transport.can_write_eof()

    def finish(self) -> None:
        """Say that nothing more comes: by closing, where that cannot be said for one direction (TLS)."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the pair."""
        self._lost = True
        self._pair.end(abruptly=exc is not None)

    def close(self, *, abruptly: bool) -> None:
        """Close once everything has been sent."""
        if self._transport is None:
            return
        if abruptly and not self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._transport.close()

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()
