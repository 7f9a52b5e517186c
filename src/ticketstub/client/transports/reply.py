"""Reads one reply: the head here, strictly and fast; the body, plain or chunked, by `http.client.HTTPResponse`.

Rule: every wait for bytes ends at the deadline, however the bytes drip; a line, the number of fields, the number of
interim replies and the body are bounded; what is not HTTP/1 is refused, never guessed at. http.client's own head
reader is not used: it takes 40 µs for a usual head (email.parser), accepts `Content-Length: +1_0`, and loops over 100s.
"""

from __future__ import annotations

import errno
import re
import socket
from http.client import HTTPException, HTTPResponse
from time import monotonic

from ticketstub.client.transports.heads import read_fields
from ticketstub.messages import MAX_BODY, Response

_LONGEST_LINE = 16 * 1024
_MOST_FIELDS = 100
_MOST_INTERIM = 16
_PIECE = 64 * 1024
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\0\r\n]*)?\r?\n")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\0\r\n]*?)[ \t]*\r?\n")
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})


class BadReply(HTTPException):
    """What came is not a reply; its text is ours and shows nothing of what came."""


class Reader:
    """The receiving end of a socket, as the file that `HTTPResponse` reads.

    Attributes:
        deadline: when every wait ends, on the clock of `time.monotonic()`.
        heard: whether anything came since this was last set to False.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = b""
        self._at = 0
        self.deadline = 0.0
        self.heard = False

    @property
    def leftover(self) -> bool:
        """Whether bytes came that belong to no reply."""
        return self._at < len(self._buffer)

    def readline(self, limit: int = _LONGEST_LINE) -> bytes:
        """Return the next line with its end; what is left, if the other side closed."""
        while (end := self._buffer.find(b"\n", self._at) + 1) == 0:
            if len(self._buffer) - self._at > _LONGEST_LINE:
                raise BadReply("a line is too long")
            if not self._receive():
                end = len(self._buffer)
                break
        line, self._at = self._buffer[self._at : end], end
        if len(line) > min(limit, _LONGEST_LINE):
            raise BadReply("a line is too long")
        return line

    def read(self, amount: int) -> bytes:
        """Return that many bytes; fewer, if the other side closed."""
        if not 0 <= amount <= MAX_BODY:
            raise BadReply("a length is absurd")
        pieces = [self._buffer[self._at : self._at + amount]]
        self._at += len(pieces[0])
        missing = amount - len(pieces[0])
        while missing and self._receive():
            pieces.append(self._buffer[:missing])
            self._at = len(pieces[-1])
            missing -= self._at
        return b"".join(pieces)

    def _receive(self) -> bool:
        """Wait for bytes until the deadline; False means that the other side closed."""
        left = self.deadline - monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        received = self._sock.recv(_PIECE)
        self._buffer, self._at = self._buffer[self._at :] + received, 0
        self.heard = self.heard or bool(received)
        return bool(received)

    def makefile(self, _mode: str) -> Reader:
        """Hand itself to `HTTPResponse`, which takes a socket and asks it for a file."""
        return self

    def flush(self) -> None:
        """Nothing is written here."""

    def close(self) -> None:
        """`HTTPResponse` closes its file after each body; the connection lives on."""


class Reply(HTTPResponse):
    """One reply, read from a `Reader`."""

    def __init__(self, reader: Reader, method: str) -> None:
        super().__init__(reader, method=method)  # type: ignore[arg-type]  # only its makefile is used
        self.fields: dict[str, str] = {}
        self._reader = reader
        self._bodiless = method in ("HEAD", "CONNECT")

    def begin(self) -> None:
        """Read the head of the final reply, past at most 16 interim ones, and find out where its body ends.

        Raises:
            BadReply: it is not HTTP, or beyond the bounds.
            TimeoutError: the deadline passed.
            OSError: the connection broke.
        """
        for _ in range(_MOST_INTERIM + 1):
            minor, self.status = _status_line(self._reader)
            self.fields = _fields(self._reader)
            if self.status >= 200:
                return self._frame(minor)
            if self.status == 101:
                raise BadReply("it changes the protocol unasked")
        raise BadReply("interim replies without end")

    def _frame(self, minor: int) -> None:
        """Find out where the body ends and whether the connection lives on (RFC 9112, 6.3 and 9.3)."""
        coding, length = self.fields.get("transfer-encoding"), self.fields.get("content-length")
        if coding is not None and coding.lower() != "chunked":
            raise BadReply("its transfer encoding is unknown")
        if length is not None and not (length.isascii() and length.isdigit() and len(length) < 19):
            raise BadReply("its length is not a number")
        empty = self._bodiless or self.status in (204, 304)
        self.chunked, self.chunk_left = coding is not None and not empty, None
        self.length = 0 if empty else None if self.chunked or length is None else int(length)
        options = self.fields.get("connection", "").lower()
        lasting = "close" not in options if minor else "keep-alive" in options
        two_lengths = coding is not None and length is not None
        self.will_close = not lasting or two_lengths or (self.length is None and not self.chunked)

    def whole(self) -> Response:
        """Read the body and return the response.

        Raises:
            BadReply: the body is larger than `MAX_BODY`.
            HTTPException: the body was cut off.
            TimeoutError, OSError: as `begin`.
        """
        if self.length is not None and self.length > MAX_BODY:
            raise BadReply("it is too large")
        body = self.read() if self.length is not None else self._open_ended()
        return Response(self.status, self.fields, body)

    def _open_ended(self) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while piece := self.read(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > MAX_BODY:
                raise BadReply("it is too large")
        return b"".join(pieces)

    @property
    def reusable(self) -> bool:
        """Whether another request may follow on this connection, once the body has been read."""
        return not self.will_close and not self._reader.leftover


def _status_line(reader: Reader) -> tuple[int, int]:
    line = reader.readline()
    if not line:
        raise ConnectionResetError(errno.ECONNRESET, "closed")
    if not (match := _STATUS_LINE.fullmatch(line)):
        raise BadReply("it is not HTTP")
    return int(match[1]), int(match[2])


def _fields(reader: Reader) -> dict[str, str]:
    pairs: list[tuple[bytes, bytes]] = []
    framing: dict[bytes, bytes] = {}
    while (line := reader.readline()) not in (b"\r\n", b"\n"):
        if not (match := _FIELD.fullmatch(line)):
            raise BadReply("its head is cut off" if not line.endswith(b"\n") else "its head is not HTTP")
        name, value = match.groups()
        if (known := name.lower()) in _FRAMING and framing.setdefault(known, value) != value:
            raise BadReply("it names two lengths")
        pairs.append((name, value))
        if len(pairs) > _MOST_FIELDS:
            raise BadReply("it has too many header fields")
    return read_fields(pairs)
