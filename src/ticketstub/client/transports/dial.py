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

from ticketstub.client.transports.failures import make_tunnel_error, make_unreachable_error
from ticketstub.client.transports.proxies import FindProxy, ProxyConfig
from ticketstub.client.transports.reply import SocketReader, SocketReply
from ticketstub.dns import ResolvedAddress, Resolver, look_up
from ticketstub.messages import Origin


class Connector:
    """Connects to places.

    Args:
        resolver: looks names up.
        find_proxy: says which places are reached through a proxy.
        ssl_context: checks certificates; `None` is made at the first https address, from the computer's authorities.
    """

    def __init__(self, resolver: Resolver, find_proxy: FindProxy, ssl_context: ssl.SSLContext | None) -> None:
        self._resolver = resolver
        self._find_proxy = find_proxy
        self._ssl_context = ssl_context

    def connect(self, origin: Origin, deadline: float) -> socket.socket:
        """Connect to a place, through its proxy and with TLS where that is to be.

        Raises:
            Unreachable, TimedOut: with `sent=False`.
        """
        proxy = self._find_proxy(origin)
        sock = self._connect_tcp(proxy.origin if proxy else origin, deadline)
        try:
            if proxy:
                _open_tunnel(sock, proxy, origin, deadline)
            return self._wrap_tls(sock, origin, deadline) if origin.scheme == "https" else sock
        except OSError as error:
            sock.close()
            raise make_unreachable_error(origin, error, sent=False) from None
        except BaseException:
            sock.close()
            raise

    def _connect_tcp(self, origin: Origin, deadline: float) -> socket.socket:
        try:
            return _connect_first(look_up(origin.host, origin.port, self._resolver, deadline), deadline)
        except OSError as error:
            raise make_unreachable_error(origin, error, sent=False) from None

    def _wrap_tls(self, sock: socket.socket, origin: Origin, deadline: float) -> ssl.SSLSocket:
        if self._ssl_context is None:
            self._ssl_context = create_default_ssl_context()
        tls_socket = self._ssl_context.wrap_socket(sock, server_hostname=origin.host, do_handshake_on_connect=False)
        try:
            tls_socket.settimeout(_get_remaining(deadline))
            tls_socket.do_handshake()
        except BaseException:  # it has taken the socket over
            tls_socket.close()
            raise
        return tls_socket


def create_default_ssl_context() -> ssl.SSLContext:
    """Return a context that checks certificate and host name against the computer's authorities, TLS 1.2 at least."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _get_remaining(deadline: float) -> float:
    if (left := deadline - monotonic()) <= 0:
        raise TimeoutError
    return left


def _connect_first(addresses: Sequence[ResolvedAddress], deadline: float) -> socket.socket:
    """Connect to the first address that answers; if none does, the first one's error is the most telling."""
    first_error: OSError | None = None
    for index, address in enumerate(addresses):
        try:
            return _connect_address(address, _get_remaining(deadline) / (len(addresses) - index))
        except OSError as error:
            first_error = first_error or error
    raise first_error or OSError("no address")


def _connect_address(address: ResolvedAddress, timeout: float) -> socket.socket:
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(address.sockaddr)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock


def _open_tunnel(sock: socket.socket, proxy: ProxyConfig, origin: Origin, deadline: float) -> None:
    """Ask a proxy for a tunnel (RFC 9110, 9.3.6)."""
    lines = [f"CONNECT {origin} HTTP/1.1", f"Host: {origin}"]
    if proxy.authorization is not None:
        lines.append(f"Proxy-Authorization: {proxy.authorization.reveal()}")
    sock.settimeout(_get_remaining(deadline))
    sock.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
    reader = SocketReader(sock)
    reader.deadline = deadline
    reply = SocketReply(reader, "CONNECT")
    try:
        reply.begin()
    except HTTPException:
        raise make_tunnel_error(origin, proxy.origin, None) from None
    if not 200 <= reply.status < 300 or reader.has_leftover:  # its answer may not go on behind its end
        raise make_tunnel_error(origin, proxy.origin, reply.status if reply.status >= 300 else None)
