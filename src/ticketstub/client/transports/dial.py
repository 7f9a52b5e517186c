"""Connections: finding the proxy, looking the name up, TCP to one address after the other, and TLS.

Rule: one deadline covers all of it, and each address gets a share of the remaining time, so that a dead first one does
not use it up. No part of the request is sent here, so every failure says `sent=False`. This is the only reader of
HTTPS_PROXY, ALL_PROXY and NO_PROXY, in upper or lower case, and it reads them for each connection. Only https goes
through a proxy, in a tunnel that the proxy cannot read: plain http would show it the token. Loopback addresses never
do. OpenSSL itself reads SSL_CERT_FILE and SSL_CERT_DIR.
"""

from __future__ import annotations

import os
import socket
import ssl
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import NamedTuple
from urllib.parse import unquote

from ticketstub.client.transports.base import make_unreachable_error
from ticketstub.dns import ResolvedAddress, Resolver, is_loopback, look_up
from ticketstub.errors import Unreachable
from ticketstub.messages import Origin, split_url
from ticketstub.tokens import Secret


class ProxyConfig(NamedTuple):
    """A proxy that makes tunnels: where it is, and the value of `Proxy-Authorization`, if it wants one."""

    origin: Origin
    authorization: Secret | None


FindProxy = Callable[[Origin], ProxyConfig | None]
"""Says through which proxy a place is reached; `None` means directly."""


def find_proxy(origin: Origin, environ: Mapping[str, str] = os.environ) -> ProxyConfig | None:
    """Say through which proxy the environment wants a place to be reached.

    Raises:
        Unreachable: a variable names a proxy that we cannot use (only http:// ones); nothing was sent.
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
    try:
        origin, _ = split_url(f"{scheme if separator else 'http'}://{authority}")
        split_url(f"http://proxy/{credentials}")  # a proxy's address is the only one with a user name
    except ValueError:
        origin = None
    if origin is None or origin.scheme != "http":
        raise Unreachable(
            "the proxy that the environment names cannot be used",
            sent=False,
            hint="HTTPS_PROXY or ALL_PROXY must be http://HOST:PORT; NO_PROXY makes exceptions",
        )
    if not credentials:
        return ProxyConfig(origin, None)
    user, _, password = credentials.partition(":")
    encoded = b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode("ascii")
    return ProxyConfig(origin, Secret(f"Basic {encoded}"))


def _is_exempt(origin: Origin, entry: str) -> bool:
    """Whether an entry of NO_PROXY names a place: `*`, a name and all below, an address, a network; maybe a port."""
    host, colon, port = entry.rpartition(":")
    if colon and port.isdigit() and (host.startswith("[") or ":" not in host):
        return int(port) == origin.port and _is_exempt(origin, host)
    entry = entry.strip("[]").removeprefix("*").removeprefix(".")
    return not entry or origin.host == entry or origin.host.endswith(f".{entry}") or _is_in_network(origin.host, entry)


def _is_in_network(host: str, network: str) -> bool:
    from ipaddress import ip_address, ip_network  # as above

    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False


def connect_tcp(origin: Origin, resolver: Resolver, deadline: float) -> socket.socket:
    """Connect to a host and port.

    Raises:
        Unreachable, TimedOut: with `sent=False`.
    """
    try:
        return _connect_first(look_up(origin.host, origin.port, resolver, deadline), deadline)
    except OSError as error:
        raise make_unreachable_error(origin, error, sent=False) from None


def create_default_ssl_context() -> ssl.SSLContext:
    """Return a context that checks certificate and host name against the computer's authorities, TLS 1.2 at least."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def get_remaining(deadline: float) -> float:
    """Return the seconds that remain.

    Raises:
        TimeoutError: none do.
    """
    if (left := deadline - monotonic()) <= 0:
        raise TimeoutError
    return left


def _connect_first(addresses: Sequence[ResolvedAddress], deadline: float) -> socket.socket:
    """Connect to the first address that answers; if none does, the first one's error is the most telling."""
    first_error: OSError | None = None
    for index, address in enumerate(addresses):
        try:
            return _connect_address(address, get_remaining(deadline) / (len(addresses) - index))
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
