"""The transport of `Plex`: HTTP/1.1 on the standard library's sockets, with a small connection pool.

Rule: one request gives one response, or one error that says whether anything was sent; nothing is repeated. A
connection is either in the pool or in one exchange, and a failed exchange closes it. The pool returns a connection only
if it is recent, open and silent. A forked child starts with an empty pool: two processes must not share a connection.
`Unreachable.sent` is False only if no byte of the request was handed to the operating system. Every read ends at the
deadline, however slowly bytes arrive; lines, header fields, interim replies and bodies are bounded, and anything but
HTTP/1 is refused. http.client is not used: it takes 40 µs for a usual head (email.parser) and 10 ms to import, accepts
`Content-Length: +1_0`, and never stops reading 100s.
"""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, TypeAlias

from ticketstub.client.transports.base import (
    METHODS_WITH_LENGTH,
    Transport,
    get_remaining,
    make_cut_off_error,
    make_malformed_error,
    make_timeout_error,
    make_tunnel_error,
    make_unreachable_error,
    prepare_request,
    read_fields,
)
from ticketstub.client.transports.dial import FindProxy, LazyTlsContext, ProxyConfig, connect_tcp, find_proxy
from ticketstub.dns import Resolver, resolve_with_system
from ticketstub.errors import Unreachable
from ticketstub.messages import MAX_BODY_SIZE, Origin, Request, Response

if TYPE_CHECKING:
    import ssl  # not loaded for plain http, to start faster

_MAX_LINE_BYTES = 16 * 1024
_MAX_FIELDS = 100
_MAX_INTERIM_REPLIES = 16
_CHUNK_SIZE = 64 * 1024
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\0\r\n]*)?\r?\n")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\0\r\n]*)\r?\n")  # in linear time: spaces are stripped later
_CHUNK_HEAD = rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\0\r\n]*)?\r\n"
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})


class BadReply(Exception):
    """The response is not valid HTTP. The message repeats nothing that was received."""


class SocketReader:
    """The receiving end of a socket.

    Attributes:
        deadline: when every read ends, on the clock of `time.monotonic()`.
        has_received: whether any byte has arrived since this was last set to False.
    """

    def __init__(self, sock: socket.socket, deadline: float = 0.0) -> None:
        self._sock = sock
        self._buffer = b""
        self._position = 0
        self.deadline = deadline
        self.has_received = False

    @property
    def has_leftover(self) -> bool:
        """Whether bytes have arrived that belong to no response."""
        return self._position < len(self._buffer)

    def read_line(self) -> bytes:
        """Return the next line with its end, or the rest if the other side closed."""
        while (end := self._buffer.find(b"\n", self._position) + 1) == 0:
            if len(self._buffer) - self._position > _MAX_LINE_BYTES or not self._receive():
                end = len(self._buffer)
                break
        line, self._position = self._buffer[self._position : end], end
        if len(line) > _MAX_LINE_BYTES:
            raise BadReply("a line is too long")
        return line

    def read(self, amount: int) -> bytes:
        """Return this many bytes.

        Raises:
            BadReply: they are more than `MAX_BODY_SIZE`.
            ConnectionResetError: the other side closed before it sent them.
        """
        if amount > MAX_BODY_SIZE:
            raise BadReply("it is too large")
        pieces: list[bytes] = []
        while amount:
            piece = self.read_available(amount)
            if not piece:
                raise _make_closed_error()
            pieces.append(piece)
            amount -= len(piece)
        return b"".join(pieces)

    def read_available(self, limit: int = _CHUNK_SIZE) -> bytes:
        """Return bytes that have arrived, or wait for some; there are none if the other side closed."""
        if not self.has_leftover and not self._receive():
            return b""
        start = self._position
        self._position = min(start + limit, len(self._buffer))
        return self._buffer[start : self._position]

    def _receive(self) -> bool:
        """Wait for bytes until the deadline; False means that the other side closed."""
        self._sock.settimeout(get_remaining(self.deadline))
        received = self._sock.recv(_CHUNK_SIZE)
        self._buffer, self._position = self._buffer[self._position :] + received, 0
        self.has_received |= bool(received)
        return bool(received)


