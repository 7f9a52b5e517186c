"""A recording proxy in front of the local Plex, which keeps what a client sends, byte for byte.

Rule: it forwards everything unchanged; what it passes back has a Content-Length, as all that the local
Plex answers. Loopback only.
"""

from __future__ import annotations

import re
import socket
from urllib.parse import urlsplit

from tests.client.transports.hostile import Server

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


def recording(target: str) -> Server:
    """Create a server that forwards each connection to this address; its `requests` are the recording."""
    address = urlsplit(target)
    assert address.hostname
    assert address.port
    place = (address.hostname, address.port)

    def behave(server: Server, sock: socket.socket) -> None:
        with socket.create_connection(place, timeout=60) as onward:
            while came := server.read(sock):
                onward.sendall(came)
                sock.sendall(_answer(onward))

    return Server(behave)


class Wire:
    """One test's view of a proxy that lasts as long as the run: only what comes from now on."""

    def __init__(self, server: Server) -> None:
        self.url = server.url
        self._server = server
        self._requests, self._connections = len(server.requests), server.connections

    @property
    def requests(self) -> list[bytes]:
        return self._server.requests[self._requests :]

    @property
    def connections(self) -> int:
        return self._server.connections - self._connections


def _answer(onward: socket.socket) -> bytes:
    """Read one whole response, or what there is of it if the other side closes."""
    got, size = b"", None
    while size is None or len(got) < size:
        piece = onward.recv(65536)
        if not piece:
            return got
        got += piece
        if size is None and (end := got.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(got)
            size = end + 4 + (int(length[1]) if length else 0)
    return got
