"""Sockets, the HTTP server on them, and a thread to run it in.

Rule: an address is bound before it is advertised, and never shared with another program. A port speaks HTTP and, with a
TLS context, also HTTPS; the first byte of a connection selects one, as on the single port of a real media server
(observed). Only the connection class of the server library is used.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Generator, Mapping
from functools import partial
from typing import Any, cast

from uvicorn.server import ServerState

from ticketstub.local_plex.http.connections import BACKLOG, Application, HttpConnection, build_uvicorn_config
from ticketstub.local_plex.http.request import Scope
from ticketstub.local_plex.http.response import WebSocketResponse
from ticketstub.local_plex.settings import Settings

# With 1, new clients would wait for many rounds of a busy loop; without a limit, its rounds would take long.
_ACCEPTS_PER_ROUND = 4
TLS_HANDSHAKE = b"\x16"
"""The first byte of a TLS connection: the type of its first record (RFC 8446, 5.1)."""
_STOP_TIMEOUT = 10.0  # seconds to wait for the thread to end
_MAX_POLL_INTERVAL = 0.02  # seconds
_CUT_TIMEOUT = 1.0  # seconds to wait for aborted connections to end


class ListenError(Exception):
    """The server cannot listen on an address; the message says which and why."""


class PortInUse(ListenError):
    """Another program is listening on the port.

    Attributes:
        port: the port.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"port {port} of {host} is in use by another program: stop it, or choose another port")
        self.port = port


def listen(host: str, port: int) -> socket.socket:
    """Bind an address and listen on it; port 0 selects a free port.

    Raises:
        PortInUse: another program is listening on it.
        ListenError: binding fails for another reason.
    """
    listener = bind(host, port)
    listener.listen(BACKLOG)
    return listener


def bind(host: str, port: int) -> socket.socket:
    """Bind an address without listening: connections are refused. Raises what `listen` raises."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":  # there it would share the port; here it avoids a wait after a restart
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        is_denied = error.errno == errno.EACCES
        if error.errno == errno.EADDRINUSE or (is_denied and port and sys.platform == "win32"):
            raise PortInUse(host, port) from None
        if is_denied:
            raise ListenError(f"this user may not listen on port {port} of {host}: choose another port") from None
        raise ListenError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
    listener.settimeout(0)
    return listener


def fill_backlog(listener: socket.socket) -> list[socket.socket]:
    """Fill a bound socket's queue, so that clients get no answer, not even a refusal.

    On Linux their connections are never established; on other systems they are, but never answered. It lasts until
    the returned sockets are closed.
    """
    listener.listen(0)
    fillers = [socket.socket(listener.family, socket.SOCK_STREAM) for _ in range(3)]  # one or two fill it
    for filler in fillers:
        filler.settimeout(0)
        filler.connect_ex(listener.getsockname())
    return fillers


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Create the fastest event loop for this system that can watch sockets."""
    if sys.platform == "win32":
        return asyncio.SelectorEventLoop()
    import uvloop  # it does not exist for Windows

    return uvloop.new_event_loop()


class ConnectionAcceptor:
    """Accepts connections with or without TLS.

    It peeks at the first byte, so that the protocol receives everything that the client sent, from the client's own
    address. A silent client is disconnected, and the number of undecided connections is limited.

    Args:
        protocol: makes the protocol of an accepted connection.
        timeout: how many seconds a client has for its first byte, and then for the TLS handshake.
        max_pending: how many connections may be undecided at once.
        retry_seconds: how long to wait if the system has no free file descriptor.
    """

    def __init__(
        self, protocol: Callable[[], asyncio.Protocol], *, timeout: float, max_pending: int, retry_seconds: float = 1.0
    ) -> None:
        self.ssl_context: ssl.SSLContext | None = None
        """The TLS context; without it, no connection is inspected."""
        self.on_tls_failure: Callable[[int], None] = lambda _port: None
        """Called with the port of a failed TLS handshake."""
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._timeout = timeout
        self._max_pending = max_pending
        self._retry_seconds = retry_seconds
        self._listeners: list[socket.socket] = []
        self._pending: dict[asyncio.Task[None], int] = {}  # and the port of each
        self.handshaking = 0
        """How many connections are being handed to their protocol, and are not yet among the server's connections."""

    def add_listener(self, listener: socket.socket) -> None:
        """Accept connections on a listening socket, until `close`."""
        self._listeners.append(listener)
        self._start_accepting(listener)

    def close(self, port: int | None = None) -> None:
        """Close the listening sockets and the undecided connections, of one port or of all."""
        for listener in [each for each in self._listeners if port in {None, each.getsockname()[1]}]:
            self._listeners.remove(listener)
            self._loop.remove_reader(listener)
            listener.close()
        for task in [each for each, at in self._pending.items() if port in {None, at}]:
            task.cancel()

    def _start_accepting(self, listener: socket.socket) -> None:
        if listener in self._listeners:
            self._loop.add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        port = listener.getsockname()[1]
        for _ in range(_ACCEPTS_PER_ROUND):
            try:
                client, _address = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # no free file descriptor: retrying at once would not help
                self._loop.remove_reader(listener)
                self._loop.call_later(self._retry_seconds, self._start_accepting, listener)
                return
            client.settimeout(0)
            if len(self._pending) >= self._max_pending:
                client.close()
                continue
            task = self._loop.create_task(self._admit(client, port))
            self._pending[task] = port
            task.add_done_callback(lambda done: self._pending.pop(done, None))

    async def _admit(self, client: socket.socket, port: int) -> None:
        tls_options: dict[str, Any] = {}
        try:
            if self.ssl_context is not None:
                async with asyncio.timeout(self._timeout):
                    first = await self._peek_first_byte(client)
                if first == TLS_HANDSHAKE:
                    tls_options = {"ssl": self.ssl_context, "ssl_handshake_timeout": self._timeout}
            if not tls_options and (task := asyncio.current_task()):
                self._pending.pop(task)  # a request may begin now, and must not be interrupted
            self.handshaking += 1
            try:
                await self._loop.connect_accepted_socket(self._protocol, client, **tls_options)
            finally:
                self.handshaking -= 1
        except OSError:  # closed, silent, or a failed handshake
            client.close()
            if tls_options:
                self.on_tls_failure(port)
        except asyncio.CancelledError:
            client.close()
            raise

    async def _peek_first_byte(self, client: socket.socket) -> bytes:
        readable = asyncio.Event()
        self._loop.add_reader(client, readable.set)
        try:
            await readable.wait()
        finally:
            self._loop.remove_reader(client)
        return client.recv(1, socket.MSG_PEEK)


