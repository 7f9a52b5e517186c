"""Requests to the proxy: where they lead, what is sent there, and where their body ends.

Rule: strict, because this decides where bytes go. A name of Plex's is answered by this run or by nobody; it is never
looked up, so that nothing meant for the local Plex reaches the real one. There is one form for a tunnel (`CONNECT
host:port`) and one for plain HTTP (`GET http://host/…`); anything doubtful is refused with a sentence that repeats
nothing of what was sent. A connection by plain HTTP carries one request; whatever follows its body is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ticketstub.dns import is_loopback
from ticketstub.local_plex.addresses.names import PRIVATE_ANSWER, find_listener
from ticketstub.local_plex.domain.media_servers import build_plex_direct_authority, list_certificate_names

if TYPE_CHECKING:
    from ticketstub.local_plex.addresses.listener import AddressListener

PLEX_TV = frozenset({"plex.tv", "www.plex.tv", "clients.plex.tv", "app.plex.tv"})
"""The hosts that lead to a local Plex's plex.tv port."""
CHUNKED = -1
"""The length of a chunked body."""

_REQUEST_LINE = re.compile(rb"([A-Z]{1,20}) (\S+) (HTTP/1\.[01])")
_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})))(?::([0-9]{1,5}))?")
_ABSOLUTE_FORM = re.compile(rb"http://([^/?#]*)(/[^#]*|\?[^#]*|)", re.IGNORECASE)
_CONTENT_LENGTH = re.compile(rb"[0-9]{1,15}")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\r\n\x00]*)")
# Fields between client and proxy, and those that the proxy writes itself.
_HOP_BY_HOP = re.compile(rb"proxy-.*|connection|keep-alive|host|upgrade", re.IGNORECASE)
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n\x00]*)?\r\n")
_END_OF_CHUNK = re.compile(rb"\r\n")
_TRAILER = re.compile(rb"(?s:.)*\r\n")
_MAX_LINE_BYTES = 4096


class HostPort(NamedTuple):
    """A host, as a name or an address, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Destination(NamedTuple):
    """Where a connection leads.

    Attributes:
        address: the address to connect to.
        is_plex: whether it is the local Plex.
        is_https: whether it takes HTTPS, and so tunnels only.
    """

    address: HostPort
    is_plex: bool = False
    is_https: bool = False


class ProxyRefusal(Exception):
    """The proxy refuses a request. The text is a sentence for the client and the run's log.

    Attributes:
        status: the status for the client.
        is_expected: whether the refusal is normal and is not reported.
    """

    def __init__(self, status: int, reason: str, *, is_expected: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        self.is_expected = is_expected


class HostTable:
    """The hosts of one run.

    Args:
        plex_tv: the address of its plex.tv by plain HTTP.
        media_servers: the addresses of its media servers, by the 32 digits of their plex.direct names.
        offline: whether to refuse everything but this run's hosts and loopback.
        addresses: the media servers' addresses that have a listener of their own.
    """

    def __init__(
        self,
        plex_tv: HostPort,
        media_servers: Mapping[str, HostPort],
        *,
        offline: bool,
        addresses: Sequence[AddressListener] = (),
    ) -> None:
        self._offline = offline
        self._addresses = addresses
        self._server_names = {
            build_plex_direct_authority(digits, server.host, server.port): Destination(
                server, is_plex=True, is_https=True
            )
            for digits, server in sorted(media_servers.items(), key=lambda item: item[1].port)
        }
        https, http = Destination(plex_tv, is_plex=True, is_https=True), Destination(plex_tv, is_plex=True)
        self._plex_hosts = {f"{host}:443": https for host in PLEX_TV} | {f"{host}:80": http for host in PLEX_TV}
        self.certificate_names = list_certificate_names(media_servers)
        """The names, with wildcards, that the run's certificate needs."""

    def route(self, target: HostPort) -> Destination:
        """Return where a connection to this address leads; raises `ProxyRefusal`."""
        host = target.host
        if destination := self._plex_hosts.get(str(target)) or self._server_names.get(str(target)):
            return destination
        if address := find_listener(self._addresses, host, target.port):
            return _route_to_address(address, target)
        if host in PLEX_TV:
            raise ProxyRefusal(502, f"{target}: plex.tv answers on the ports 443 and 80 only")
        if host == "plex.direct" or host.endswith(".plex.direct"):
            examples = ", ".join([*self._server_names][:5])
            raise ProxyRefusal(502, f"{target} is no media server of this run, which has: {examples or 'none'}")
        if host.endswith(".plex.tv"):
            raise ProxyRefusal(502, f"{target} is one of Plex's hosts that a local Plex does not answer for")
        if self._offline and not is_loopback(host):
            raise ProxyRefusal(403, f"{target} is not Plex's, and this run is offline (--offline)")
        return Destination(target)


def _route_to_address(address: AddressListener, target: HostPort) -> Destination:
    """Return where the name of an address leads as the world resolves it; a refusal is as the proxy's own resolver's.

    A private answer is refused too, instead of connecting to another machine of this network.
    """
    if address.dns in {"fails", "private"}:
        reason = "it has no address" if address.dns == "fails" else f"it leads to {PRIVATE_ANSWER}, another computer"
        raise ProxyRefusal(502, f"{target} cannot be reached: {reason} (dns in the world)")
    reached = address.impostor or address
    return Destination(HostPort(reached.host, reached.port), is_plex=True, is_https=True)


