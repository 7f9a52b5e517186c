"""Connections: finding the proxy, looking the name up, TCP to one address after the other, and TLS.

Rule: one deadline covers all of it, and each address gets a share of the remaining time, so that a dead first one does
not use it up. No part of the request is sent here, so every failure says `sent=False`. This is the only reader of
HTTPS_PROXY, ALL_PROXY and NO_PROXY, in upper or lower case, and it reads them for each connection. Only https goes
through a proxy, in a tunnel that the proxy cannot read: with plain http it would see the token. Loopback addresses are
never proxied. OpenSSL itself reads SSL_CERT_FILE and SSL_CERT_DIR.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from ticketstub.client.transports.base import get_remaining, make_unreachable_error
from ticketstub.dns import ResolvedAddress, Resolver, is_loopback, look_up
from ticketstub.errors import Unreachable
from ticketstub.messages import Origin, split_url
from ticketstub.tokens import Secret

if TYPE_CHECKING:
    import ssl


class ProxyConfig(NamedTuple):
    """A proxy that opens tunnels: its origin, and the value of `Proxy-Authorization` if it requires one."""

    origin: Origin
    authorization: Secret | None


FindProxy = Callable[[Origin], ProxyConfig | None]
"""Returns the proxy for an origin; `None` means a direct connection."""


def find_proxy(origin: Origin, environ: Mapping[str, str] = os.environ) -> ProxyConfig | None:
    """Return the proxy that the environment names for an origin.

    Raises:
        Unreachable: a variable names a proxy that cannot be used (only http:// ones can); nothing was sent.
    """
    if origin.scheme != "https":
        return None
    url = _read_variable(environ, "https_proxy") or _read_variable(environ, "all_proxy")
    exceptions = [entry.strip().lower() for entry in _read_variable(environ, "no_proxy").split(",") if entry.strip()]
    if not url or is_loopback(origin.host) or any(_is_exempt(origin, entry) for entry in exceptions):
        return None
    return _parse_proxy(url)


def _read_variable(environ: Mapping[str, str], name: str) -> str:
    return (environ.get(name) or environ.get(name.upper()) or "").strip()


def _parse_proxy(url: str) -> ProxyConfig:
    scheme, separator, rest = url.partition("://")
    credentials, _, authority = (rest if separator else url).rpartition("@")
    origin = None
    with suppress(ValueError):
        split_url(f"http://proxy/{credentials}")  # only a proxy's URL may hold a user name: `split_url` refuses one
        origin, _ = split_url(f"{scheme if separator else 'http'}://{authority}")
    if origin is None or origin.scheme != "http":
        raise Unreachable(
            "the proxy that the environment names cannot be used",
            sent=False,
            hint="HTTPS_PROXY or ALL_PROXY must be http://HOST:PORT; NO_PROXY makes exceptions",
        )
    if not credentials:
        return ProxyConfig(origin, None)
    from base64 import b64encode  # few proxies require credentials
    from urllib.parse import unquote

    user, _, password = credentials.partition(":")
    encoded = b64encode(f"{unquote(user)}:{unquote(password)}".encode())
    return ProxyConfig(origin, Secret(f"Basic {encoded.decode('ascii')}"))


def _is_exempt(origin: Origin, entry: str) -> bool:
    """Tell whether an entry of NO_PROXY matches: `*`, a domain, an address or a network, with or without a port."""
    host, colon, port = entry.rpartition(":")
    if colon and port.isdigit() and (host.startswith("[") or ":" not in host):
        return int(port) == origin.port and _is_exempt(origin, host)
    entry = entry.strip("[]").removeprefix("*").removeprefix(".")
    return not entry or origin.host == entry or origin.host.endswith(f".{entry}") or _is_in_network(origin.host, entry)


def _is_in_network(host: str, network: str) -> bool:
    from ipaddress import ip_address, ip_network  # only where NO_PROXY is set

    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False


def connect_tcp(
    origin: Origin,
    resolver: Resolver,
    deadline: float,
    *,
    address: str | None = None,
    watch: Callable[[socket.socket], None] | None = None,
) -> socket.socket:
    """Connect to the first address that answers. If none does, the first address's error is reported.

    Args:
        origin: the host and port.
        resolver: looks the host up.
        deadline: when to give up, on the clock of `time.monotonic()`.
        address: an IP address to connect to; the host is then not looked up.
        watch: called with each socket before it connects.

    Raises:
        Unreachable, TimedOut: with `sent=False`.
    """
    errors: list[OSError] = []
    try:
        addresses = look_up(address or origin.host, origin.port, resolver, deadline)
        for index, each in enumerate(addresses):
            try:
                return _connect_address(each, get_remaining(deadline) / (len(addresses) - index), watch)
            except OSError as error:
                errors.append(error)
    except OSError as error:  # no look-up, or no time
        errors.append(error)
    raise make_unreachable_error(origin, errors[0], sent=False)


def _connect_address(
    address: ResolvedAddress, timeout: float, watch: Callable[[socket.socket], None] | None
) -> socket.socket:
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        if watch:
            watch(sock)
        sock.settimeout(timeout)
        sock.connect(address.sockaddr)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock


def create_default_ssl_context() -> ssl.SSLContext:
    """Return a context that checks certificates and host names with the computer's authorities; TLS 1.2 or newer."""
    import ssl  # not loaded for plain http, to start faster

    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


class LazyTlsContext:
    """The TLS settings of a transport and its branches, created at first use: loading the authorities takes 20 ms."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._lock, self._process_id = Lock(), os.getpid()

    def get(self) -> ssl.SSLContext:
        """Return them."""
        if (context := self._context) is not None:
            return context
        if self._process_id != os.getpid():  # in the child, nobody would release the parent's lock
            self._lock, self._process_id = Lock(), os.getpid()
        with self._lock:
            self._context = self._context or create_default_ssl_context()
        return self._context
