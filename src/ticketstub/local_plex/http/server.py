"""Sockets, the HTTP server on them, and the thread in which it may run.

Rule: an address is taken before anything is said about it, and never shared with another program. One port speaks http
and, where there is a certificate, https, as the first byte of a connection says: a real media server does so at its one
port (observed). Of the server library only the connections are used.
"""

from __future__ import annotations

import asyncio
import contextlib
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
from ticketstub.local_plex.settings import Settings

# One would let newcomers wait for many rounds of a busy loop; all who wait would make its rounds long.
_ACCEPTS_PER_ROUND = 4
_TLS_HANDSHAKE = b"\x16"  # the kind of a TLS record that begins a connection (RFC 8446, 5.1)
_STOP_TIMEOUT = 10.0
_MAX_POLL_INTERVAL = 0.02
_CUT_TIMEOUT = 1.0


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
    listener = bind(host, port)
    listener.listen(BACKLOG)
    return listener


def bind(host: str, port: int) -> socket.socket:
    """Take an address without listening there: whoever connects is refused. Raises as `listen`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":  # there it would share the port; here it only skips the wait after a restart
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise _build_listen_error(host, port, error) from None
    listener.settimeout(0)
    return listener


def _build_listen_error(host: str, port: int, error: OSError) -> ListenError:
    import errno  # only failures need it

    if error.errno == errno.EADDRINUSE or (error.errno == errno.EACCES and port and sys.platform == "win32"):
        return PortInUse(host, port)
    if error.errno == errno.EACCES:
        return ListenError(f"port {port} of {host} is not for this user to take: name another one")
    return ListenError(f"{host}:{port} cannot be listened on: {error.strerror or error}")


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Make the fastest event loop there is here that can look at sockets."""
    if sys.platform == "win32":
        return asyncio.SelectorEventLoop()
    import uvloop  # it does not exist for Windows

    return uvloop.new_event_loop()


