"""Reads the head of a request to the proxy: where it is to go, and for plain http what is to be sent there.

Rule: strict, for it decides where bytes go. One form each for a tunnel (`CONNECT host:port`) and for plain http
(`GET http://host/…`); anything doubtful is refused with a sentence that repeats nothing of what was sent.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ticketstub.server.proxy.hosts import Address

_LINE = re.compile(rb"([A-Z]{1,20}) (\S+) (HTTP/1\.[01])")
_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})))(?::([0-9]{1,5}))?")
_ABSOLUTE = re.compile(rb"http://([^/?#]*)(/[^#]*|\?[^#]*|)", re.IGNORECASE)
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\r\n\x00]*)")
_BETWEEN = re.compile(rb"proxy-.*|connection|keep-alive|host|upgrade", re.IGNORECASE)
"""Fields that are between client and proxy, and those that the proxy writes itself."""


class BadHead(Exception):
    """A head that is not taken.

    Attributes:
        reason: the sentence that the client gets.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Head(NamedTuple):
    """Where a request is to go, and what is sent there before all that follows: nothing, for a tunnel."""

    target: Address
    forwarded: bytes | None


def read_head(raw: bytes) -> Head:
    """Read a head, up to and with its empty line.

    Raises:
        BadHead: it is not one, or not of a request that a proxy takes.
    """
    line, *fields = raw.removesuffix(b"\r\n\r\n").split(b"\r\n")
    found = _LINE.fullmatch(line)
    if not found or not all(map(_FIELD.fullmatch, fields)):
        raise BadHead("this is not an HTTP/1.1 request")
    if found[1] == b"CONNECT":
        return Head(_address(found[2], None), None)
    absolute = _ABSOLUTE.fullmatch(found[2])
    if not absolute:
        raise BadHead("this is a proxy: it takes CONNECT, and http:// addresses in full")
    target = _address(absolute[1], 80)
    return Head(target, _forwarded(found, absolute, fields))


def _address(authority: bytes, default: int | None) -> Address:
    found = _AUTHORITY.fullmatch(authority.decode("latin-1"))
    port = int(found[3]) if found and found[3] else default
    if not found or port is None or not 0 < port < 65536:
        raise BadHead("the address is not HOST:PORT")
    return Address((found[1] or found[2]).lower().rstrip("."), port)


def _forwarded(line: re.Match[bytes], absolute: re.Match[bytes], fields: list[bytes]) -> bytes:
    """Write the request for its server. One connection carries one request: the next may be for somebody else."""
    path = absolute[2] if absolute[2].startswith(b"/") else b"/" + absolute[2]
    kept = [field for field in fields if not _BETWEEN.fullmatch(field.partition(b":")[0])]
    lines = [b" ".join((line[1], path, line[3])), b"Host: " + absolute[1], *kept, b"Connection: close"]
    return b"\r\n".join(lines) + b"\r\n\r\n"