class RequestHead(NamedTuple):
    """The head of a request.

    Attributes:
        target: the host and port that it asks for.
        method: the method as it was sent.
        raw_target: the request target as it was sent, with or without `http://`.
        authority: host and port in it, as they were sent.
        path: path and query of a plain HTTP request.
        version: HTTP/1.0 or HTTP/1.1.
        fields: the header fields to forward.
        length: the length of a plain HTTP request's body, or `CHUNKED`.
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
        """Whether it asks for a tunnel; otherwise it is a plain HTTP request."""
        return self.method == b"CONNECT"

    def encode(self, raw_target: bytes, *extra_fields: bytes) -> bytes:
        """Return the head to forward, with another request target and further fields."""
        line, host = b" ".join((self.method, raw_target, self.version)), b"Host: " + self.authority
        return b"\r\n".join([line, host, *self.fields, *extra_fields, b"", b""])


def parse_head(raw: bytes) -> RequestHead:
    """Parse a head that ends with its empty line; raises `ProxyRefusal` if it is no request to a proxy."""
    line, *fields = raw.removesuffix(b"\r\n\r\n").split(b"\r\n")
    match = _REQUEST_LINE.fullmatch(line)
    if not match or not all(map(_FIELD.fullmatch, fields)):
        raise ProxyRefusal(400, "this is not an HTTP/1.1 request")
    method, raw_target, version = match.groups()
    forwarded = tuple(field for field in fields if not _HOP_BY_HOP.fullmatch(field.partition(b":")[0]))
    if method == b"CONNECT":
        return RequestHead(_parse_address(raw_target, None), method, raw_target, raw_target, b"", version, forwarded)
    absolute = _ABSOLUTE_FORM.fullmatch(raw_target)
    if not absolute:
        # 403, because it may be a web page's request, led here by DNS rebinding.
        raise ProxyRefusal(403, "this is a proxy: it takes CONNECT, and http:// addresses in full")
    authority, path = absolute.groups()
    target, length = _parse_address(authority, 80), _parse_body_length(fields, version)
    path = path if path.startswith(b"/") else b"/" + path
    return RequestHead(target, method, raw_target, authority, path, version, forwarded, length)


def read_proxy_credentials(raw: bytes) -> bytes:
    """Return the value of `Proxy-Authorization` in a head; empty if it is missing or repeated."""
    values = _find_values(raw.split(b"\r\n")[1:], b"proxy-authorization")
    return values[0] if len(values) == 1 else b""


def _find_values(fields: list[bytes], name: bytes) -> list[bytes]:
    pairs = (field.partition(b":") for field in fields)
    return [value.strip() for each, _, value in pairs if each.lower() == name]


def _parse_body_length(fields: list[bytes], version: bytes) -> int:
    """Return the length of the body; an ambiguous one is refused."""
    match _find_values(fields, b"content-length"), _find_values(fields, b"transfer-encoding"):
        case [], []:
            return 0
        case [length], [] if _CONTENT_LENGTH.fullmatch(length):
            return int(length)
        case [], [coding] if coding.lower() == b"chunked" and version == b"HTTP/1.1":
            return CHUNKED
        case _:
            raise ProxyRefusal(400, "the length of the body is not clear")


def _parse_address(authority: bytes, default_port: int | None) -> HostPort:
    match = _AUTHORITY.fullmatch(authority.decode("latin-1"))
    port = int(match[3]) if match and match[3] else default_port
    if not match or port is None or not 0 < port < 65536:
        raise ProxyRefusal(400, "the address is not HOST:PORT")
    return HostPort((match[1] or match[2]).lower().rstrip("."), port)


class BodyParser:
    """Finds the end of a request's body.

    Args:
        length: its length, or `CHUNKED`.
    """

    def __init__(self, length: int) -> None:
        self._remaining = max(length, 0)  # bytes until the next line between chunks, or the end
        self._expected_line = _CHUNK_SIZE if length == CHUNKED else None  # if the body goes on after these bytes
        self._line = bytearray()

    def feed(self, data: bytes) -> bytes:
        """Return the part of the data that belongs to the body; raises `ProxyRefusal` if its chunks are malformed."""
        position = 0
        while position < len(data):
            if self._remaining:
                step = min(self._remaining, len(data) - position)
                self._remaining -= step
            elif self._expected_line:
                step = (data.find(b"\n", position) + 1 or len(data)) - position
                self._parse_line(data[position : position + step], self._expected_line)
            else:
                break
            position += step
        return data[:position]

    def _parse_line(self, piece: bytes, expected: re.Pattern[bytes]) -> None:
        """Parse a line between chunks, or a piece of one."""
        self._line += piece
        if len(self._line) <= _MAX_LINE_BYTES and not self._line.endswith(b"\n"):
            return
        line = bytes(self._line)
        self._line.clear()
        match = expected.fullmatch(line)
        if match is None or len(line) > _MAX_LINE_BYTES:
            raise ProxyRefusal(400, "the chunks of the body are malformed")
        if expected is _CHUNK_SIZE:
            self._remaining = int(match[1], 16)
            self._expected_line = _END_OF_CHUNK if self._remaining else _TRAILER
        elif expected is _END_OF_CHUNK:
            self._expected_line = _CHUNK_SIZE
        elif line == b"\r\n":
            self._expected_line = None
