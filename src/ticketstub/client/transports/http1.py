"""The transport of `Plex`: the standard library's sockets, TLS and `http.client`, behind a small pool.

Rule: one request, one reply, or one error that says whether anything was sent; never a repetition. `dial` connects, and
`reply` reads. A connection is in the pool or in one exchange, never both: one exchange at a time, and whatever ends one
badly closes it. Only one that is young, open and silent comes out of the pool again; what the other side closed
meanwhile is thrown away before anything is sent on it. A forked child starts with none, for two processes must not talk
on one connection. `Unreachable.sent` is False only where no byte of the request was handed to the operating system.
"""

from __future__ import annotations

import os
import socket
import ssl
from http.client import HTTPException
from threading import Lock
from time import monotonic

from ticketstub.client.transports.dial import Dialler
from ticketstub.client.transports.failures import cut_off, malformed, timed_out, unreachable
from ticketstub.client.transports.heads import HAVE_LENGTH, Sleeping, prepare
from ticketstub.client.transports.proxies import ProxyFor, proxy_for
from ticketstub.client.transports.reply import BadReply, Reader, Reply
from ticketstub.dns import Resolver, system_resolver
from ticketstub.messages import Place, Request, Response


class StandardTransport(Sleeping):
    """Sends for `Plex`, for many threads at once; see `base.Transport`.

    Args:
        resolver: looks names up.
        proxy_for: says which places are reached through a proxy; the default asks the environment.
        ssl_context: used for https as it is; the default checks certificates against the computer's authorities.
    """

    def __init__(
        self,
        *,
        resolver: Resolver = system_resolver,
        proxy_for: ProxyFor = proxy_for,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._dialler = Dialler(resolver, proxy_for, ssl_context)
        self._pool = Pool()

    def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        """As `base.Transport.send`."""
        place, target, fields, left = prepare(request, deadline)
        lines = [f"{request.method} {target} HTTP/1.1\r\nHost: {place.host_header}".encode("ascii")]
        lines += [name + b": " + value for name, value in fields]
        if request.body or request.method in HAVE_LENGTH:
            lines.append(b"Content-Length: %d" % len(request.body))
        message = b"\r\n".join(lines) + b"\r\n\r\n" + request.body
        deadline = monotonic() + left
        connection = self._pool.take(place)
        if connection is None:
            sock = self._dialler.dial(place, monotonic() + min(left, connect_timeout))
            connection = Connection(sock, place)
        try:
            response, reusable = connection.exchange(message, request.method, deadline)
        except BaseException:  # Ctrl-C too
            connection.close()
            raise
        if reusable:
            self._pool.give(connection)
        else:
            connection.close()
        return response

    def close(self) -> None:
        """Close the idle connections."""
        self._pool.close()


class Connection:
    """A connected socket, TLS and tunnel included, to one place."""

    def __init__(self, sock: socket.socket, place: Place) -> None:
        self.place = place
        self._sock = sock
        self._reader = Reader(sock)
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
        self._reader.deadline, self._reader.heard, self._sent = deadline, False, False
        try:
            self._write(message, deadline)
            reply = Reply(self._reader, method)
            reply.begin()
            return reply.whole(), reply.reusable
        except TimeoutError:
            raise timed_out(self.place, sent=self._sent) from None
        except OSError as error:
            if self._reader.heard:
                raise cut_off(self.place) from None
            raise unreachable(self.place, error, sent=self._sent) from None
        except HTTPException as error:
            raise (malformed(self.place, str(error)) if isinstance(error, BadReply) else cut_off(self.place)) from None

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

    def is_quiet(self) -> bool:
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


class _Shelf:
    """One process's idle connections, the oldest first, and their lock."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.lock = Lock()
        self.idle: list[tuple[Connection, float]] = []


class Pool:
    """Idle connections to all places; safe to share between threads.

    Args:
        most: how many are kept, of all places together.
        seconds: how long each is kept. Servers close theirs from 5 s on (uvicorn), and firewalls forget them.
    """

    def __init__(self, most: int = 16, seconds: float = 15.0) -> None:
        self._most = most
        self._seconds = seconds
        self._own = _Shelf()

    @property
    def _shelf(self) -> _Shelf:
        if (shelf := self._own).process != os.getpid():  # a child: the lock may be held by a thread that is not here
            self._own = _Shelf()
            for connection, _ in shelf.idle:  # closes the child's copies only: nothing goes out, the parent's go on
                connection.close()
        return self._own

    def take(self, place: Place) -> Connection | None:
        """Return the connection to a place that was used last and is still good, if there is one."""
        while (connection := self._last(place)) is not None:
            if connection.is_quiet():
                return connection
            connection.close()
        return None

    def _last(self, place: Place) -> Connection | None:
        shelf, oldest = self._shelf, monotonic() - self._seconds
        with shelf.lock:
            while shelf.idle and shelf.idle[0][1] < oldest:
                shelf.idle.pop(0)[0].close()
            for index in range(len(shelf.idle) - 1, -1, -1):
                if shelf.idle[index][0].place == place:
                    return shelf.idle.pop(index)[0]
        return None

    def give(self, connection: Connection) -> None:
        """Keep a connection whose exchange has ended well."""
        shelf = self._shelf
        with shelf.lock:
            shelf.idle.append((connection, monotonic()))
            if len(shelf.idle) > self._most:
                shelf.idle.pop(0)[0].close()

    def close(self) -> None:
        """Close every idle connection."""
        shelf = self._shelf
        with shelf.lock:
            idle, shelf.idle = shelf.idle, []
        for connection, _ in idle:
            connection.close()