class HttpServer:
    """The HTTP server.

    Args:
        app: the application.
        settings: the limits.
        keep_alive: how many seconds to keep idle connections, by port; other ports use the settings' value.
        ssl_context: the TLS context for every port, beside plain HTTP; without it, TLS is off at first.
    """

    def __init__(
        self,
        app: Application,
        settings: Settings,
        keep_alive: Mapping[int, int],
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        config = build_uvicorn_config(app, settings)
        self.state = ServerState()
        """The server library's record of connections and requests."""
        self.state.default_headers = config.encoded_headers
        self._settings = settings
        protocol = partial(HttpConnection, config, self.state, settings, keep_alive)
        self.acceptor = ConnectionAcceptor(
            protocol, timeout=settings.head_seconds, max_pending=settings.max_connections
        )
        """Accepts the connections."""
        self.acceptor.ssl_context = ssl_context
        self._drop_stalled_clients()

    def _drop_stalled_clients(self) -> None:
        """Drop clients that do not read their replies, now and at intervals."""
        for connection in self._list_connections():
            connection.drop_if_stalled()
        self._next_check = asyncio.get_running_loop().call_later(
            self._settings.unread_seconds, self._drop_stalled_clients
        )

    def open_port(self, listener: socket.socket) -> None:
        """Start to listen on a bound socket."""
        listener.listen(BACKLOG)
        self.acceptor.add_listener(listener)

    async def close_port(self, port: int) -> None:
        """Stop listening on a port and abort its connections."""
        self.acceptor.close(port)
        for connection in self._list_connections_on(port):
            connection.cut()
        deadline = time.monotonic() + _CUT_TIMEOUT
        while self._list_connections_on(port) and time.monotonic() < deadline:  # noqa: ASYNC110  # there is no event for it
            await asyncio.sleep(0.001)
        for connection in self._list_connections_on(port):
            connection.transport.abort()
        await asyncio.sleep(0)

    async def close(self) -> None:
        """Stop accepting, give open requests `stop_seconds` to finish, then abort the rest."""
        self.acceptor.close()
        self._next_check.cancel()
        state, deadline, wait = self.state, time.monotonic() + self._settings.stop_seconds, 0.0
        while (state.connections or state.tasks or self.acceptor.handshaking) and time.monotonic() < deadline:
            for connection in self._list_connections():  # including the most recent ones
                connection.close_gracefully()
            await asyncio.sleep(wait)
            wait = min(wait + 0.001, _MAX_POLL_INTERVAL)
        for task in list(self.state.tasks):
            task.cancel()
        for connection in self._list_connections():
            connection.transport.abort()
        await asyncio.sleep(0)  # the connections are notified before the loop ends

    def close_connection(self, scope: Scope) -> None:
        """Close the connection of a request, after its pending data is sent."""
        for connection in self._list_connections():
            connection.close_if_serving(scope)

    def open_websocket(self, scope: Scope, response: WebSocketResponse) -> bool:
        """Give a WebSocket the connection of its request; return whether that still has it for itself."""
        for connection in self._list_connections():
            if connection.scope is scope:
                connection.start_websocket(response.socket)
                response.on_start()
                return True
        return False

    def _list_connections_on(self, port: int) -> list[HttpConnection]:
        return [each for each in self._list_connections() if each.server is not None and each.server[1] == port]

    def _list_connections(self) -> list[HttpConnection]:
        return cast("list[HttpConnection]", list(self.state.connections))


ServeFunction = Callable[[Callable[[], None], asyncio.Event], Coroutine[None, None, None]]
"""Serves until the event is set, and calls the function when it is ready."""


@contextlib.contextmanager
def run_in_thread(serve: ServeFunction, name: str) -> Generator[None, None, None]:
    """Serve in a thread with its own event loop for the duration of the `with` block.

    The block starts when the server is ready. An error of the server is raised here.

    Args:
        serve: the server.
        name: the thread's name.
    """
    ready, failure = threading.Event(), list[BaseException]()
    runner, stop = asyncio.Runner(loop_factory=new_event_loop), asyncio.Event()

    def run() -> None:
        try:
            with runner:
                runner.run(serve(ready.set, stop))
        except BaseException as error:  # noqa: BLE001  # raised again in the calling thread
            failure.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    ready.wait()
    try:
        if not failure:
            yield
    finally:
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            runner.get_loop().call_soon_threadsafe(stop.set)
        thread.join(_STOP_TIMEOUT)
    if failure:
        raise failure[0]
