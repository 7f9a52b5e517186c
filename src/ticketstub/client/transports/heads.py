"""What all transports share: how a request is checked, how a reply's fields become text, and how to sleep.

Rule: what would change the meaning of a head (a line break, a NUL, a second Host or length) is refused as `ValueError`
before anything is sent, and the refusal names the field, never its value. Every transport asks `prepare_request`, so
that all of them send and refuse the same.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from functools import lru_cache

from ticketstub.client.config import HEADER_NAME
from ticketstub.client.transports.failures import make_malformed_error, make_timeout_error
from ticketstub.messages import MAX_BODY_SIZE, Origin, Request, split_url

_LINE_BREAKS = re.compile(r"[\r\n\0]")
_TRANSPORT_HEADERS = frozenset({"host", "content-length", "transfer-encoding"})
METHODS_WITH_LENGTH = frozenset({"POST", "PUT", "PATCH"})
"""The methods whose requests say how long their body is even where there is none."""
MAX_WAIT = 86400.0
"""The longest wait, in seconds: sockets and event loops refuse an endless one given as a number."""
DEADLINE_GRACE = 0.03
"""Added to a deadline of ours, so that a connection which takes all the time is told as one that was never made."""


class SleepMixin:
    """The rest of a transport that keeps no connections of its own."""

    def sleep(self, seconds: float) -> None:
        """As `base.Transport.sleep`."""
        time.sleep(seconds)

    def close(self) -> None:
        """Close nothing."""


class AsyncSleepMixin:
    """As `SleepMixin`, awaited."""

    async def sleep(self, seconds: float) -> None:
        """As `base.AsyncTransport.sleep`."""
        from asyncio import sleep  # `Plex` loads none of it

        await sleep(seconds)

    async def close(self) -> None:
        """Close nothing."""


def prepare_request(request: Request, deadline: float) -> tuple[Origin, str, list[tuple[bytes, bytes]], float]:
    """Check a request that is about to be sent.

    Returns:
        Where to, its target there, its fields as they are sent, and the seconds left.

    Raises:
        ValueError: its address, its method or a field cannot be sent, or a field is the transport's own to write.
        TimedOut: the deadline has passed.
    """
    origin, target = split_url(request.url)
    if not HEADER_NAME.fullmatch(request.method):
        raise ValueError("the method is not a word")
    fields = [_encode_header(name, value) for name, value in request.headers.items()]
    left = min(deadline - time.monotonic(), MAX_WAIT)
    if left <= 0:
        raise make_timeout_error(origin, sent=False)
    return origin, target, fields, left


def _encode_header(name: str, value: str) -> tuple[bytes, bytes]:
    encoded_name = _encode_header_name(name)
    if not value.isprintable() and _LINE_BREAKS.search(value):
        raise ValueError(f"the value of the header {name} holds a line break or a NUL")
    try:
        return encoded_name, value.encode("utf-8")
    except UnicodeEncodeError:  # it would carry the value
        raise ValueError(f"the value of the header {name} holds half a surrogate pair") from None


@lru_cache(maxsize=128)
def _encode_header_name(name: str) -> bytes:
    if not HEADER_NAME.fullmatch(name):
        raise ValueError("a header's name holds a character that no header name may hold")
    if name.lower() in _TRANSPORT_HEADERS:
        raise ValueError(f"the header {name} is written by the transport")
    return name.encode("ascii")


def read_fields(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Turn the fields of a reply into text, names in lower case; of a repeated field the last counts."""
    return {name.decode("latin-1").lower(): _decode_value(value) for name, value in pairs}


def _decode_value(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def check_response_head(origin: Origin, request: Request, status: int, fields: dict[str, str]) -> None:
    """Look at what a reply's head announces.

    Raises:
        MalformedReply: it is no final reply, or its body is too large.
    """
    if status < 200:
        raise make_malformed_error(origin, "it changes the protocol unasked")
    if request.method != "HEAD" and int(fields.get("content-length", 0)) > MAX_BODY_SIZE:
        raise make_malformed_error(origin, "it is too large")


def append_to_body(origin: Origin, body: bytearray, chunk: bytes) -> None:
    """Add a piece to a body.

    Raises:
        MalformedReply: it is larger than `MAX_BODY_SIZE` now.
    """
    body += chunk
    if len(body) > MAX_BODY_SIZE:
        raise make_malformed_error(origin, "it is too large")
