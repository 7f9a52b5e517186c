"""The two heads of an exchange: how a request's is checked and written, how a reply's fields become text.

Rule: what would change the meaning of a head (a line break, a NUL, a second Host or length) is refused as `ValueError`
before anything is sent, and the refusal names the field, never its value. Every transport asks here, so that all of
them send and refuse the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from ticketstub.wire.http import Place, Request

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BREAKS = re.compile(r"[\r\n\0]")
_OURS = frozenset({"host", "content-length", "transfer-encoding"})
HAVE_LENGTH = frozenset({"POST", "PUT", "PATCH"})
"""The methods whose requests say how long their body is even where there is none."""


def checked_fields(request: Request) -> list[tuple[bytes, bytes]]:
    """Return a request's fields as they are sent: names in ASCII, values in UTF-8.

    Raises:
        ValueError: the method or a field cannot be sent, or a field is the transport's own to write.
    """
    if not _TOKEN.fullmatch(request.method):
        raise ValueError("the method is not a word")
    return [_checked(name, value) for name, value in request.headers.items()]


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
    if not _TOKEN.fullmatch(name):
        raise ValueError("a header's name holds a character that no header name may hold")
    if name.lower() in _OURS:
        raise ValueError(f"the header {name} is written by the transport")
    return name.encode("ascii")


def written(request: Request, place: Place, target: str) -> bytes:
    """Write a request as HTTP/1.1, head and body.

    Raises:
        ValueError: as `checked_fields`.
    """
    fields = checked_fields(request)
    lines = [f"{request.method} {target} HTTP/1.1\r\nHost: {place.host_header}".encode("ascii")]
    lines += [name + b": " + value for name, value in fields]
    if request.body or request.method in HAVE_LENGTH:
        lines.append(b"Content-Length: %d" % len(request.body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + request.body


def read_fields(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Turn the fields of a reply into text, names in lower case; of a repeated field the last counts."""
    return {name.decode("latin-1").lower(): _text(value) for name, value in pairs}


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
