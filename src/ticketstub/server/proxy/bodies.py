"""Where a request by plain http ends, and where the answer of a further proxy to CONNECT begins.

Rule: a connection by plain http carries one request, which was decided on; what comes behind its body goes nowhere. A
tunnel by way of a further proxy carries nothing before that proxy has agreed to it.
"""

from __future__ import annotations

import re

from ticketstub.server.proxy.heads import CHUNKED, BadHead

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n\x00]*)?\r\n")
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[^\n]*\n(?:[^\n]+\n)*?\r?\n")
_LONGEST_LINE = 4096
_LONGEST_HEAD = 65536


class Body:
    """Counts the body of one request.

    Args:
        length: its length, or `CHUNKED`.
    """

    def __init__(self, length: int) -> None:
        self._chunks = _Chunks() if length == CHUNKED else None
        self._left = length

    def take(self, data: bytes) -> bytes:
        """Return what of the data belongs to the body; raises `BadHead` where that cannot be told."""
        if self._chunks is not None:
            return data[: self._chunks.count(data)]
        taken = data[: self._left]
        self._left -= len(taken)
        return taken


class _Chunks:
    """Finds the end of a body in chunks."""

    def __init__(self) -> None:
        self._left = 0
        self._line = bytearray()
        self._next = self._size

    def count(self, data: bytes) -> int:
        """Return how many of these bytes still belong to it."""
        at = 0
        while at < len(data) and self._next != self._over:
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
                at += step
                continue
            end = data.find(b"\n", at) + 1 or len(data)
            self._line += data[at:end]
            at = end
            if len(self._line) > _LONGEST_LINE:
                raise BadHead("a line between chunks is too long")
            if self._line.endswith(b"\n"):
                line = bytes(self._line)
                self._line.clear()
                self._next(line)
        return at

    def _size(self, line: bytes) -> None:
        found = _SIZE.fullmatch(line)
        if not found:
            raise BadHead("the size of a chunk cannot be read")
        self._left = int(found[1], 16)
        self._next = self._end if self._left else self._trailer

    def _end(self, line: bytes) -> None:
        if line != b"\r\n":
            raise BadHead("a chunk does not end where its size says")
        self._next = self._size

    def _trailer(self, line: bytes) -> None:
        if not line.endswith(b"\r\n"):
            raise BadHead("a trailer cannot be read")
        if line == b"\r\n":
            self._next = self._over

    def _over(self, line: bytes) -> None:
        """Nothing comes here any more."""


class Agreement:
    """Reads the answer of a further proxy to CONNECT.

    Attributes:
        agreed: whether the tunnel is there; `None` as long as that is not said.
    """

    def __init__(self) -> None:
        self.agreed: bool | None = None
        self._came = b""

    def read(self, data: bytes) -> None:
        """Read what came."""
        if self.agreed is not None:
            return
        self._came += data
        while found := _STATUS.match(self._came):
            if not found[1].startswith(b"1"):
                self.agreed = found[1].startswith(b"2")
                return
            self._came = self._came[found.end() :]
        if len(self._came) > _LONGEST_HEAD:
            self.agreed = False
