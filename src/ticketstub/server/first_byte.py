"""Lets connections in by TLS or without it, as their first byte says: one port speaks http and https.

Rule: a real media server does so at its one port (observed). The byte is looked at and not taken, so whoever is let in
sees all that came, from the client's own address. Who says nothing is let go after a while, and only so many may be
undecided at once.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

_HANDSHAKE = b"\x16"  # the kind of a TLS record that begins a connection (RFC 8446, 5.1)


class Doorkeeper:
    """Accepts connections. It needs an event loop that watches sockets: on Windows, not the default one.

    Args:
        protocol: makes what is told of a connection that was let in.
        context: what TLS is ended with.
        seconds: how long a client may take to say the first byte, and then to agree on TLS.
        most: how many may be undecided at once.
        pause: how long nobody is accepted when the system has no file left for one.
    """

    def __init__(
        self,
        protocol: Callable[[], asyncio.Protocol],
        context: ssl.SSLContext,
        *,
        seconds: float,
        most: int,
        pause: float = 1.0,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._context = context
        self._seconds = seconds
        self._most = most
        self._pause = pause
        self._listeners: list[socket.socket] = []
        self._undecided: dict[asyncio.Task[None], int] = {}  # and the port that each came to

    def open(self, listener: socket.socket) -> None:
        """Accept what comes to a listening socket, until it is closed here."""
        self._listeners.append(listener)
        self._watch(listener)

    def close(self) -> None:
        """Accept nothing more, and let go who is undecided."""
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            self._loop.remove_reader(listener)
            listener.close()
        for task in self._undecided:
            task.cancel()

    def shut(self, port: int) -> None:
        """Close the listening sockets of a port, and let go who is undecided there."""
        for listener in [each for each in self._listeners if each.getsockname()[1] == port]:
            self._listeners.remove(listener)
            self._loop.remove_reader(listener)
            listener.close()
        for task in [each for each, at in self._undecided.items() if at == port]:
            task.cancel()

    def _watch(self, listener: socket.socket) -> None:
        if listener in self._listeners:
            self._loop.add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        try:
            comer, _ = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError:  # no file is left: asking again at once would help nobody
            self._loop.remove_reader(listener)
            self._loop.call_later(self._pause, self._watch, listener)
            return
        comer.settimeout(0)
        if len(self._undecided) >= self._most:
            comer.close()
            return
        task = self._loop.create_task(self._let_in(comer))
        self._undecided[task] = listener.getsockname()[1]
        task.add_done_callback(self._undecided.pop)

    async def _let_in(self, comer: socket.socket) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                first = await self._first_byte(comer)
            if first == _HANDSHAKE:
                await self._loop.connect_accepted_socket(
                    self._protocol, comer, ssl=self._context, ssl_handshake_timeout=self._seconds
                )
            elif first:
                await self._loop.connect_accepted_socket(self._protocol, comer)
            else:
                comer.close()
        except OSError:  # gone, silent, or no TLS that can be agreed on
            comer.close()
        except asyncio.CancelledError:
            comer.close()
            raise

    async def _first_byte(self, comer: socket.socket) -> bytes:
        while True:
            try:
                return comer.recv(1, socket.MSG_PEEK)
            except (BlockingIOError, InterruptedError):
                await self._readable(comer)

    async def _readable(self, comer: socket.socket) -> None:
        came: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(comer, _tell, came)
        try:
            await came
        finally:
            self._loop.remove_reader(comer)


def _tell(came: asyncio.Future[None]) -> None:
    if not came.done():
        came.set_result(None)
