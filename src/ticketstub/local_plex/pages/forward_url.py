"""The rules for `forwardUrl`: where a browser may go after an approval.

Rule: a URL is accepted only if a browser cannot read it differently from this module. It is matched character by
character before it is parsed, because a browser reads a backslash as a slash and `2130706433` as 127.0.0.1. The browser
is redirected to this site and to loopback only; any other host needs a click of the user. Nothing is ever appended to a
URL. These rules are our choice; that Plex accepts only http and https is observed.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

import msgspec

_MAX_LENGTH = 2048
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_URL = re.compile(
    rf"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]{{2,45}}\]|{_LABEL}(?:\.{_LABEL})*)(?P<port>:[0-9]{{1,5}})?"
    r"(?P<rest>(?:[/?#][A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*)?)",
    re.ASCII | re.IGNORECASE,
).fullmatch
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)").fullmatch
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class ForwardUrl(msgspec.Struct, frozen=True):
    """An accepted URL.

    Attributes:
        url: the URL, with scheme and host in lower case.
        host: host and port, for display.
        is_automatic: whether the browser goes there without a click.
    """

    url: str
    host: str
    is_automatic: bool


def parse_forward_url(text: str, own_host: str) -> ForwardUrl | None:
    """Parse a `forwardUrl`; return `None` if it is not accepted.

    Args:
        text: the URL, decoded once.
        own_host: host and port of this site, as the browser names it.
    """
    match = _URL(text) if len(text) <= _MAX_LENGTH else None
    if match is None:
        return None
    scheme, host, port = match["scheme"].lower(), _normalize_host(match["host"].lower()), match["port"] or ""
    if host is None or int(port[1:] or 0) > 65535:
        return None
    authority = host + port
    is_automatic = host in _LOOPBACK or _build_origin(scheme, authority) == _build_origin(scheme, own_host.lower())
    return ForwardUrl(url=f"{scheme}://{authority}{match['rest']}", host=authority, is_automatic=is_automatic)


def _normalize_host(host: str) -> str | None:
    """Return a host in its only valid spelling; `None` for an address in an unusual one."""
    try:
        if host.startswith("["):
            IPv6Address(host[1:-1])
            return host
        return str(IPv4Address(host)) if _ENDS_IN_NUMBER(host) else host
    except AddressValueError:
        return None


def _build_origin(scheme: str, authority: str) -> str:
    return f"{scheme}://{authority.removesuffix(_DEFAULT_PORTS[scheme])}"
