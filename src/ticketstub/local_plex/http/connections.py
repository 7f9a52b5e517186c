"""Connections of the HTTP server, with the limits that the server library lacks.

Rule: the head of a request has a limit in bytes and in seconds, and an idle connection is closed. A refusal here has no
body, because the format of the request is not known yet. The number of queued requests on a connection is limited, and
a client must read its replies; otherwise the connection is closed. The library neither logs requests nor trusts
forwarded fields. An offer to upgrade the protocol is hidden from the parser: Java's HTTP library sends one
(`Upgrade: h2c`) with every request, and the parser would treat what follows, such as a form, as that protocol. The
application decides about a WebSocket, which then has the connection.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from ticketstub.local_plex.http.request import OFFER_FIELD, Scope
from ticketstub.local_plex.http.response import LOCAL_PLEX_HEADER
from ticketstub.local_plex.settings import Settings

if TYPE_CHECKING:
    from ticketstub.local_plex.http.websocket import WebSocket

Application = Callable[..., Awaitable[None]]
"""An ASGI application; the library's type is narrower than the specification."""

BACKLOG = 512
"""How many connections may wait to be accepted."""

MAX_QUEUED_REQUESTS = 16
"""How many requests may be queued on a connection (HTTP pipelining)."""

# The parser parses all data that it gets. Small pieces allow closing a connection before all of its requests are
# parsed, and determine how precisely the size of an incomplete head is known.
_PIECE_SIZE = 1024

_UPGRADE_FIELD = re.compile(rb"(?im)^upgrade(?=[ \t]*:)")


def build_uvicorn_config(app: Application, settings: Settings) -> uvicorn.Config:
    """Return the server library's configuration, ready for use."""
    config = uvicorn.Config(
        app,
        http=HttpConnection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,  # the application writes it, with the instance's clock
        headers=[LOCAL_PLEX_HEADER],
        limit_concurrency=settings.max_connections,
        timeout_keep_alive=settings.keep_alive_seconds,
    )
    config.load()
    return config


class HttpConnection(HttpToolsProtocol):
    """One connection.

    Args:
        config: the server library's configuration.
        state: the server library's record of all connections.
        settings: the limits.
        keep_alive: how many seconds to keep an idle connection, by port; other ports use the settings' value.
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
        self._socket: WebSocket | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the base has it
        """Start, with the idle time of this port."""
        super().connection_made(transport)
        port = self.server[1] if self.server else None
        self.timeout_keep_alive = self._keep_alive.get(port or 0, self.timeout_keep_alive)
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timer."""
        self._cancel_head_timer()
        if self._socket is not None:
            self._socket.handle_connection_end()
        super().connection_lost(exc)

    def close_gracefully(self) -> None:
        """Close after the current reply; at once if the connection is idle or a body is incomplete.

        A WebSocket is closed with a code.
        """
        if self._socket is not None:
            from ticketstub.local_plex.http.websocket import GOING_AWAY  # loaded when needed

            self._socket.close(GOING_AWAY, "the server stops")
        elif self._in_body:
            self.transport.abort()
        else:
            self.shutdown()

    def cut(self) -> None:
        """Abort the connection; a WebSocket is closed with a code."""
        if self._socket is not None:
            self.close_gracefully()
        else:
            self.transport.abort()

    def start_websocket(self, socket: WebSocket) -> None:
        """Hand the connection over to a WebSocket, which answers the current request."""
        self.cycle.disconnected = True  # the library sends nothing for this request
        self._socket = socket
        socket.start(self.transport, self.server_state.default_headers)

    def close_if_serving(self, scope: Scope) -> None:
        """Close this connection if the request came on it: after pending data, or with a reset if nothing was sent."""
        if self.client != scope["client"] or self.server != scope["server"]:
            return
        if self.cycle.response_started:
            self.transport.close()
        else:
            reset_connection(self.transport)

    def on_message_begin(self) -> None:
        """Start counting the bytes of a head, without the earlier bytes of this piece."""
        self._in_head, self._head_bytes = True, -self._piece_bytes
        if not self.transport.is_closing():
            super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Stop counting the bytes of the head; reset the connection if too many requests are queued."""
        self._in_head, self._in_body = False, True
        self._cancel_head_timer()
        if self.transport.is_closing():
            return
        super().on_headers_complete()
        if len(self.pipeline) > MAX_QUEUED_REQUESTS:
            reset_connection(self.transport)  # such a client does not wait for replies

    def on_message_complete(self) -> None:
        """Record the end of a body."""
        self._in_body = False
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Parse piece by piece, and limit the size of an incomplete head; the application limits complete ones."""
        if self._socket is not None:
            self._socket.receive(data)
            return
        for piece in _split_pieces(data):
            self._piece_bytes = len(piece)
            super().data_received(piece if self._in_body else _mask_upgrade(piece))
            self._head_bytes += len(piece)
            if self._in_head and self._head_bytes > self._settings.max_head_bytes:
                self._send_refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            if self.transport.is_closing():
                return
        is_responding = self.cycle is not None and not self.cycle.response_complete  # type: ignore[redundant-expr]  # unset first
        if self._head_timer is None and self.timeout_keep_alive_task is None and not is_responding:
            self._start_head_timer()  # the library runs no timer

    def drop_if_stalled(self) -> None:
        """Drop a client that has read nothing of the same reply since the last check; a slow one is kept."""
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
    """Close a connection with a reset, so that the client sees a failure and not a regular end."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _split_pieces(data: bytes) -> Iterator[bytes]:
    """Split data into pieces, between two lines if possible."""
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
    return _UPGRADE_FIELD.sub(OFFER_FIELD, head) + end + body
