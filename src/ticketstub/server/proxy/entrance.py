"""A client's connection to the proxy until it is known where it is to go.

Rule: a head comes within its time and its size, or the connection ends with a sentence that says so. While the proxy
thinks, nothing more is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus

from ticketstub.server.proxy.hosts import Refused

_END = b"\r\n\r\n"
_LINGERS = 2.0


class Gone(Exception):
    """The client left before its request was whole."""


class Entrance(asyncio.Protocol):
    """A connection.

    Args:
        begins: told of it once it is open.
        most: the longest head, in bytes.
    """

    transport: asyncio.Transport

    def __init__(self, begins: Callable[[Entrance], None], most: int) -> None:
        self._begins = begins
        self._most = most
        self._came = bytearray()
        self._head: asyncio.Future[bytes | Refused] = asyncio.get_running_loop().create_future()
        self._refused = False

    @property
    def rest(self) -> bytes:
        """What came behind the head already."""
        return bytes(self._came)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # what streams have
        """Begin; see asyncio.Protocol, as below."""
        self.transport = transport
        self._begins(self)

    def data_received(self, data: bytes) -> None:
        """Take more of the head; after a refusal, throw it away."""
        if self._refused:
            return
        self._came += data
        if not self._head.done():
            self._look_for_end()

    def _look_for_end(self) -> None:
        end = self._came.find(_END)
        if end >= 0 and end + len(_END) <= self._most:
            self.transport.pause_reading()
            self._head.set_result(bytes(self._came[: end + len(_END)]))
            del self._came[: end + len(_END)]
        elif len(self._came) >= self._most:
            self._head.set_result(Refused(431, "the head of the request is too long"))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's own signature
        """End."""
        if not self._head.done():
            self._head.set_exception(Gone)
            self._head.exception()  # nobody need be waiting for it

    async def head(self, seconds: float) -> bytes | Refused:
        """Return the head, or why it is none.

        Args:
            seconds: how long it may take.

        Raises:
            Gone: the client left.
        """
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(self._head)
        except TimeoutError:
            return Refused(408, f"the head of the request did not come within {seconds:g} s")

    def refuse(self, refused: Refused) -> None:
        """Answer with the reason and end the connection.

        The reason is the status line's phrase too: of an answer to CONNECT, many clients show nothing else.
        """
        if self.transport.is_closing():
            return
        body = f"ticketstub run: {refused.reason}\n".encode("ascii", "replace")
        head = f"HTTP/1.1 {refused.status} {HTTPStatus(refused.status).phrase}: {refused.reason}\r\n"
        fields = f"Content-Type: text/plain\r\nContent-Length: {len(body)}\r\nX-Ticketstub: local\r\n"
        if refused.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            fields += 'Proxy-Authenticate: Basic realm="ticketstub run"\r\n'
        self.transport.write((head + fields + "Connection: close\r\n\r\n").encode("ascii", "replace") + body)
        self._leave()

    def _leave(self) -> None:
        """Close so that the answer arrives: what still comes is read and thrown away, for a moment."""
        self._refused = True
        self._came.clear()
        self.transport.write_eof()
        self.transport.resume_reading()
        asyncio.get_running_loop().call_later(_LINGERS, self.transport.abort)
