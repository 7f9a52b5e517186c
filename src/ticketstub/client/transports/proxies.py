"""The only reader of the environment's proxy variables: HTTPS_PROXY, ALL_PROXY, NO_PROXY, in either case of letters.

Rule: only https goes through a proxy, inside a tunnel that the proxy cannot read. Plain http never does, for the token
would be readable there; loopback addresses never do. They are read when a connection is made, not at import. (The
certificate variables SSL_CERT_FILE and SSL_CERT_DIR are OpenSSL's own and need no reader here.)
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import unquote

from ticketstub.dns import is_loopback
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