class SocketReply:
    """One response, read from a `SocketReader`."""

    def __init__(self, reader: SocketReader, method: str) -> None:
        self.status = 0
        self.fields: dict[str, str] = {}
        self._reader = reader
        self._has_no_body = method in ("HEAD", "CONNECT")
        self._length: int | None = None
        self._is_chunked = self._will_close = False

    def begin(self) -> None:
        """Read the head of the final response, skipping at most 16 interim ones, and find the end of its body.

        Raises:
            BadReply: it is not HTTP, or exceeds a limit.
            TimeoutError: the deadline passed.
            OSError: the connection broke.
        """
        for _ in range(_MAX_INTERIM_REPLIES + 1):
            line = self._reader.read_line()
            if not line.endswith(b"\n") and b"HTTP/1.".startswith(line[:7]):
                raise _make_closed_error()
            if not (match := _STATUS_LINE.fullmatch(line)):
                raise BadReply("it is not HTTP")
            minor, self.status = int(match[1]), int(match[2])
            self.fields = _read_header_fields(self._reader)
            if self.status >= 200:
                return self._set_framing(minor)
            if self.status == 101:
                raise BadReply("it changes the protocol unasked")
        raise BadReply("interim replies without end")

    def _set_framing(self, minor: int) -> None:
        """Find the end of the body, and whether the connection stays open (RFC 9112, 6.3 and 9.3)."""
        coding, length = self.fields.get("transfer-encoding"), self.fields.get("content-length")
        if coding is not None and not (coding.isascii() and coding.lower() == "chunked"):  # K (kelvin) becomes k
            raise BadReply("its transfer encoding is unknown")
        if length is not None and not (length.isascii() and length.isdigit() and len(length) < 19):
            raise BadReply("its length is not a number")
        empty = self._has_no_body or self.status in (204, 304)
        self._is_chunked = coding is not None and not empty
        self._length = 0 if empty else None if self._is_chunked or length is None else int(length)
        options = self.fields.get("connection", "").lower()
        is_persistent = "close" not in options if minor else "keep-alive" in options
        is_doubtful = coding is not None and (length is not None or not minor)  # HTTP/1.0 has no codings
        is_doubtful |= self.status == 204 and (coding or length or "0") != "0"  # a body may follow all the same
        self._will_close = not is_persistent or is_doubtful or (self._length is None and not self._is_chunked)

    def read_response(self) -> Response:
        """Read the body and return the response.

        Raises:
            BadReply: the body is larger than `MAX_BODY_SIZE`, or its chunks are not HTTP.
            TimeoutError: the deadline passed.
            OSError: the connection broke, or the body was cut off.
        """
        if self._length is not None:
            return Response(self.status, self.fields, self._reader.read(self._length))
        body = bytearray()
        for piece in self._read_chunks() if self._is_chunked else iter(self._reader.read_available, b""):
            body += piece
            if len(body) > MAX_BODY_SIZE:
                raise BadReply("it is too large")
        return Response(self.status, self.fields, bytes(body))

    def _read_chunks(self) -> Iterator[bytes]:
        """Read the chunks of a body and the fields after it, which mean nothing to us (RFC 9112, 7.1)."""
        while size := int(self._match_line(_CHUNK_HEAD)[1], 16):
            yield self._reader.read(size)
            self._match_line(rb"\r\n")  # after a bare line feed, the size would be one byte wrong
        _read_header_fields(self._reader)

    def _match_line(self, pattern: bytes) -> re.Match[bytes]:
        line = self._reader.read_line()
        if not line.endswith(b"\n"):
            raise _make_closed_error()
        if not (match := re.fullmatch(pattern, line)):
            raise BadReply("its chunks are not HTTP")
        return match

    @property
    def is_reusable(self) -> bool:
        """Whether another request may follow on this connection, once the body has been read."""
        return not self._will_close and not self._reader.has_leftover


def _make_closed_error() -> OSError:
    return ConnectionResetError(errno.ECONNRESET, "closed")


def _read_header_fields(reader: SocketReader) -> dict[str, str]:
    pairs: list[tuple[bytes, bytes]] = []
    framing: dict[bytes, bytes] = {}
    while (line := reader.read_line()) not in (b"\r\n", b"\n"):
        if not line.endswith(b"\n"):
            raise _make_closed_error()
        if not (match := _FIELD.fullmatch(line)):
            raise BadReply("its head is not HTTP")
        name, value = match[1], match[2].strip(b" \t")
        if (known := name.lower()) in _FRAMING:
            if known in framing and (known == b"transfer-encoding" or framing[known] != value):
                raise BadReply("it names two lengths")
            framing[known] = value
        pairs.append((name, value))
        if len(pairs) > _MAX_FIELDS:
            raise BadReply("it has too many header fields")
    return read_fields(pairs)