class ConnectionAcceptor:
    """Accepts connections, and lets each in by TLS or without it.

    The first byte is looked at and not taken, so whoever is let in sees all that came, from the client's own address.
    Who says nothing is let go after a while, and only so many may be undecided at once.

    Args:
        protocol: makes what is told of a connection that was let in.
        timeout: how long a client may take to say the first byte, and then to agree on TLS.
        max_pending: how many may be undecided at once.
        retry_seconds: how long nobody is accepted when the system has no file left for one.
    """

    def __init__(
        self, protocol: Callable[[], asyncio.Protocol], *, timeout: float, max_pending: int, retry_seconds: float = 1.0
    ) -> None:
        self.ssl_context: ssl.SSLContext | None = None
        """What TLS is ended with; without it nobody is looked at."""
        self.on_tls_failure: Callable[[int], None] = lambda _port: None
        """Told of the port at which TLS could not be agreed on."""
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._timeout = timeout
        self._max_pending = max_pending
        self._retry_seconds = retry_seconds
        self._listeners: list[socket.socket] = []
        self._pending: dict[asyncio.Task[None], int] = {}  # and the port that each came to
        self.handshaking = 0
        """How many are being let in, of whom nobody else knows yet."""

    def add_listener(self, listener: socket.socket) -> None:
        """Accept what comes to a listening socket, until it is closed here."""
        self._listeners.append(listener)
        self._start_accepting(listener)

    def close(self, port: int | None = None) -> None:
        """Close the listening sockets, of one port or all, and let go who is undecided there."""
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
            except OSError:  # no file is left: asking again at once would help nobody
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
                if first == _TLS_HANDSHAKE:
                    tls_options = {"ssl": self.ssl_context, "ssl_handshake_timeout": self._timeout}
            if not tls_options and (task := asyncio.current_task()):
                self._pending.pop(task)  # a request may begin at once, and is not cut any more
            self.handshaking += 1
            try:
                await self._loop.connect_accepted_socket(self._protocol, client, **tls_options)
            finally:
                self.handshaking -= 1
        except OSError:  # gone, silent, or no TLS that can be agreed on
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
        keep_alive: seconds that idle connections are kept, by port, where they are not the settings'.
        ssl_context: what TLS is ended with, on every port beside plain http; left out, there is no TLS at first.
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
        """What connections and requests there are."""
        self.state.default_headers = config.encoded_headers
        self._settings = settings
        protocol = partial(HttpConnection, config, self.state, settings, keep_alive)
        self.acceptor = ConnectionAcceptor(
            protocol, timeout=settings.head_seconds, max_pending=settings.max_connections
        )
        """Accepts connections, and speaks TLS once it has a context."""
        self.acceptor.ssl_context = ssl_context
        self._drop_stalled_clients()

    def _drop_stalled_clients(self) -> None:
        """See to it that clients read what they are sent."""
        for connection in self._list_connections():
            connection.drop_if_stalled()
        self._next_check = asyncio.get_running_loop().call_later(
            self._settings.unread_seconds, self._drop_stalled_clients
        )

    def open_port(self, listener: socket.socket) -> None:
        """Listen at an address that is taken."""
        listener.listen(BACKLOG)
        self.acceptor.add_listener(listener)

    async def close_port(self, port: int) -> None:
        """Listen on a port no longer, and cut its connections."""
        self.acceptor.close(port)
        for connection in self._list_connections_on(port):
            connection.transport.abort()
        deadline = time.monotonic() + _CUT_TIMEOUT
        while self._list_connections_on(port) and time.monotonic() < deadline:  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0.001)
        await asyncio.sleep(0)

    async def close(self) -> None:
        """Accept nothing more, answer what is under way for the settings' seconds, then cut what is left."""
        self.acceptor.close()
        self._next_check.cancel()
        state, deadline, wait = self.state, time.monotonic() + self._settings.stop_seconds, 0.0
        while (state.connections or state.tasks or self.acceptor.handshaking) and time.monotonic() < deadline:
            for connection in self._list_connections():  # also those that came at the last moment
                connection.close_gracefully()
            await asyncio.sleep(wait)
            wait = min(wait + 0.001, _MAX_POLL_INTERVAL)
        for task in list(self.state.tasks):
            task.cancel()
        for connection in self._list_connections():
            connection.transport.abort()
        await asyncio.sleep(0)  # the connections learn of it before the loop ends

    def close_connection(self, scope: Scope) -> None:
        """End the connection of a request, once what was sent on it has left."""
        for connection in self._list_connections():
            connection.close_if_serving(scope)

    def _list_connections_on(self, port: int) -> list[HttpConnection]:
        return [each for each in self._list_connections() if each.server is not None and each.server[1] == port]

    def _list_connections(self) -> list[HttpConnection]:
        return cast("list[HttpConnection]", list(self.state.connections))


ServeFunction = Callable[[Callable[[], None], asyncio.Event], Coroutine[None, None, None]]
"""Serves until the event is set; calls the function when it is ready."""


@contextlib.contextmanager
def run_in_thread(serve: ServeFunction, name: str) -> Generator[None, None, None]:
    """Serve for as long as the `with` lasts, in a thread with an event loop of its own.

    Whoever enters is let in when it is ready, and what goes wrong is raised there; on leaving it is over in seconds.

    Args:
        serve: what is run.
        name: the thread's.
    """
    ready, failure = threading.Event(), list[BaseException]()
    runner, stop = asyncio.Runner(loop_factory=new_event_loop), asyncio.Event()

    def run() -> None:
        try:
            with runner:
                runner.run(serve(ready.set, stop))
        except BaseException as error:  # noqa: BLE001  # it is raised again where it was entered
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
        with contextlib.suppress(RuntimeError):  # it ended by itself
            runner.get_loop().call_soon_threadsafe(stop.set)
        thread.join(_STOP_TIMEOUT)
    if failure:
        raise failure[0]
