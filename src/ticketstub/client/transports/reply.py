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
from ticketstub.messages import MAX_BODY_SIZE, Response

_MAX_LINE_BYTES = 16 * 1024
_MAX_FIELDS = 100
_MAX_INTERIM_REPLIES = 16
_CHUNK_SIZE = 64 * 1024
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\0\r\n]*)?\r?\n")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\0\r\n]*?)[ \t]*\r?\n")
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})


class BadReply(HTTPException):
    """What came is not a reply; its text is ours and shows nothing of what came."""


class SocketReader:
    """The receiving end of a socket, as the file that `HTTPResponse` reads.

    Attributes:
        deadline: when every wait ends, on the clock of `time.monotonic()`.
        heard: whether anything came since this was last set to False.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = b""
        self._position = 0
        self.deadline = 0.0
        self.has_received = False

    @property
    def has_leftover(self) -> bool:
        """Whether bytes came that belong to no reply."""
        return self._position < len(self._buffer)

    def readline(self, limit: int = _MAX_LINE_BYTES) -> bytes:
        """Return the next line with its end; what is left, if the other side closed."""
        while (end := self._buffer.find(b"\n", self._position) + 1) == 0:
            if len(self._buffer) - self._position > _MAX_LINE_BYTES:
                raise BadReply("a line is too long")
            if not self._receive():
                end = len(self._buffer)
                break
        line, self._position = self._buffer[self._position : end], end
        if len(line) > min(limit, _MAX_LINE_BYTES):
            raise BadReply("a line is too long")
        return line

    def read(self, amount: int) -> bytes:
        """Return that many bytes; fewer, if the other side closed."""
        if not 0 <= amount <= MAX_BODY_SIZE:
            raise BadReply("a length is absurd")
        pieces = [self._buffer[self._position : self._position + amount]]
        self._position += len(pieces[0])
        missing = amount - len(pieces[0])
        while missing and self._receive():
            pieces.append(self._buffer[:missing])
            self._position = len(pieces[-1])
            missing -= self._position
        return b"".join(pieces)

    def _receive(self) -> bool:
        """Wait for bytes until the deadline; False means that the other side closed."""
        left = self.deadline - monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        received = self._sock.recv(_CHUNK_SIZE)
        self._buffer, self._position = self._buffer[self._position :] + received, 0
        self.has_received = self.has_received or bool(received)
        return bool(received)

    def makefile(self, _mode: str) -> SocketReader:
        """Hand itself to `HTTPResponse`, which takes a socket and asks it for a file."""
        return self

    def flush(self) -> None:
        """Nothing is written here."""

    def close(self) -> None:
        """`HTTPResponse` closes its file after each body; the connection lives on."""


class SocketReply(HTTPResponse):
    """One reply, read from a `SocketReader`."""

    def __init__(self, reader: SocketReader, method: str) -> None:
        super().__init__(reader, method=method)  # type: ignore[arg-type]  # only its makefile is used
        self.fields: dict[str, str] = {}
        self._reader = reader
        self._has_no_body = method in ("HEAD", "CONNECT")

    def begin(self) -> None:
        """Read the head of the final reply, past at most 16 interim ones, and find out where its body ends.

        Raises:
            BadReply: it is not HTTP, or beyond the bounds.
            TimeoutError: the deadline passed.
            OSError: the connection broke.
        """
        for _ in range(_MAX_INTERIM_REPLIES + 1):
            minor, self.status = _read_status_line(self._reader)
            self.fields = _read_header_fields(self._reader)
            if self.status >= 200:
                return self._set_framing(minor)
            if self.status == 101:
                raise BadReply("it changes the protocol unasked")
        raise BadReply("interim replies without end")

    def _set_framing(self, minor: int) -> None:
        """Find out where the body ends and whether the connection lives on (RFC 9112, 6.3 and 9.3)."""
        coding, length = self.fields.get("transfer-encoding"), self.fields.get("content-length")
        if coding is not None and coding.lower() != "chunked":
            raise BadReply("its transfer encoding is unknown")
        if length is not None and not (length.isascii() and length.isdigit() and len(length) < 19):
            raise BadReply("its length is not a number")
        empty = self._has_no_body or self.status in (204, 304)
        self.chunked, self.chunk_left = coding is not None and not empty, None
        self.length = 0 if empty else None if self.chunked or length is None else int(length)
        options = self.fields.get("connection", "").lower()
        is_persistent = "close" not in options if minor else "keep-alive" in options
        has_two_lengths = coding is not None and length is not None
        self.will_close = not is_persistent or has_two_lengths or (self.length is None and not self.chunked)

    def read_response(self) -> Response:
        """Read the body and return the response.

        Raises:
            BadReply: the body is larger than `MAX_BODY_SIZE`.
            HTTPException: the body was cut off.
            TimeoutError, OSError: as `begin`.
        """
        if self.length is not None and self.length > MAX_BODY_SIZE:
            raise BadReply("it is too large")
        body = self.read() if self.length is not None else self._read_unbounded()
        return Response(self.status, self.fields, body)

    def _read_unbounded(self) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while piece := self.read(_CHUNK_SIZE):
            pieces.append(piece)
            size += len(piece)
            if size > MAX_BODY_SIZE:
                raise BadReply("it is too large")
        return b"".join(pieces)

    @property
    def is_reusable(self) -> bool:
        """Whether another request may follow on this connection, once the body has been read."""
        return not self.will_close and not self._reader.has_leftover


def _read_status_line(reader: SocketReader) -> tuple[int, int]:
    line = reader.readline()
    if not line:
        raise ConnectionResetError(errno.ECONNRESET, "closed")
    if not (match := _STATUS_LINE.fullmatch(line)):
        raise BadReply("it is not HTTP")
    return int(match[1]), int(match[2])


def _read_header_fields(reader: SocketReader) -> dict[str, str]:
    pairs: list[tuple[bytes, bytes]] = []
    framing: dict[bytes, bytes] = {}
    while (line := reader.readline()) not in (b"\r\n", b"\n"):
        if not (match := _FIELD.fullmatch(line)):
            raise BadReply("its head is cut off" if not line.endswith(b"\n") else "its head is not HTTP")
        name, value = match.groups()
        if (known := name.lower()) in _FRAMING and framing.setdefault(known, value) != value:
            raise BadReply("it names two lengths")
        pairs.append((name, value))
        if len(pairs) > _MAX_FIELDS:
            raise BadReply("it has too many header fields")
    return read_fields(pairs)
