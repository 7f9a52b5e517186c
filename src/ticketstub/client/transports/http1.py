"""The transport of `Plex`: the standard library's sockets, TLS and `http.client`, behind a small pool.

Rule: one request, one reply, or one error that says whether anything was sent; never a repetition. `connect`
connects, and `reply` reads. A connection is in the pool or in one exchange, never both: one exchange at a time, and
whatever ends one badly closes it. Only one that is young, open and silent comes out of the pool again; what the other
side closed meanwhile is thrown away before anything is sent on it. A forked child starts with none, for two processes
must not talk on one connection. `Unreachable.sent` is False only where no byte of the request was handed to the
operating system.
"""

from __future__ import annotations

import os
import socket
import ssl
from http.client import HTTPException
from threading import Lock
from time import monotonic

from ticketstub.client.transports.dial import Connector
from ticketstub.client.transports.failures import (
    make_cut_off_error,
    make_malformed_error,
    make_timeout_error,
    make_unreachable_error,
)
from ticketstub.client.transports.heads import METHODS_WITH_LENGTH, SleepMixin, prepare_request
from ticketstub.client.transports.proxies import FindProxy, find_proxy
from ticketstub.client.transports.reply import BadReply, SocketReader, SocketReply
from ticketstub.dns import Resolver, resolve_with_system
from ticketstub.messages import Origin, Request, Response


class StandardTransport(SleepMixin):
    """Sends for `Plex`, for many threads at once; see `base.Transport`.

    Args:
        resolver: looks names up.
        find_proxy: says which places are reached through a proxy; the default asks the environment.
        ssl_context: used for https as it is; the default checks certificates against the computer's authorities.
    """

    def __init__(
        self,
        *,
        resolver: Resolver = resolve_with_system,
        find_proxy: FindProxy = find_proxy,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._connector = Connector(resolver, find_proxy, ssl_context)
        self._pool = ConnectionPool()

    def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        """As `base.Transport.send`."""
        origin, target, fields, left = prepare_request(request, deadline)
        lines = [f"{request.method} {target} HTTP/1.1\r\nHost: {origin.host_header}".encode("ascii")]
        lines += [name + b": " + value for name, value in fields]
        if request.body or request.method in METHODS_WITH_LENGTH:
            lines.append(b"Content-Length: %d" % len(request.body))
        message = b"\r\n".join(lines) + b"\r\n\r\n" + request.body
        deadline = monotonic() + left
        connection = self._pool.acquire(origin)
        if connection is None:
            sock = self._connector.connect(origin, monotonic() + min(left, connect_timeout))
            connection = PooledConnection(sock, origin)
        try:
            response, reusable = connection.exchange(message, request.method, deadline)
        except BaseException:  # Ctrl-C too
            connection.close()
            raise
        if reusable:
            self._pool.release(connection)
        else:
            connection.close()
        return response

    def close(self) -> None:
        """Close the idle connections."""
        self._pool.close()


class PooledConnection:
    """A connected socket, TLS and tunnel included, to one place."""

    def __init__(self, sock: socket.socket, origin: Origin) -> None:
        self.origin = origin
        self._sock = sock
        self._reader = SocketReader(sock)
        self._sent = False

    def exchange(self, message: bytes, method: str, deadline: float) -> tuple[Response, bool]:
        """Send a request and read its response.

        Args:
            message: the request, head and body.
            method: its method, for a reply to HEAD has no body.
            deadline: when to give up, on the clock of `time.monotonic()`.

        Returns:
            The response, and whether the connection may be used again.

        Raises:
            Unreachable, TimedOut, MalformedReply: as `Transport.send`.
        """
        self._reader.deadline, self._reader.has_received, self._sent = deadline, False, False
        try:
            self._write(message, deadline)
            reply = SocketReply(self._reader, method)
            reply.begin()
            return reply.read_response(), reply.is_reusable
        except TimeoutError:
            raise make_timeout_error(self.origin, sent=self._sent) from None
        except OSError as error:
            if self._reader.has_received:
                raise make_cut_off_error(self.origin) from None
            raise make_unreachable_error(self.origin, error, sent=self._sent) from None
        except HTTPException as error:
            raise (
                make_malformed_error(self.origin, str(error))
                if isinstance(error, BadReply)
                else make_cut_off_error(self.origin)
            ) from None

    def _write(self, message: bytes, deadline: float) -> None:
        rest = memoryview(message)
        # A failed write of a TLS record may have left a part of it: nobody can say.
        self._sent = isinstance(self._sock, ssl.SSLSocket)
        while rest:
            if (left := deadline - monotonic()) <= 0:
                raise TimeoutError
            self._sock.settimeout(left)
            rest = rest[self._sock.send(rest) :]
            self._sent = True

    def is_usable(self) -> bool:
        """Whether an idle connection is still open and nothing came on it unasked."""
        try:
            self._sock.settimeout(0)
            self._sock.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Close the socket; never fails."""
        self._sock.close()


class _IdleConnections:
    """One process's idle connections, the oldest first, and their lock."""

    def __init__(self) -> None:
        self.process_id = os.getpid()
        self.lock = Lock()
        self.idle: list[tuple[PooledConnection, float]] = []


class ConnectionPool:
    """Idle connections to all places; safe to share between threads.

    Args:
        max_size: how many are kept, of all places together.
        max_idle: how long each is kept. Servers close theirs from 5 s on (uvicorn), and firewalls forget them.
    """

    def __init__(self, max_size: int = 16, max_idle: float = 15.0) -> None:
        self._max_size = max_size
        self._max_idle = max_idle
        self._current = _IdleConnections()

    @property
    def _idle(self) -> _IdleConnections:
        if (
            idle := self._current
        ).process_id != os.getpid():  # a child: the lock may be held by a thread that is not here
            self._current = _IdleConnections()
            for connection, _ in idle.idle:  # closes the child's copies only: nothing goes out, the parent's go on
                connection.close()
        return self._current

    def acquire(self, origin: Origin) -> PooledConnection | None:
        """Return the connection to a place that was used last and is still good, if there is one."""
        while (connection := self._pop_last(origin)) is not None:
            if connection.is_usable():
                return connection
            connection.close()
        return None

    def _pop_last(self, origin: Origin) -> PooledConnection | None:
        idle, oldest = self._idle, monotonic() - self._max_idle
        with idle.lock:
            while idle.idle and idle.idle[0][1] < oldest:
                idle.idle.pop(0)[0].close()
            for index in range(len(idle.idle) - 1, -1, -1):
                if idle.idle[index][0].origin == origin:
                    return idle.idle.pop(index)[0]
        return None

    def release(self, connection: PooledConnection) -> None:
        """Keep a connection whose exchange has ended well."""
        idle = self._idle
        with idle.lock:
            idle.idle.append((connection, monotonic()))
            if len(idle.idle) > self._max_size:
                idle.idle.pop(0)[0].close()

    def close(self) -> None:
        """Close every idle connection."""
        idle = self._idle
        with idle.lock:
            connections, idle.idle = idle.idle, []
        for connection, _ in connections:
            connection.close()
