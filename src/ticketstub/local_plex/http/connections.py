"""Connections of the HTTP server, bounded where the server library leaves them unbounded.

Rule: a request's head may be so long and take so long, and a connection on which nothing happens ends; what is refused
here is refused without a body, for too little is known to ask for its format. Only so many requests may wait on one
connection, and a client must read what it is sent: otherwise the connection is closed. The library is kept from logging
requests and from trusting forwarded fields. An offer of another protocol is never taken: Java's HTTP library makes one
(`Upgrade: h2c`) with every request, and the parser would hand what follows, a form for example, to that protocol.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator, Mapping
from http import HTTPStatus

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from ticketstub.local_plex.http.request import Scope
from ticketstub.local_plex.http.response import LOCAL_PLEX_HEADER
from ticketstub.local_plex.settings import Settings

Application = Callable[..., Awaitable[None]]
"""An ASGI application; the library's own type is narrower than the specification."""

BACKLOG = 512
"""How many connections may wait to be accepted."""

MAX_QUEUED_REQUESTS = 16
"""How many requests may wait on one connection behind the one that is being answered (HTTP pipelining)."""

# The parser reads everything that it is given. Small pieces let a connection be closed before all of its requests are
# parsed, and are how precisely the size of an unfinished head is known.
_PIECE_SIZE = 1024

_UPGRADE_FIELD = re.compile(rb"(?im)^upgrade(?=[ \t]*:)")


def build_uvicorn_config(app: Application, settings: Settings) -> uvicorn.Config:
    """Return the server library's configuration for an application, ready to be used."""
    config = uvicorn.Config(
        app,
        http=HttpConnection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,  # the application writes it, by its own clock
        headers=[LOCAL_PLEX_HEADER],
        limit_concurrency=settings.max_connections,
        timeout_keep_alive=settings.keep_alive_seconds,
    )
    config.load()
    return config


class HttpConnection(HttpToolsProtocol):
    """One connection.

    Args:
        config: the server library's.
        state: what the server library knows of all connections.
        settings: the limits.
        keep_alive: seconds that idle connections are kept, by port, where they are not the settings'.
    """

    def __init__(
        self, config: uvicorn.Config, state: ServerState, settings: Settings, keep_alive: Mapping[int, int]
    ) -> None:
        super().__init__(config, state, {})
        self._settings = settings
        self._keep_alive = keep_alive
        self._head_timer: asyncio.TimerHandle | None = None
        self._in_head = self._in_body = False
        self._head_bytes = self._piece_bytes = 0
        self._checked_cycle: object = None
        self._unread_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the base has it
        """Begin, with the idle time of this port."""
        super().connection_made(transport)
        port = self.server[1] if self.server else None
        self.timeout_keep_alive = self._keep_alive.get(port or 0, self.timeout_keep_alive)
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._cancel_head_timer()
        super().connection_lost(exc)

    def close_gracefully(self) -> None:
        """Close once what was asked is answered; at once where nothing was, or a body is still to come."""
        if self._in_body:
            self.transport.abort()
        else:
            self.shutdown()

    def close_if_serving(self, scope: Scope) -> None:
        """End this connection if a request came on it: once what was sent has left, or by a reset if nothing was."""
        if self.client != scope["client"] or self.server != scope["server"]:
            return
        if self.cycle.response_started:
            self.transport.close()
        else:
            reset_connection(self.transport)

    def on_message_begin(self) -> None:
        """Note that a head begins: what came before it in this piece is not part of it."""
        self._in_head, self._head_bytes = True, -self._piece_bytes
        if not self.transport.is_closing():
            super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that a head is over; close the connection if too many requests wait on it."""
        self._in_head, self._in_body = False, True
        self._cancel_head_timer()
        if self.transport.is_closing():
            return
        super().on_headers_complete()
        if len(self.pipeline) > MAX_QUEUED_REQUESTS:
            reset_connection(self.transport)  # what was sent is of no use to a client that did not wait for it

    def on_message_complete(self) -> None:
        """Note that a body is over."""
        self._in_body = False
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Parse piece by piece, and count the bytes of a head that is not over; the application counts whole heads."""
        for piece in _split_pieces(data):
            self._piece_bytes = len(piece)
            super().data_received(piece if self._in_body else _mask_upgrade(piece))
            self._head_bytes += len(piece)
            if self._in_head and self._head_bytes > self._settings.max_head_bytes:
                self._send_refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            if self.transport.is_closing():
                return
        is_responding = self.cycle is not None and not self.cycle.response_complete  # type: ignore[redundant-expr]  # unset first
        if (
            self._head_timer is None and self.timeout_keep_alive_task is None and not is_responding
        ):  # no clock of the library runs
            self._start_head_timer()

    def drop_if_stalled(self) -> None:
        """Drop a client that since the last look has read nothing of the same answer; a slow one has until the next."""
        unread_bytes = self.transport.get_write_buffer_size()
        if self._checked_cycle == self.cycle and 0 < self._unread_bytes <= unread_bytes:
            reset_connection(self.transport)
        self._checked_cycle, self._unread_bytes = self.cycle, unread_bytes

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(self._settings.head_seconds, self._on_head_timeout)

    def _cancel_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _on_head_timeout(self) -> None:
        self._head_timer = None
        if self._in_head:
            self._send_refusal(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self.transport.close()

    def _send_refusal(self, status: HTTPStatus) -> None:
        fields = b"".join(b"%s: %s\r\n" % pair for pair in self.server_state.default_headers)
        ending = b"connection: close\r\ncontent-length: 0\r\n\r\n"
        self.transport.write(b"HTTP/1.1 %d %s\r\n%s%s" % (status, status.phrase.encode(), fields, ending))
        self.transport.close()


def reset_connection(transport: asyncio.Transport) -> None:
    """End a connection so that the other side is told of a failure, not of an end."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _split_pieces(data: bytes) -> Iterator[bytes]:
    """Cut data into pieces, between two lines where that is possible."""
    start = 0
    while start < len(data):
        end = start + _PIECE_SIZE
        if end < len(data):
            end = data.rfind(b"\n", start, end) + 1 or end
        yield data[start:end]
        start = end


def _mask_upgrade(data: bytes) -> bytes:
    if b"pgrade" not in data and b"PGRADE" not in data:
        return data
    head, end, body = data.partition(b"\r\n\r\n")
    return _UPGRADE_FIELD.sub(b"x-offer", head) + end + body