class StandardTransport(Transport):
    """Sends for `Plex`, for many threads at once.

    Args:
        resolver: looks names up.
        find_proxy: finds the proxy for an origin; by default in the environment.
        ssl_context: used for https as it is; the default checks certificates against the computer's authorities.
    """

    def __init__(
        self,
        *,
        resolver: Resolver = resolve_with_system,
        find_proxy: FindProxy = find_proxy,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.resolver = resolver
        self._find_proxy = find_proxy
        self._tls = LazyTlsContext(ssl_context)
        self._pool = ConnectionPool()

    def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        """As `base.Transport.send`."""
        origin, target, remaining = prepare_request(request, deadline)
        lines = [f"{request.method} {target} HTTP/1.1\r\nHost: {origin.host_header}"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        if request.body or request.method in METHODS_WITH_LENGTH:
            lines.append(f"Content-Length: {len(request.body)}")
        message = "\r\n".join(lines).encode() + b"\r\n\r\n" + request.body
        now, key = monotonic(), (origin, request.address)
        connection = self._pool.acquire(key) or self._connect(key, now + min(remaining, connect_timeout))
        try:
            self._watch(connection.socket)
            response, is_reusable = connection.exchange(message, request.method, now + remaining)
        except BaseException:  # Ctrl-C too
            self._unwatch()
            connection.close()
            raise
        self._unwatch()
        if is_reusable:
            self._pool.release(connection)
        else:
            connection.close()
        return response

    def open_branch(self) -> BranchTransport:
        """Return a transport whose requests another thread can abort; it shares the pool."""
        branch = BranchTransport()
        vars(branch).update(vars(self), _children=[], _socket=None, _lock=Lock())
        return branch

    def _watch(self, sock: socket.socket) -> None:
        """Note the socket that is about to be used. A branch can shut it down."""

    def _unwatch(self) -> None:
        """Forget the socket: from now on it may be closed, or belong to somebody else."""

    def _connect(self, key: PoolKey, deadline: float) -> PooledConnection:
        """Connect to an origin, through its proxy and with TLS if necessary."""
        origin, address = key
        proxy = self._find_proxy(origin)
        sock = connect_tcp(
            proxy.origin if proxy else origin,
            self.resolver,
            deadline,
            address=None if proxy else address,
            watch=self._watch,
        )
        try:
            if proxy:
                _open_tunnel(sock, proxy, origin, deadline)
            if origin.scheme == "https":
                sock = tls = self._tls.get().wrap_socket(
                    sock, server_hostname=origin.host, do_handshake_on_connect=False
                )
                self._watch(tls)
                tls.settimeout(get_remaining(deadline))
                tls.do_handshake()
        except BaseException as error:
            sock.close()
            if isinstance(error, OSError):
                raise make_unreachable_error(origin, error, sent=False) from None
            raise
        return PooledConnection(sock, key)

    def close(self) -> None:
        """Close the idle connections."""
        self._pool.close()


class BranchTransport(StandardTransport):
    """Sends for one flow that may be cancelled from another thread. Closing it closes nothing: the pool is shared."""

    _socket: socket.socket | None
    _is_aborted = False
    _children: list[BranchTransport]
    _lock: Lock  # of `_socket`: it is shut down only while this branch uses it

    def open_branch(self) -> BranchTransport:
        """As `StandardTransport.open_branch`. Aborting this branch aborts the new one too."""
        branch = super().open_branch()
        self._children.append(branch)
        if self._is_aborted:
            branch.abort()
        return branch

    def _watch(self, sock: socket.socket) -> None:
        with self._lock:
            self._socket = sock
        if self._is_aborted:  # `abort` may have missed this socket
            raise Unreachable("the request was aborted", sent=False)

    def abort(self) -> None:
        """As `base.AbortableTransport.abort`. The thread that is sending closes the socket itself."""
        self._is_aborted = True
        for branch in self._children:
            branch.abort()
        with self._lock, suppress(OSError):  # it is closed already, or cannot be shut down while it connects
            if self._socket is not None:
                # not the method of SSLSocket, which changes its state
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _unwatch(self) -> None:
        with self._lock:
            self._socket = None

    def close(self) -> None:
        """Do nothing."""


def _open_tunnel(sock: socket.socket, proxy: ProxyConfig, origin: Origin, deadline: float) -> None:
    """Ask a proxy for a tunnel (RFC 9110, 9.3.6)."""
    credentials = f"Proxy-Authorization: {proxy.authorization.reveal()}\r\n" if proxy.authorization else ""
    sock.settimeout(get_remaining(deadline))
    sock.sendall(f"CONNECT {origin} HTTP/1.1\r\nHost: {origin}\r\n{credentials}\r\n".encode("ascii"))
    reader = SocketReader(sock, deadline)
    reply = SocketReply(reader, "CONNECT")
    try:
        reply.begin()
    except BadReply:
        raise make_tunnel_error(origin, f"the proxy {proxy.origin}", None) from None
    if not 200 <= reply.status < 300 or reader.has_leftover:  # no body may follow the head
        raise make_tunnel_error(origin, f"the proxy {proxy.origin}", reply.status if reply.status >= 300 else None)


PoolKey: TypeAlias = "tuple[Origin, str | None]"
"""The origin of a connection, and the IP address that was dialled for it if its host was not looked up."""


class PooledConnection:
    """A connected socket to one origin, through a tunnel and with TLS if it has them."""

    def __init__(self, sock: socket.socket, key: PoolKey) -> None:
        self.key = key
        self.origin = key[0]
        self.socket = sock
        self._reader = SocketReader(sock)

    def exchange(self, message: bytes, method: str, deadline: float) -> tuple[Response, bool]:
        """Send a request and read its response.

        Args:
            message: the request, head and body.
            method: its method: a response to HEAD has no body.
            deadline: when to give up, on the clock of `time.monotonic()`.

        Returns:
            The response, and whether the connection may be used again.

        Raises:
            Unreachable, TimedOut, MalformedReply: as `Transport.send`.
        """
        self._reader.deadline, self._reader.has_received = deadline, False
        rest = memoryview(message)
        sent = self.origin.scheme == "https"  # part of a TLS record may be sent even if its write fails
        try:
            while rest:
                self.socket.settimeout(get_remaining(deadline))
                rest = rest[self.socket.send(rest) :]
                sent = True
            reply = SocketReply(self._reader, method)
            reply.begin()
            return reply.read_response(), reply.is_reusable
        except TimeoutError:
            raise make_timeout_error(self.origin, sent=sent) from None
        except BadReply as error:
            raise make_malformed_error(self.origin, str(error)) from None
        except OSError as error:
            if not self._reader.has_received:
                raise make_unreachable_error(self.origin, error, sent=sent) from None
            raise make_cut_off_error(self.origin) from None

    def is_usable(self) -> bool:
        """Tell whether an idle connection is still open and has received nothing unasked."""
        try:
            self.socket.settimeout(0)
            self.socket.recv(1)
        except BlockingIOError:
            return True
        except OSError as error:
            from ssl import SSLWantReadError  # what an idle TLS connection raises; it has loaded this module

            return isinstance(error, SSLWantReadError)
        return False

    def close(self) -> None:
        """Close the socket; this never fails."""
        self.socket.close()


class ConnectionPool:
    """Idle connections to all origins, the oldest first; safe to share between threads.

    Args:
        max_size: the largest number of connections, for all origins together.
        max_idle: how many seconds each may be idle. Servers close theirs after 5 s or more, and firewalls drop them.
    """

    def __init__(self, max_size: int = 16, max_idle: float = 15.0) -> None:
        self._max_size = max_size
        self._max_idle = max_idle
        self._empty()

    def _empty(self) -> None:
        self._process_id = os.getpid()
        self._lock = Lock()
        self._idle: list[tuple[PooledConnection, float]] = []

    def _get_lock(self) -> Lock:
        """Return the lock of this process; a forked child gets a new one, as the old may be held by a lost thread."""
        if self._process_id != os.getpid():
            inherited = self._idle
            self._empty()
            for connection, _ in inherited:  # this closes the child's copies: nothing is sent, the parent's stay open
                connection.close()
        return self._lock

    def acquire(self, key: PoolKey) -> PooledConnection | None:
        """Return the most recently used connection to an origin that still works, or `None`."""
        while (connection := self._pop_last(key)) is not None:
            if connection.is_usable():
                return connection
            connection.close()
        return None

    def _pop_last(self, key: PoolKey) -> PooledConnection | None:
        oldest = monotonic() - self._max_idle
        with self._get_lock():
            while self._idle and self._idle[0][1] < oldest:
                self._idle.pop(0)[0].close()
            for index in range(len(self._idle) - 1, -1, -1):
                if self._idle[index][0].key == key:
                    return self._idle.pop(index)[0]
        return None

    def release(self, connection: PooledConnection) -> None:
        """Store a connection after a successful exchange."""
        with self._get_lock():
            self._idle.append((connection, monotonic()))
            if len(self._idle) > self._max_size:
                self._idle.pop(0)[0].close()

    def close(self) -> None:
        """Close every idle connection."""
        with self._get_lock():
            while self._idle:
                self._idle.pop()[0].close()
