"""A WebSocket on a connection of the HTTP server: handshake, messages to the client, pings and the closing handshake.

Rule: the request is answered like any other first; only a request that may open a WebSocket gets one. The library
checks the handshake and knows the frames. Messages of the client are limited in size and ignored, its pings are
answered, and a client that neither answers pings nor reads is disconnected. This module is loaded by the first
handshake, because other requests need nothing of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from ticketstub.local_plex.http.request import OFFER_FIELD, Headers, IncomingRequest
from ticketstub.refusals import BadRequest

GOING_AWAY = 1001
"""The close code of a server that stops (RFC 6455, 7.4.1)."""
POLICY_VIOLATION = 1008
"""The close code for a client that may no longer listen (RFC 6455, 7.4.1)."""

PING_SECONDS = 20.0
"""How often a client is pinged. It must have sent something since the last ping."""
CLOSE_SECONDS = 1.0
"""How long a client may take for the closing handshake."""
MAX_MESSAGE_BYTES = 64 * 1024
"""The longest message of a client; a longer one ends the WebSocket with code 1009."""
MAX_UNREAD_BYTES = 1024 * 1024
"""How much may wait for a client that does not read; then its connection is aborted."""

_HANDSHAKE_FIELDS = (b"host", b"connection", b"sec-websocket-key", b"sec-websocket-version")


class WebSocket:
    """One WebSocket.

    Args:
        request: the request that asks for it.
        ping_seconds: how often the client is pinged.
        close_seconds: how long it may take for the closing handshake.

    Raises:
        BadRequest: the request is no valid handshake (RFC 6455, 4.2.1).
    """

    def __init__(
        self, request: IncomingRequest, *, ping_seconds: float = PING_SECONDS, close_seconds: float = CLOSE_SECONDS
    ) -> None:
        self.on_close: Callable[[], None] = lambda: None
        """Called when its connection has ended."""
        self._ping_seconds = ping_seconds
        self._close_seconds = close_seconds
        self._protocol = ServerProtocol(max_size=MAX_MESSAGE_BYTES)
        self._protocol.receive_data(_write_handshake(request))
        parsed = self._protocol.events_received()
        # A request with a body, or one that ends its connection, asks for no WebSocket.
        if not (request.keep_alive and parsed and isinstance(parsed[0], Request)):
            raise BadRequest
        self._reply = self._protocol.accept(parsed[0])
        if self._reply.status_code != 101:
            raise BadRequest
        del self._reply.headers["Date"]  # which would come from another clock than that of other responses

    def start(self, transport: asyncio.Transport, server_headers: Headers) -> None:
        """Answer the handshake, and take over the connection.

        Args:
            transport: the connection.
            server_headers: the fields that the server adds to every response.
        """
        for name, value in server_headers:
            self._reply.headers[name.decode()] = value.decode()
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._has_answered = True
        self._ping_timer = self._loop.call_later(self._ping_seconds, self._ping)
        self._protocol.send_response(self._reply)
        self._flush()

    def send(self, text: str) -> None:
        """Send a message; nothing if the WebSocket is closing, or its client does not read."""
        if self._protocol.state is not State.OPEN or self._has_unread():
            return
        self._protocol.send_text(text.encode())
        self._flush()

    def close(self, code: int, reason: str) -> None:
        """Start the closing handshake, unless it has started.

        Args:
            code: the close code.
            reason: why, for the client's log.
        """
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)
            self._flush()

    def receive(self, data: bytes) -> None:
        """Take what came from the client."""
        if self._has_unread():  # or it could let answers to its pings pile up
            return
        self._has_answered = True
        self._protocol.receive_data(data)
        self._protocol.events_received()  # the client's messages, which mean nothing here
        self._flush()

    def handle_connection_end(self) -> None:
        """Stop the pings, and call `on_close`."""
        self._ping_timer.cancel()
        self.on_close()

    def _has_unread(self) -> bool:
        """Return whether the client has left too much unread, and abort the connection then."""
        has_unread = self._transport.get_write_buffer_size() > MAX_UNREAD_BYTES
        if has_unread:
            self._transport.abort()
        return has_unread

    def _ping(self) -> None:
        if not self._has_answered:
            self._transport.abort()
        elif self._protocol.state is State.OPEN:
            self._has_answered = False
            self._ping_timer = self._loop.call_later(self._ping_seconds, self._ping)
            self._protocol.send_ping(b"")
            self._flush()

    def _flush(self) -> None:
        """Write what the library has; its empty text ends the connection."""
        is_closing = self._protocol.close_expected()
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
            else:
                self._transport.close()
        if is_closing:
            self._ping_timer.cancel()
            self._ping_timer = self._loop.call_later(self._close_seconds, self._transport.abort)


def _write_handshake(request: IncomingRequest) -> bytes:
    """Write the fields of a handshake for the library, without path, token, extensions and other fields."""
    upgrade = request.get_header(OFFER_FIELD) or request.get_header(b"upgrade")
    fields = {b"upgrade": upgrade} | {name: request.get_header(name) for name in _HANDSHAKE_FIELDS}
    lines = [b"GET / HTTP/1.1", *(b"%s: %s" % each for each in fields.items() if each[1])]
    return b"\r\n".join([*lines, b"", b""])
