"""Loopback servers that misbehave on purpose, on raw sockets, one thread a connection.

Rule: each behaviour is a function of the accepted socket. Nothing outlives the test: at the end of the `with`, every
server is stopped and its sockets are closed.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import Self

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
MEBIBYTE = 1024 * 1024


class Server:
    """Accepts on loopback and passes each connection to a behaviour.

    Attributes:
        requests: the requests that were received, each whole.
        connections: how many connections were accepted.
        closed: how many of them this server has closed.
        ended: set when the other side has closed a connection (for behaviours that wait for that).
    """

    def __init__(self, behave: Callable[[Server, socket.socket], None], context: ssl.SSLContext | None = None) -> None:
        self._behave = behave
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads: list[Thread] = []
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self.connections = 0
        self.closed = 0
        self.stopped = Event()
        self.ended = Event()

    @property
    def url(self) -> str:
        return f"http{'s' if self._context else ''}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(2)

    def _start(self, work: Callable[..., None], *args: object) -> None:
        thread = Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self.connections += 1
                self._open.append(sock)
                self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        with suppress(OSError, ssl.SSLError):
            if self._context:
                sock = self._context.wrap_socket(sock, server_side=True)
                self._open.append(sock)
            self._behave(self, sock)
        with suppress(OSError):
            sock.close()
        self.closed += 1

    def read(self, sock: socket.socket) -> bytes:
        """Read one request, head and body; empty when the other side has closed."""
        got = b""
        while b"\r\n\r\n" not in got:
            piece = sock.recv(65536)
            if not piece:
                self.ended.set()
                return b""
            got += piece
        head, _, body = got.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        while len(body) < length:
            body += sock.recv(65536)
        self.requests.append(head + b"\r\n\r\n" + body)
        return self.requests[-1]

    def drip(self, sock: socket.socket, piece: bytes, pause: float = 0.03) -> None:
        """Send a piece repeatedly and slowly until the test ends."""
        while not self.stopped.wait(pause):
            sock.sendall(piece)


Behaviour = Callable[[Server, socket.socket], None]


def answer(*replies: bytes) -> Behaviour:
    """Answer each request with the next reply, repeat the last one, and keep the connection open."""

    def behave(server: Server, sock: socket.socket) -> None:
        while server.read(sock):
            sock.sendall(replies[min(len(server.requests), len(replies)) - 1])

    return behave


def answer_and_close(reply: bytes) -> Behaviour:
    def behave(server: Server, sock: socket.socket) -> None:
        server.read(sock)
        sock.sendall(reply)

    return behave


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def reset_before_request(_server: Server, sock: socket.socket) -> None:
    reset(sock)


def reset_after_request(server: Server, sock: socket.socket) -> None:
    server.read(sock)
    reset(sock)


def reset_in_body(server: Server, sock: socket.socket) -> None:
    server.read(sock)
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
    server.stopped.wait(0.05)
    reset(sock)


def silent(server: Server, sock: socket.socket) -> None:
    while server.read(sock):
        pass


def dripping_head(server: Server, sock: socket.socket) -> None:
    server.read(sock)
    sock.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    server.drip(sock, b"a")


def dripping_body(server: Server, sock: socket.socket) -> None:
    server.read(sock)
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    server.drip(sock, b"a")


def dripping_chunks(server: Server, sock: socket.socket) -> None:
    server.read(sock)
    sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    server.drip(sock, b"1\r\na\r\n")


def endless_interim(server: Server, sock: socket.socket) -> None:
    server.read(sock)
    server.drip(sock, b"HTTP/1.1 102 Processing\r\n\r\n", 0.005)


def endless_continue(server: Server, sock: socket.socket) -> None:
    server.read(sock)
    server.drip(sock, b"HTTP/1.1 100 Continue\r\n\r\n", 0.005)


def endless_chunks(server: Server, sock: socket.socket) -> None:
    server.read(sock)
    sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not server.stopped.is_set():
        sock.sendall(b"80000\r\n" + b"a" * (MEBIBYTE // 2) + b"\r\n")


def endless_until_close(server: Server, sock: socket.socket) -> None:
    server.read(sock)
    sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while not server.stopped.is_set():
        sock.sendall(b"a" * (MEBIBYTE // 2))


def close_after_each(server: Server, sock: socket.socket) -> None:
    """Announce a persistent connection, and close it after one response."""
    server.read(sock)
    sock.sendall(OK)


def tunnel(server: Server, sock: socket.socket, target: tuple[str, int]) -> None:
    """Act as a CONNECT proxy that always connects to `target`."""
    if not server.read(sock):
        return
    with socket.create_connection(target) as onward:
        sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        back = Thread(target=_pump, args=(onward, sock), daemon=True)
        back.start()
        _pump(sock, onward)
        back.join(1)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)


def closed_port() -> int:
    """Return a loopback port without a listener."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


class BlackHole:
    """A listener with a full backlog: connections to it get no answer."""

    def __enter__(self) -> Self:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._fillers: list[socket.socket] = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)  # noqa: FBT003  # the socket's own signature
            filler.connect_ex(("127.0.0.1", self.port))
            self._fillers.append(filler)
        return self

    def __exit__(self, *_: object) -> None:
        for sock in (*self._fillers, self._listener):
            sock.close()
