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

from ticketstub.local_plex.http.server import HttpServer, bind

_FILLER_COUNT = 3
"""Connections that nobody accepts, of which the first one or two fill the queue of a port."""


class _ClosedPort(NamedTuple):
    """A port that is taken, and the connections that keep others out, where it hangs."""

    listener: socket.socket
    fillers: list[socket.socket]


class Ports:
    """The ports of a running local Plex.

    Args:
        server: listens on them.
        host: where.
        places: plex.tv and the media servers, by name.
    """

    def __init__(self, server: HttpServer, host: str, places: Mapping[str, tuple[int, ...]]) -> None:
        self._server = server
        self._host = host
        self._places = places
        self._closed: dict[int, _ClosedPort] = {}
        self._lock = asyncio.Lock()

    async def take_down(self, place: str, *, hangs: bool = False) -> None:
        """Let a place be unreachable; one that is down already is down in this way from now on.

        Raises:
            LookupError: there is no such place.
        """
        for port in self._find_ports(place):
            async with self._lock:
                if previous := self._closed.pop(port, None):
                    _close_sockets(previous.listener, *previous.fillers)
                await self._server.close_port(port)
                listener = bind(self._host, port)
                self._closed[port] = _ClosedPort(listener, _fill_backlog(listener) if hangs else [])

    async def bring_up(self, place: str) -> None:
        """Let a place be reached again, if it is down.

        Raises:
            LookupError: there is no such place.
        """
        for port in self._find_ports(place):
            await self._reopen(port)

    async def bring_all_up(self) -> None:
        """Let every place be reached."""
        for port in list(self._closed):
            await self._reopen(port)

    def get_state(self, port: int) -> Literal["refused", "silent", "answers"]:
        """Tell what becomes of connections to a port."""
        closed = self._closed.get(port)
        return "answers" if closed is None else "silent" if closed.fillers else "refused"

    def close(self) -> None:
        """Let go of the ports that are down."""
        for closed in self._closed.values():
            _close_sockets(closed.listener, *closed.fillers)
        self._closed.clear()

    def _find_ports(self, place: str) -> tuple[int, ...]:
        ports = self._places.get(place)
        if ports is None:
            raise LookupError(f"there is no such place; there are {', '.join(self._places)}")
        return ports

    async def _reopen(self, port: int) -> None:
        async with self._lock:
            if closed := self._closed.pop(port, None):
                _close_sockets(*closed.fillers)
                self._server.open_port(closed.listener)


def _fill_backlog(listener: socket.socket) -> list[socket.socket]:
    """Fill the queue of those that wait to be accepted: whoever comes then gets no answer, not even a refusal."""
    listener.listen(0)
    fillers = [socket.socket(listener.family, socket.SOCK_STREAM) for _ in range(_FILLER_COUNT)]
    for filler in fillers:
        filler.settimeout(0)
        filler.connect_ex(listener.getsockname())
    return fillers


def _close_sockets(*sockets: socket.socket) -> None:
    for each in sockets:
        each.close()
