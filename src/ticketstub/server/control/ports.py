"""Places that cannot be reached: ports on which nobody listens, or where nobody answers.

Rule: a port that is down stays taken, so that the place comes up again where it was. Down is as after a crash: the
connections are cut, and new ones are refused at once; or, where it `hangs`, as behind a dead address: on Linux no
connection comes about, elsewhere none is ever answered. The control port is no place, and always up.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Mapping
from typing import NamedTuple

from ticketstub.server.listening import PortInUse, Server, take

_CLOSING = 100
"""How often to look whether the event loop has let go of a port, a millisecond apart."""
_FILLING = 3
"""Connections that nobody accepts, of which the first one or two fill the queue of a port."""


class _Down(NamedTuple):
    """A port that is taken, and the connections that keep others out."""

    taken: socket.socket
    filling: contextlib.ExitStack
    hangs: bool


class Ports:
    """The ports of a running local Plex.

    Args:
        server: listens on them.
        host: where.
        places: plex.tv and the media servers, by name.
    """

    def __init__(self, server: Server, host: str, places: Mapping[str, tuple[int, ...]]) -> None:
        self._server = server
        self._host = host
        self._places = places
        self._down: dict[int, _Down] = {}
        self._opened: list[socket.socket] = []
        self._one_after_the_other = asyncio.Lock()

    async def take_down(self, place: str, *, hangs: bool = False) -> None:
        """Let a place be unreachable; one that is down already is down in this way from now on.

        Raises:
            LookupError: there is no such place.
        """
        for port in self._ports(place):
            async with self._one_after_the_other:
                await self._close(port, hangs=hangs)

    async def bring_up(self, place: str) -> None:
        """Let a place be reached again, if it is down.

        Raises:
            LookupError: there is no such place.
        """
        for port in self._ports(place):
            await self._open(port)

    async def bring_all_up(self) -> None:
        """Let every place be reached."""
        for port in list(self._down):
            await self._open(port)

    def is_down(self, port: int) -> bool:
        """Tell whether connections to a port are refused."""
        down = self._down.get(port)
        return down is not None and not down.hangs

    def hangs(self, port: int) -> bool:
        """Tell whether connections to a port come to nothing."""
        down = self._down.get(port)
        return down is not None and down.hangs

    def close(self) -> None:
        """Let go of the ports that are down, or were."""
        for down in self._down.values():
            _let_go(down)
        self._down.clear()
        for listener in self._opened:
            listener.close()

    def _ports(self, place: str) -> tuple[int, ...]:
        ports = self._places.get(place)
        if ports is None:
            raise LookupError(f"there is no such place; there are {', '.join(self._places)}")
        return ports

    async def _close(self, port: int, *, hangs: bool) -> None:
        if (before := self._down.pop(port, None)) is not None:
            _let_go(before)
        await self._server.close_port(port)
        down = self._down[port] = _Down(await self._taken(port), contextlib.ExitStack(), hangs)
        if hangs:
            _fill(down)

    async def _taken(self, port: int) -> socket.socket:
        """Take a port that was just closed: the event loop lets go of it a little later."""
        for _ in range(_CLOSING):
            with contextlib.suppress(PortInUse):
                return take(self._host, port)
            await asyncio.sleep(0.001)
        return take(self._host, port)

    async def _open(self, port: int) -> None:
        async with self._one_after_the_other:
            down = self._down.pop(port, None)
            if down is not None:
                down.filling.close()
                self._opened.append(down.taken)
                self._server.open_port(down.taken)


def _fill(down: _Down) -> None:
    """Fill the queue of those that wait to be accepted: whoever comes then gets no answer, not even a refusal."""
    down.taken.listen(0)
    for _ in range(_FILLING):
        one = down.filling.enter_context(socket.socket(down.taken.family, socket.SOCK_STREAM))
        one.settimeout(0)
        one.connect_ex(down.taken.getsockname())


def _let_go(down: _Down) -> None:
    down.filling.close()
    down.taken.close()
