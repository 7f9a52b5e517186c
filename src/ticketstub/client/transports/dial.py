"""Makes connections: name look-up, TCP to one address after the other, the proxy's tunnel, TLS.

Rule: one deadline bounds all of it, and each address gets its share of what is left, so that a dead first one does not
eat everything. Nothing of the request is sent here, so every failure says `sent=False`.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from http.client import HTTPException
from time import monotonic

from ticketstub.client.transports.failures import no_tunnel, unreachable
from ticketstub.client.transports.proxies import Proxy, ProxyFor
from ticketstub.client.transports.reply import Reader, Reply
from ticketstub.dns import Address, Resolver, look_up
from ticketstub.messages import Place


class Dialler:
    """Connects to places.

    Args:
        resolver: looks names up.
        proxy_for: says which places are reached through a proxy.
        ssl_context: checks certificates; `None` is made at the first https address, from the computer's authorities.
    """

    def __init__(self, resolver: Resolver, proxy_for: ProxyFor, ssl_context: ssl.SSLContext | None) -> None:
        self._resolver = resolver
        self._proxy_for = proxy_for
        self._ssl_context = ssl_context

    def dial(self, place: Place, deadline: float) -> socket.socket:
        """Connect to a place, through its proxy and with TLS where that is to be.

        Raises:
            Unreachable, TimedOut: with `sent=False`.
        """
        proxy = self._proxy_for(place)
        sock = self._open(proxy.place if proxy else place, deadline)
        try:
            if proxy:
                _tunnel(sock, proxy, place, deadline)
            return self._secured(sock, place, deadline) if place.scheme == "https" else sock
        except OSError as error:
            sock.close()
            raise unreachable(place, error, sent=False) from None
        except BaseException:
            sock.close()
            raise

    def _open(self, place: Place, deadline: float) -> socket.socket:
        try:
            return _first_that_answers(look_up(place.host, place.port, self._resolver, deadline), deadline)
        except OSError as error:
            raise unreachable(place, error, sent=False) from None

    def _secured(self, sock: socket.socket, place: Place, deadline: float) -> ssl.SSLSocket:
        if self._ssl_context is None:
            self._ssl_context = default_ssl_context()
        secured = self._ssl_context.wrap_socket(sock, server_hostname=place.host, do_handshake_on_connect=False)
        try:
            secured.settimeout(_left(deadline))
            secured.do_handshake()
        except BaseException:  # it has taken the socket over
            secured.close()
            raise
        return secured


def default_ssl_context() -> ssl.SSLContext:
    """Return a context that checks certificate and host name against the computer's authorities, TLS 1.2 at least."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _left(deadline: float) -> float:
    if (left := deadline - monotonic()) <= 0:
        raise TimeoutError
    return left


def _first_that_answers(addresses: Sequence[Address], deadline: float) -> socket.socket:
    """Connect to the first address that answers; if none does, the first one's error is the most telling."""
    first: OSError | None = None
    for index, address in enumerate(addresses):
        try:
            return _connected(address, _left(deadline) / (len(addresses) - index))
        except OSError as error:
            first = first or error
    raise first or OSError("no address")


def _connected(address: Address, seconds: float) -> socket.socket:
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.settimeout(seconds)
        sock.connect(address.sockaddr)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock


def _tunnel(sock: socket.socket, proxy: Proxy, place: Place, deadline: float) -> None:
    """Ask a proxy for a tunnel (RFC 9110, 9.3.6)."""
    lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
    if proxy.authorization is not None:
        lines.append(f"Proxy-Authorization: {proxy.authorization.reveal()}")
    sock.settimeout(_left(deadline))
    sock.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
    reader = Reader(sock)
    reader.deadline = deadline
    reply = Reply(reader, "CONNECT")
    try:
        reply.begin()
    except HTTPException:
        raise no_tunnel(place, proxy.place, None) from None
    if not 200 <= reply.status < 300 or reader.leftover:  # its answer may not go on behind its end
        raise no_tunnel(place, proxy.place, reply.status if reply.status >= 300 else None)
