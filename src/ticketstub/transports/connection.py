"""One connection: writes a request, reads its reply, and says in our words what went wrong.

Rule: one exchange at a time, and whatever ends one badly leaves the connection to be closed by whoever holds it.
`Unreachable.sent` is False only where no byte of the request was handed to the operating system.
"""

from __future__ import annotations

import socket
import ssl
from http.client import HTTPException
from time import monotonic

from ticketstub.transports.failures import cut_off, malformed, timed_out, unreachable
from ticketstub.transports.reply import BadReply, Reader, Reply
from ticketstub.wire.http import Place, Response


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
