"""Places that cannot be reached: ports on which nobody listens, or where nobody answers.

Rule: a port that is down stays taken, so that the place comes up again where it was. Down is as after a crash: the
connections are cut, and new ones are refused at once; or, where it `hangs`, as behind a dead address: on Linux no
connection comes about, elsewhere none is ever answered. The control port is no place, and always up.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from typing import Literal, NamedTuple

from ticketstub.local_plex.http.server import Server, take

_FILLING = 3
"""Connections that nobody accepts, of which the first one or two fill the queue of a port."""


class _Down(NamedTuple):
    """A port that is taken, and the connections that keep others out, where it hangs."""

    taken: socket.socket
    filling: list[socket.socket]


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
        self._one_after_the_other = asyncio.Lock()

    async def take_down(self, place: str, *, hangs: bool = False) -> None:
        """Let a place be unreachable; one that is down already is down in this way from now on.

        Raises:
            LookupError: there is no such place.
        """
        for port in self._ports(place):
            async with self._one_after_the_other:
                if before := self._down.pop(port, None):
                    _close(before.taken, *before.filling)
                await self._server.close_port(port)
                taken = take(self._host, port)
                self._down[port] = _Down(taken, _filled(taken) if hangs else [])

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

    def reach(self, port: int) -> Literal["refused", "silent", "answers"]:
        """Tell what becomes of connections to a port."""
        down = self._down.get(port)
        return "answers" if down is None else "silent" if down.filling else "refused"

    def close(self) -> None:
        """Let go of the ports that are down."""
        for down in self._down.values():
            _close(down.taken, *down.filling)
        self._down.clear()

    def _ports(self, place: str) -> tuple[int, ...]:
        ports = self._places.get(place)
        if ports is None:
            raise LookupError(f"there is no such place; there are {', '.join(self._places)}")
        return ports

    async def _open(self, port: int) -> None:
        async with self._one_after_the_other:
            if down := self._down.pop(port, None):
                _close(*down.filling)
                self._server.open_port(down.taken)


def _filled(taken: socket.socket) -> list[socket.socket]:
    """Fill the queue of those that wait to be accepted: whoever comes then gets no answer, not even a refusal."""
    taken.listen(0)
    filling = [socket.socket(taken.family, socket.SOCK_STREAM) for _ in range(_FILLING)]
    for one in filling:
        one.settimeout(0)
        one.connect_ex(taken.getsockname())
    return filling


def _close(*sockets: socket.socket) -> None:
    for each in sockets:
        each.close()
