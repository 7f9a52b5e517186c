"""What the client asks of an HTTP library: send one request, sleep, close.

Rule: a transport sends exactly what it is given, once. It follows no redirect, repeats nothing, keeps no cookies,
reads no credentials from files or environment, and adds no header but Host and Content-Length. Whatever goes wrong
leaves it as `Unreachable`, `TimedOut` or `MalformedReply`, before the deadline and a little; a body comes back as it
came over the wire (still compressed, if it was), at most `MAX_BODY_SIZE` bytes of it.
"""

from __future__ import annotations

from typing import Protocol

from ticketstub.messages import Request, Response


class Transport(Protocol):
    """Sends for `Plex`. One instance serves many threads, and works on after a fork in the child."""

    def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        """Exchange one request for its response.

        Args:
            request: what to send.
            deadline: when to give up, on the clock of `time.monotonic()`, whatever the other side does.
            connect_timeout: seconds allowed for name, TCP and TLS together, within the deadline.

        Raises:
            TimedOut: deadline or connect_timeout passed; its `sent` tells whether any byte may have left.
            Unreachable: no answer came; its `sent` likewise.
            MalformedReply: what came is not HTTP, or too large, or cut off.
            ValueError: the address or a header cannot be sent; nothing was.
        """
        ...

    def sleep(self, seconds: float) -> None:
        """Wait; Ctrl-C ends it at once."""
        ...

    def close(self) -> None:
        """Close every connection. Sending afterwards is an error of the caller."""
        ...


class AsyncTransport(Protocol):
    """Sends for `AsyncPlex`; the same words, awaited. Cancelling a send closes its exchange."""

    async def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        """As `Transport.send`."""
        ...

    async def sleep(self, seconds: float) -> None:
        """As `Transport.sleep`."""
        ...

    async def close(self) -> None:
        """As `Transport.close`."""
        ...
