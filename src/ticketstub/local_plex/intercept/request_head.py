"""Reads a request to the proxy: where it is to go, and for plain http what is to be sent there and where its body ends.

Rule: strict, for it decides where bytes go. One form each for a tunnel (`CONNECT host:port`) and for plain http
(`GET http://host/…`); anything doubtful is refused with a sentence that repeats nothing of what was sent. A
connection by plain http carries one request, which was decided on; what comes behind its body goes nowhere.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ticketstub.local_plex.intercept.hosts import HostPort, ProxyRefusal

_REQUEST_LINE = re.compile(rb"([A-Z]{1,20}) (\S+) (HTTP/1\.[01])")
_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})))(?::([0-9]{1,5}))?")
_ABSOLUTE_FORM = re.compile(rb"http://([^/?#]*)(/[^#]*|\?[^#]*|)", re.IGNORECASE)
_CONTENT_LENGTH = re.compile(rb"[0-9]{1,15}")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\r\n\x00]*)")
CHUNKED = -1
"""The length of a body that says itself where it ends."""
_HOP_BY_HOP = re.compile(rb"proxy-.*|connection|keep-alive|host|upgrade", re.IGNORECASE)
"""Fields that are between client and proxy, and those that the proxy writes itself."""
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n\x00]*)?\r\n")
_END_OF_CHUNK = re.compile(rb"\r\n")
_TRAILER = re.compile(rb"(?s:.)*\r\n")
_MAX_LINE_BYTES = 4096


class RequestHead(NamedTuple):
    """The head of a request.

    Attributes:
        target: where it is to go.
        method: as it was sent.
        asked: what stood behind the method: an address, with or without `http://`.
        authority: host and port in it, as they were written.
        path: path and query, of a plain request.
        version: HTTP/1.0 or HTTP/1.1.
        fields: the header fields that are not the proxy's own.
        length: how long the body of a plain request is, or `CHUNKED`.
    """

    target: HostPort
    method: bytes
    raw_target: bytes
    authority: bytes
    path: bytes
    version: bytes
    fields: tuple[bytes, ...]
    length: int = 0

    @property
    def is_tunnel(self) -> bool:
        """Whether it asks for a tunnel; else it is a request by plain http."""
        return self.method == b"CONNECT"

    def encode(self, raw_target: bytes, *extra_fields: bytes) -> bytes:
        """Write the request, with what is asked for in its next place's form, and further fields."""
        line = b" ".join((self.method, raw_target, self.version))
        return b"\r\n".join([line, b"Host: " + self.authority, *self.fields, *extra_fields]) + b"\r\n\r\n"


def parse_head(raw: bytes) -> RequestHead:
    """Read a head, up to and with its empty line.

    Raises:
        Refused: it is not one, or not of a request that a proxy takes.
    """
    line, *fields = raw.removesuffix(b"\r\n\r\n").split(b"\r\n")
    found = _REQUEST_LINE.fullmatch(line)
    if not found or not all(map(_FIELD.fullmatch, fields)):
        raise ProxyRefusal(400, "this is not an HTTP/1.1 request")
    method, raw_target, version = found.groups()
    forwarded = tuple(field for field in fields if not _HOP_BY_HOP.fullmatch(field.partition(b":")[0]))
    if method == b"CONNECT":
        return RequestHead(_parse_address(raw_target, None), method, raw_target, raw_target, b"", version, forwarded)
    absolute = _ABSOLUTE_FORM.fullmatch(raw_target)
    if not absolute:
        # 403: it may be a web page in a browser, which was told that its host is here.
        raise ProxyRefusal(403, "this is a proxy: it takes CONNECT, and http:// addresses in full")
    authority, path = absolute.groups()
    if not path.startswith(b"/"):
        path = b"/" + path
    return RequestHead(
        _parse_address(authority, 80),
        method,
        raw_target,
        authority,
        path,
        version,
        forwarded,
        _parse_body_length(fields, version),
    )


def read_proxy_credentials(raw: bytes) -> bytes:
    """Return the value of `Proxy-Authorization` in a head; empty where there is none, or more than one."""
    found = _find_values(raw.split(b"\r\n")[1:], b"proxy-authorization")
    return found[0] if len(found) == 1 else b""


def _find_values(fields: list[bytes], name: bytes) -> list[bytes]:
    pairs = (field.partition(b":") for field in fields)
    return [value.strip() for each, _, value in pairs if each.lower() == name]


def _parse_body_length(fields: list[bytes], version: bytes) -> int:
    """Return how long the body is; what could be read in two ways is refused."""
    lengths, codings = (_find_values(fields, name) for name in (b"content-length", b"transfer-encoding"))
    if not codings and not lengths:
        return 0
    if not codings and len(lengths) == 1 and _CONTENT_LENGTH.fullmatch(lengths[0]):
        return int(lengths[0])
    if codings and not lengths and version == b"HTTP/1.1" and [each.lower() for each in codings] == [b"chunked"]:
        return CHUNKED
    raise ProxyRefusal(400, "how long the body is cannot be told")


def _parse_address(authority: bytes, default_port: int | None) -> HostPort:
    found = _AUTHORITY.fullmatch(authority.decode("latin-1"))
    port = int(found[3]) if found and found[3] else default_port
    if not found or port is None or not 0 < port < 65536:
        raise ProxyRefusal(400, "the address is not HOST:PORT")
    return HostPort((found[1] or found[2]).lower().rstrip("."), port)


class BodyParser:
    """Finds the end of the body of one request.

    Args:
        length: its length, or `CHUNKED`.
    """

    def __init__(self, length: int) -> None:
        self._is_chunked = length == CHUNKED
        self._remaining = max(length, 0)  # bytes until the next line between chunks, or the end
        self._is_complete = length == 0
        self._line = bytearray()
        self._expected_line = _CHUNK_SIZE

    def feed(self, data: bytes) -> bytes:
        """Return what of the data belongs to the body; raises `Refused` where that cannot be told."""
        at = 0
        while at < len(data) and not self._is_complete:
            if self._remaining:
                step = min(self._remaining, len(data) - at)
                self._remaining -= step
                self._is_complete = not self._remaining and not self._is_chunked
            else:
                step = (data.find(b"\n", at) + 1 or len(data)) - at
                self._parse_line(data[at : at + step])
            at += step
        return data[:at]

    def _parse_line(self, piece: bytes) -> None:
        """Read a line between chunks, or a piece of one."""
        self._line += piece
        if len(self._line) <= _MAX_LINE_BYTES and not self._line.endswith(b"\n"):
            return
        line = bytes(self._line)
        self._line.clear()
        found = self._expected_line.fullmatch(line)
        if found is None or len(line) > _MAX_LINE_BYTES:
            raise ProxyRefusal(400, "the chunks of the body cannot be read")
        if self._expected_line is _CHUNK_SIZE:
            self._remaining = int(found[1], 16)
            self._expected_line = _END_OF_CHUNK if self._remaining else _TRAILER
        elif self._expected_line is _END_OF_CHUNK:
            self._expected_line = _CHUNK_SIZE
        else:
            self._is_complete = line == b"\r\n"
