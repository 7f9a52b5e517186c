"""Sockets and the HTTP server on them.

Rule: an address is taken before anything is said about it, and never shared with another program. The server library
is kept from handling signals: those decide the command's exit status.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Generator, Mapping

import uvicorn

from ticketstub.server.connections import BACKLOG, Application, Config, Connection
from ticketstub.server.requests import Scope
from ticketstub.server.settings import Settings

_TICK = 0.05


class ListenError(Exception):
    """An address cannot be listened on; the message says which and why."""


class PortInUse(ListenError):
    """Another program listens on the port.

    Attributes:
        port: that one.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"port {port} of {host} is in use by another program: end that, or name another port")
        self.port = port


def listen(host: str, port: int) -> socket.socket:
    """Take an address; port 0 takes a free one.

    Raises:
        PortInUse: another program has it.
        ListenError: it cannot be taken for another reason.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":  # there it would share the port; here it only skips the wait after a restart
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _explained(host, port, error) from None
    listener.settimeout(0)
    return listener


def _explained(host: str, port: int, error: OSError) -> ListenError:
    import errno  # only failures need it

    if error.errno in {errno.EADDRINUSE, errno.EACCES} and port and sys.platform == "win32":
        return PortInUse(host, port)
    if error.errno == errno.EADDRINUSE:
        return PortInUse(host, port)
    return ListenError(f"{host}:{port} cannot be listened on: {error.strerror or error}")


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Make the fastest event loop there is here."""
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop  # it does not exist for Windows

    return uvloop.new_event_loop()


class Server(uvicorn.Server):
    """The HTTP server, ended by `should_exit` alone.

    Args:
        app: the application.
        settings: the limits.
        keep_alive: seconds that idle connections are kept, by port, where they are not the settings'.
    """

    def __init__(self, app: Application, settings: Settings, keep_alive: Mapping[int, int]) -> None:
        super().__init__(Config(app, settings, keep_alive))

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals to the command, whose exit status they decide."""
        yield

    async def main_loop(self) -> None:
        """Wait for the end, and do what the library does once a second."""
        counter = 0
        while not await self.on_tick(counter):
            await asyncio.sleep(_TICK)
            counter = (counter + 1) % 20

    def abandon(self) -> None:
        """Cut whatever connection is left."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    def cut(self, scope: Scope) -> None:
        """End the connection of a request, once what was sent on it has left."""
        connections: list[object] = list(self.server_state.connections)
        for connection in connections:
            if isinstance(connection, Connection):
                connection.close_if_it_serves(scope)
