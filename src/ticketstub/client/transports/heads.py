"""What all transports share: how a request is checked, how a reply's fields become text, and how to sleep.

Rule: what would change the meaning of a head (a line break, a NUL, a second Host or length) is refused as `ValueError`
before anything is sent, and the refusal names the field, never its value. Every transport asks `prepare`, so that all
of them send and refuse the same.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from functools import lru_cache

from ticketstub.client.config import HEADER_NAME
from ticketstub.client.transports.failures import malformed, timed_out
from ticketstub.messages import MAX_BODY, Place, Request, destination

_BREAKS = re.compile(r"[\r\n\0]")
_OURS = frozenset({"host", "content-length", "transfer-encoding"})
HAVE_LENGTH = frozenset({"POST", "PUT", "PATCH"})
"""The methods whose requests say how long their body is even where there is none."""
LONGEST = 86400.0
"""The longest wait, in seconds: sockets and event loops refuse an endless one given as a number."""
BREATH = 0.03
"""Added to a deadline of ours, so that a connection which takes all the time is told as one that was never made."""


class Sleeping:
    """The rest of a transport that keeps no connections of its own."""

    def sleep(self, seconds: float) -> None:
        """As `base.Transport.sleep`."""
        time.sleep(seconds)

    def close(self) -> None:
        """Close nothing."""


class AsyncSleeping:
    """As `Sleeping`, awaited."""

    async def sleep(self, seconds: float) -> None:
        """As `base.AsyncTransport.sleep`."""
        from asyncio import sleep  # `Plex` loads none of it

        await sleep(seconds)

    async def close(self) -> None:
        """Close nothing."""


def prepare(request: Request, deadline: float) -> tuple[Place, str, list[tuple[bytes, bytes]], float]:
    """Check a request that is about to be sent.

    Returns:
        Where to, its target there, its fields as they are sent, and the seconds left.

    Raises:
        ValueError: its address, its method or a field cannot be sent, or a field is the transport's own to write.
        TimedOut: the deadline has passed.
    """
    place, target = destination(request.url)
    if not HEADER_NAME.fullmatch(request.method):
        raise ValueError("the method is not a word")
    fields = [_checked(name, value) for name, value in request.headers.items()]
    left = min(deadline - time.monotonic(), LONGEST)
    if left <= 0:
        raise timed_out(place, sent=False)
    return place, target, fields, left


def _checked(name: str, value: str) -> tuple[bytes, bytes]:
    written_name = _name(name)
    if not value.isprintable() and _BREAKS.search(value):
        raise ValueError(f"the value of the header {name} holds a line break or a NUL")
    try:
        return written_name, value.encode("utf-8")
    except UnicodeEncodeError:  # it would carry the value
        raise ValueError(f"the value of the header {name} holds half a surrogate pair") from None


@lru_cache(maxsize=128)
def _name(name: str) -> bytes:
    if not HEADER_NAME.fullmatch(name):
        raise ValueError("a header's name holds a character that no header name may hold")
    if name.lower() in _OURS:
        raise ValueError(f"the header {name} is written by the transport")
    return name.encode("ascii")


def read_fields(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Turn the fields of a reply into text, names in lower case; of a repeated field the last counts."""
    return {name.decode("latin-1").lower(): _text(value) for name, value in pairs}


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def check_announced(place: Place, request: Request, status: int, fields: dict[str, str]) -> None:
    """Look at what a reply's head announces.

    Raises:
        MalformedReply: it is no final reply, or its body is too large.
    """
    if status < 200:
        raise malformed(place, "it changes the protocol unasked")
    if request.method != "HEAD" and int(fields.get("content-length", 0)) > MAX_BODY:
        raise malformed(place, "it is too large")


def grow(place: Place, body: bytearray, piece: bytes) -> None:
    """Add a piece to a body.

    Raises:
        MalformedReply: it is larger than `MAX_BODY` now.
    """
    body += piece
    if len(body) > MAX_BODY:
        raise malformed(place, "it is too large")
