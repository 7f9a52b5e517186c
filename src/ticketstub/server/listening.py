"""Sockets and the HTTP server on them.

Rule: an address is taken before anything is said about it, and never shared with another program. The server library
is kept from handling signals: those decide the command's exit status.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import sys
import time
from collections.abc import Generator, Mapping

import uvicorn

from ticketstub.server.connections import BACKLOG, Application, Config, Connection
from ticketstub.server.first_byte import Doorkeeper
from ticketstub.server.requests import Scope
from ticketstub.server.settings import Settings

_TICK = 0.02
_CUT_WITHIN = 1.0


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
    """Take an address and listen there; port 0 takes a free one.

    Raises:
        PortInUse: another program has it.
        ListenError: it cannot be taken for another reason.
    """
    listener = take(host, port)
    listener.listen(BACKLOG)
    return listener


def take(host: str, port: int) -> socket.socket:
    """Take an address without listening there: whoever connects is refused. Raises as `listen`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":  # there it would share the port; here it only skips the wait after a restart
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
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
    if error.errno == errno.EACCES:
        return ListenError(f"port {port} of {host} is not for this user to take: name another one")
    return ListenError(f"{host}:{port} cannot be listened on: {error.strerror or error}")


def new_event_loop(*, looks_at_sockets: bool = False) -> asyncio.AbstractEventLoop:
    """Make the fastest event loop there is here.

    Args:
        looks_at_sockets: whether https is answered too (`first_byte.py`), which Windows' own fast one is not made for.
    """
    if sys.platform == "win32":
        return asyncio.SelectorEventLoop() if looks_at_sockets else asyncio.new_event_loop()
    import uvloop  # it does not exist for Windows

    return uvloop.new_event_loop()


class Server(uvicorn.Server):
    """The HTTP server, ended by `end` alone.

    Args:
        app: the application.
        settings: the limits.
        keep_alive: seconds that idle connections are kept, by port, where they are not the settings'.
        context: what TLS is ended with, on every port beside plain http; left out, there is no TLS.
    """

    def __init__(
        self,
        app: Application,
        settings: Settings,
        keep_alive: Mapping[int, int],
        context: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(Config(app, settings, keep_alive))
        self._settings = settings
        self._context = context
        self._doorkeeper: Doorkeeper | None = None
        self._over = asyncio.Event()

    def end(self) -> None:
        """Accept nothing more, answer what is under way, and return from `serve`."""
        self.should_exit = True
        self._over.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections."""
        if self._context is None:
            await super().startup(sockets)
            return
        await super().startup([])
        seconds, most = self._settings.head_seconds, self._settings.connections
        self._doorkeeper = Doorkeeper(self._connection, self._context, seconds=seconds, most=most)
        for listener in sockets or []:
            self._doorkeeper.open(listener)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept nothing more, and end once all is answered or the settings' seconds are over.

        The library's own does the same, and sleeps a tenth of a second where there is nothing to wait for.
        """
        if self._doorkeeper is not None:
            self._doorkeeper.close()
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        state = self.server_state
        for connection in list(state.connections):
            connection.shutdown()
        ends, wait = time.monotonic() + self._settings.stop_seconds, 0.0
        while (state.connections or state.tasks) and time.monotonic() < ends:
            await asyncio.sleep(wait)
            wait = min(wait + 0.001, _TICK)
        for task in list(state.tasks):
            task.cancel()

    def _connection(self) -> Connection:
        return Connection(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals to the command, whose exit status they decide."""
        yield

    async def main_loop(self) -> None:
        """Wait for the end; what the library does once a second, it needs to do once (it writes no dates here)."""
        await self.on_tick(0)
        await self._over.wait()

    async def close_port(self, port: int) -> None:
        """Listen on a port no longer, and cut its connections."""
        for server in list(self.servers):
            if any(each.getsockname()[1] == port for each in server.sockets):
                self.servers.remove(server)
                server.close()
        if self._doorkeeper is not None:
            self._doorkeeper.shut(port)
        for connection in self._connections_of(port):
            connection.transport.abort()
        deadline = time.monotonic() + _CUT_WITHIN
        while self._connections_of(port) and time.monotonic() < deadline:  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0.001)
        await asyncio.sleep(0)

    def _connections_of(self, port: int) -> list[Connection]:
        connections: list[object] = list(self.server_state.connections)
        found = [each for each in connections if isinstance(each, Connection)]
        return [each for each in found if each.server is not None and each.server[1] == port]

    async def open_port(self, listener: socket.socket) -> None:
        """Listen at an address that is taken, as at those that this one started with."""
        if self._doorkeeper is not None:
            listener.listen(BACKLOG)
            self._doorkeeper.open(listener)
            return
        loop = asyncio.get_running_loop()
        self.servers.append(await loop.create_server(self._connection, sock=listener, backlog=BACKLOG))

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
